//! Scalar functions that return blobs which are read elsewhere: `name(VARCHAR, BIGINT, …) → BLOB`.

use std::{
    ffi::CString,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::Arc,
};

use bytes::Bytes;
use duckdb::ffi;

use super::{
    connection::Connection,
    error,
    live_table::drop_box,
    reads::{Reads, RunningReads, connection_id},
    value::LogicalType,
};
use crate::error::{Error, ErrorKind, Result};

/// How many bytes a chunk of rows may have where DuckDB cannot compute it in parts, and so holds all of them.
const MAX_BYTES: usize = 256 << 20;
const TOO_MANY_BYTES: &str = "more than 256 MiB would be in memory for 2,048 rows: compute it as a column of a subquery, \
    such as SELECT sum(n) FROM (SELECT octet_length(read_object(uri)) AS n FROM ...)";

/// Returns the blobs of the first calls: of as many as should be in memory at once, and at least one.
type Read = Box<dyn Fn(&[BlobCall], &Reads) -> Result<Vec<Bytes>> + Send + Sync>;

/// A function of a text and some integers. It is not called for rows with a NULL among its arguments, which are NULL, nor
/// when a statement is planned.
pub struct BlobFunction {
    /// Its name in SQL.
    pub name: &'static str,
    /// The number of BIGINT arguments after the text.
    pub numbers: usize,
    /// Called on threads of DuckDB, with up to 2,048 rows at once, until it has returned the blobs of all.
    pub read: Read,
}

/// A function as it is registered.
struct Registered {
    function: BlobFunction,
    running: Arc<RunningReads>,
}

/// The arguments of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobCall {
    /// The text.
    pub text: String,
    /// The integers.
    pub numbers: Vec<i64>,
}

// === impl Connection ===

impl Connection {
    /// Registers `function` for all connections of the instance, for the lifetime of the instance.
    ///
    /// # Errors
    /// Internal if DuckDB rejects it.
    pub fn register_blobs(&self, function: BlobFunction) -> Result<()> {
        let (name, numbers) = (function.name, function.numbers);
        let name_c = CString::new(name).map_err(|_| Error::internal("a function's name contains a NUL byte"))?;
        // SAFETY: the connection is open; DuckDB copies name and types, owns the function from `set_extra_info` on and frees
        // it with `drop_box`; the description is destroyed once, the registration lives on without it.
        let state = unsafe {
            let mut described = ffi::duckdb_create_scalar_function();
            ffi::duckdb_scalar_function_set_name(described, name_c.as_ptr());
            ffi::duckdb_scalar_function_add_parameter(described, LogicalType::varchar().as_ptr());
            for _ in 0..numbers {
                ffi::duckdb_scalar_function_add_parameter(described, LogicalType::bigint().as_ptr());
            }
            ffi::duckdb_scalar_function_set_return_type(described, LogicalType::blob().as_ptr());
            // Otherwise calls with constants would be evaluated when a statement is described.
            ffi::duckdb_scalar_function_set_volatile(described);
            let owned = Box::new(Registered { function, running: Arc::clone(self.running_reads()) });
            let owned = Box::into_raw(owned).cast();
            ffi::duckdb_scalar_function_set_extra_info(described, owned, Some(drop_box::<Registered>));
            ffi::duckdb_scalar_function_set_init(described, Some(begin));
            ffi::duckdb_scalar_function_set_function(described, Some(run));
            let state = ffi::duckdb_register_scalar_function(self.as_ptr(), described);
            ffi::duckdb_destroy_scalar_function(&raw mut described);
            state
        };
        if state == ffi::DuckDBSuccess {
            Ok(())
        } else {
            Err(Error::internal(format!("register the function {name}()")))
        }
    }
}

/// Finds the task for whose statement a thread will call the function.
unsafe extern "C" fn begin(info: ffi::duckdb_init_info) {
    // SAFETY: DuckDB passes the description of this execution; the context is alive and destroyed once, and the state is
    // freed with `drop_box`.
    unsafe {
        let registered = &*ffi::duckdb_scalar_function_init_get_extra_info(info).cast::<Registered>();
        let mut context = ptr::null_mut();
        ffi::duckdb_scalar_function_init_get_client_context(info, &raw mut context);
        let reads = Box::new(registered.running.of(connection_id(context)));
        ffi::duckdb_scalar_function_init_set_state(info, Box::into_raw(reads).cast(), Some(drop_box::<Arc<Reads>>));
    }
}

/// Computes a chunk.
unsafe extern "C" fn run(info: ffi::duckdb_function_info, input: ffi::duckdb_data_chunk, output: ffi::duckdb_vector) {
    // SAFETY: DuckDB passes flat vectors of the declared types and of one length; all are alive during the call, and the
    // function as long as it is registered. No panic may cross into DuckDB.
    unsafe {
        let function = &(*ffi::duckdb_scalar_function_get_extra_info(info).cast::<Registered>()).function;
        let reads = &*ffi::duckdb_scalar_function_get_state(info).cast::<Arc<Reads>>();
        let rows = ffi::duckdb_data_chunk_get_size(input);
        let calls: Vec<_> = (0..rows).map(|row| call(input, function.numbers, row)).collect();
        let blobs = catch_unwind(AssertUnwindSafe(|| function.blobs(&calls, reads)))
            .unwrap_or_else(|_| Err(Error::internal("a blob could not be read")));
        match blobs {
            Ok(blobs) => write(output, &calls, blobs),
            Err(err) => fail(info, function.name, &err),
        }
    }
}

/// The arguments of a row; `None` if one is NULL.
///
/// # Safety
/// `input` has a flat VARCHAR column, then `numbers` flat BIGINT columns, and more than `row` rows.
unsafe fn call(input: ffi::duckdb_data_chunk, numbers: usize, row: u64) -> Option<BlobCall> {
    let at = usize::try_from(row).ok()?;
    // SAFETY: the columns have these types by this function's own contract; the text is copied.
    unsafe {
        let column = |index: usize| {
            let vector = ffi::duckdb_data_chunk_get_vector(input, index as u64);
            let validity = ffi::duckdb_vector_get_validity(vector);
            let is_valid = validity.is_null() || ffi::duckdb_validity_row_is_valid(validity, row);
            is_valid.then(|| ffi::duckdb_vector_get_data(vector))
        };
        let text = column(0)?.cast::<ffi::duckdb_string_t>().add(at);
        let length = ffi::duckdb_string_t_length(*text) as usize;
        let bytes = std::slice::from_raw_parts(ffi::duckdb_string_t_data(text).cast::<u8>(), length);
        let text = String::from_utf8_lossy(bytes).into_owned();
        let numbers = (1..=numbers).map(|index| Some(column(index)?.cast::<i64>().add(at).read()));
        Some(BlobCall { text, numbers: numbers.collect::<Option<_>>()? })
    }
}

/// Writes the blobs to the first rows with arguments, and NULL to the others.
///
/// # Safety
/// `output` is a BLOB vector with room for `calls`.
unsafe fn write(output: ffi::duckdb_vector, calls: &[Option<BlobCall>], blobs: Vec<Bytes>) {
    let mut blobs = blobs.into_iter();
    for (row, call) in (0..).zip(calls) {
        // SAFETY: the vector holds blobs by this function's own contract; the bytes are copied.
        unsafe {
            if let Some(blob) = call.as_ref().and_then(|_| blobs.next()) {
                ffi::duckdb_vector_assign_string_element_len(output, row, blob.as_ptr().cast(), blob.len() as u64);
            } else {
                ffi::duckdb_vector_ensure_validity_writable(output);
                ffi::duckdb_validity_set_row_invalid(ffi::duckdb_vector_get_validity(output), row);
            }
        }
    }
}

/// Fails the statement. DuckDB calls every error of a function one of its input; the words say more (`error.rs`).
///
/// # Safety
/// `info` is that of the running call.
unsafe fn fail(info: ffi::duckdb_function_info, name: &str, err: &Error) {
    let kind = error::OF_FUNCTIONS.iter().find(|(kind, _)| *kind == err.kind()).map_or("", |(_, words)| words);
    let text = format!("{name}: {kind}{}", err.message()).replace('\0', "");
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the message is copied.
    unsafe { ffi::duckdb_scalar_function_set_error(info, text.as_ptr()) };
}

// === impl BlobFunction ===

impl BlobFunction {
    /// The blobs of the calls that are present; only of the first ones if another call computes the rest.
    fn blobs(&self, calls: &[Option<BlobCall>], reads: &Reads) -> Result<Vec<Bytes>> {
        let present: Vec<_> = calls.iter().flatten().cloned().collect();
        let (mut blobs, mut bytes) = (Vec::new(), 0);
        while blobs.len() < present.len() {
            let read = (self.read)(&present[blobs.len()..], reads)?;
            bytes += read.iter().map(Bytes::len).sum::<usize>();
            blobs.extend(read);
            let next = (0..).zip(calls).filter(|(_, call)| call.is_some()).nth(blobs.len());
            if next.is_some_and(|(row, _)| merganser_planner::computed(row)) {
                break;
            }
            if bytes > MAX_BYTES {
                return Err(Error::new(ErrorKind::ResourceExhausted, TOO_MANY_BYTES));
            }
        }
        Ok(blobs)
    }
}

impl fmt::Debug for BlobFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobFunction({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Database, *};
    use crate::error::ErrorKind;

    fn connect() -> Connection {
        let connection = Database::open_in_memory(&[], true).unwrap().connect().unwrap();
        let read = |calls: &[BlobCall], _: &Reads| {
            let one = |call: &BlobCall| match call.text.as_str() {
                "panic" => panic!("as the test wants it"),
                "gone" => Err(Error::not_found("\"gone\" does not exist")),
                "busy" => Err(Error::new(ErrorKind::Unavailable, "the store is busy")),
                text => Ok(Bytes::from(format!("{text} {:?}", call.numbers))),
            };
            calls.iter().take(700).map(one).collect()
        };
        connection.register_blobs(BlobFunction { name: "blob", numbers: 2, read: Box::new(read) }).unwrap();
        connection
    }

    #[derive(serde::Deserialize)]
    struct Found {
        nulls: u64,
        right: u64,
    }

    #[test]
    fn rows_have_their_blobs() {
        let sql = "SELECT count(*) FILTER (b IS NULL) AS nulls, \
                   count(*) FILTER (b = (coalesce(t, '') || ' [' || i || ', ' || j || ']')::BLOB) AS right FROM ( \
                   SELECT t, i, j, blob(t, i, j) AS b FROM (SELECT CASE WHEN i % 3 > 0 THEN repeat('x', i % 40) END AS t, \
                   i, CASE WHEN i % 5 > 0 THEN -i END AS j FROM range(10000) r(i)))";
        let found: Found = connect().record(sql, &[]).unwrap();
        assert_eq!((found.nulls, found.right), (4667, 5333));
    }

    #[test]
    fn failures_have_their_kinds() {
        let connection = connect();
        for (text, kind) in
            [("gone", ErrorKind::NotFound), ("busy", ErrorKind::Unavailable), ("panic", ErrorKind::Internal)]
        {
            let sql = format!("SELECT blob('{text}', 1, 2)");
            assert_eq!(connection.query(&sql, &[]).unwrap_err().kind(), kind, "{text}");
            // It is not called to describe the statement.
            connection.prepare(&sql).unwrap();
        }
    }
}

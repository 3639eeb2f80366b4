//! Arrow rows as a table in SQL: `FROM merganser_rows('<handle>')`.
//!
//! The function is registered once per instance. A scan is identified by an unguessable handle while its
//! [`Scan`](super::Scan) exists, so nothing of it remains on a connection. DuckDB's own `arrow_scan` takes addresses and
//! is reached only through a view, which would be created in the lake.
//!
//! ```text
//! bind: handle ─▶ Source ─▶ columns      init: how many threads      scan: 2,048 rows of a batch, not copied
//! ```

use std::{
    collections::HashMap,
    ffi::{CStr, CString, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::Arc,
    thread::{self, ThreadId},
};

use arrow::{
    array::{Array, RecordBatch, StructArray},
    ffi::{FFI_ArrowArray, FFI_ArrowSchema},
};
use duckdb::ffi;
use parking_lot::Mutex;

use super::{error, value::LogicalType};
use crate::{
    engine::{accept, inflow::Inflow},
    error::{Error, Result},
};

/// The function's name in SQL.
pub(super) const FUNCTION: &CStr = c"merganser_rows";
/// DuckDB's vector size: no chunk of a table function may have more rows.
const CHUNK_ROWS: usize = 2_048;

/// The scans that statements may reference.
#[derive(Clone, Debug, Default)]
pub(super) struct Scans(Arc<Mutex<HashMap<String, Arc<Source>>>>);

/// One scan, as seen by the callbacks.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) rows: Inflow,
    columns: Vec<(CString, LogicalType)>,
    converted: ConvertedSchema,
    connection: ffi::duckdb_connection,
    /// The thread that executes the statement; others only help.
    owner: ThreadId,
}

// SAFETY: types and converted schema are only read once created. The connection is passed on to conversions, which read
// its settings, while a statement runs on it.
unsafe impl Send for Source {}
// SAFETY: as above.
unsafe impl Sync for Source {}

/// How DuckDB reads the arrays of an Arrow schema.
#[derive(Debug)]
struct ConvertedSchema(ffi::duckdb_arrow_converted_schema);

/// The state of one DuckDB thread that reads.
struct Reader {
    source: Arc<Source>,
    batch: Option<RecordBatch>,
    next_row: usize,
    /// The rows that DuckDB is processing: the chunk refers to the memory of the rows.
    held: Option<(Chunk, RecordBatch)>,
}

struct Chunk(ffi::duckdb_data_chunk);

// === impl Scans ===

impl Scans {
    /// Registers the function in the instance of `connection`.
    ///
    /// # Errors
    /// Internal if DuckDB refuses.
    ///
    /// # Safety
    /// The connection is open.
    pub(super) unsafe fn register(&self, connection: ffi::duckdb_connection) -> Result<()> {
        // SAFETY: the function is alive until it is destroyed; registering copies it. The name is a static string, the
        // extra info is freed by DuckDB with `drop_box` of its own type.
        unsafe {
            let mut function = ffi::duckdb_create_table_function();
            let mut handle = ffi::duckdb_create_logical_type(ffi::DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR);
            ffi::duckdb_table_function_set_name(function, FUNCTION.as_ptr());
            ffi::duckdb_table_function_add_parameter(function, handle);
            ffi::duckdb_table_function_set_extra_info(function, into_box(self.clone()), Some(drop_box::<Self>));
            ffi::duckdb_table_function_set_bind(function, Some(bind));
            ffi::duckdb_table_function_set_init(function, Some(init));
            ffi::duckdb_table_function_set_local_init(function, Some(init_reader));
            ffi::duckdb_table_function_set_function(function, Some(scan));
            let state = ffi::duckdb_register_table_function(connection, function);
            ffi::duckdb_destroy_logical_type(&raw mut handle);
            ffi::duckdb_destroy_table_function(&raw mut function);
            if state == ffi::DuckDBSuccess { Ok(()) } else { Err(Error::internal("register the scan of rows")) }
        }
    }

    /// Adds `source`, which statements can then name by the returned handle.
    pub(super) fn add(&self, source: Arc<Source>) -> String {
        let handle = uuid::Uuid::new_v4().to_string();
        self.0.lock().insert(handle.clone(), source);
        handle
    }

    /// Removes a source.
    pub(super) fn remove(&self, handle: &str) {
        self.0.lock().remove(handle);
    }
}

// === impl Source ===

impl Source {
    /// The source of `rows` for statements of `connection` that run on this thread.
    ///
    /// # Errors
    /// Unsupported for columns of types that DuckDB does not support.
    ///
    /// # Safety
    /// The connection is open, and stays open as long as statements read the source.
    pub(super) unsafe fn new(connection: ffi::duckdb_connection, rows: Inflow) -> Result<Self> {
        let schema = rows.schema();
        let converted = ConvertedSchema::new(connection, schema)?;
        // DuckDB provides the types only through an example.
        let example = converted.chunk(connection, RecordBatch::new_empty(Arc::clone(schema)))?;
        let mut columns = Vec::new();
        for (index, field) in (0..).zip(schema.fields()) {
            let name = CString::new(field.name().as_str());
            let name = name.map_err(|_| Error::invalid("a column's name contains a NUL byte"))?;
            // SAFETY: the chunk has a vector for each column; the type is owned by `LogicalType`.
            let kind = unsafe {
                LogicalType::from_raw(ffi::duckdb_vector_get_column_type(ffi::duckdb_data_chunk_get_vector(
                    example.0, index,
                )))
            };
            columns.push((name, kind));
        }
        Ok(Self { columns, converted, connection, owner: thread::current().id(), rows })
    }

    /// Converts the rows to a chunk.
    fn take(&self, part: &RecordBatch) -> Result<(Chunk, RecordBatch)> {
        let part = accept::batch(part, self.rows.schema())?;
        Ok((self.converted.chunk(self.connection, part.clone())?, part))
    }
}

// === impl ConvertedSchema ===

impl ConvertedSchema {
    fn new(connection: ffi::duckdb_connection, schema: &arrow::datatypes::Schema) -> Result<Self> {
        let mut exported =
            FFI_ArrowSchema::try_from(schema).map_err(|err| Error::unsupported(format!("read columns: {err}")))?;
        let mut converted = ptr::null_mut();
        // SAFETY: `FFI_ArrowSchema` is the C data interface's record; DuckDB reads it, and `Drop` releases it.
        unsafe {
            error::check_error_data(ffi::duckdb_schema_from_arrow(
                connection,
                (&raw mut exported).cast(),
                &raw mut converted,
            ))?;
        }
        Ok(Self(converted))
    }

    /// The rows as a chunk, which refers to their memory.
    fn chunk(&self, connection: ffi::duckdb_connection, rows: RecordBatch) -> Result<Chunk> {
        let mut exported = FFI_ArrowArray::new(&StructArray::from(rows).to_data());
        let mut chunk = ptr::null_mut();
        // SAFETY: the connection is open, the array has the columns of the schema; DuckDB takes ownership by clearing
        // the record's `release`, otherwise `Drop` releases it.
        unsafe {
            error::check_error_data(ffi::duckdb_data_chunk_from_arrow(
                connection,
                (&raw mut exported).cast(),
                self.0,
                &raw mut chunk,
            ))?;
        }
        Ok(Chunk(chunk))
    }
}

impl Drop for ConvertedSchema {
    fn drop(&mut self) {
        // SAFETY: created by DuckDB and destroyed once.
        unsafe { ffi::duckdb_destroy_arrow_converted_schema(&raw mut self.0) };
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: owned by this value; destroying null does nothing.
        unsafe { ffi::duckdb_destroy_data_chunk(&raw mut self.0) };
    }
}

// === impl Reader ===

impl Reader {
    /// The next chunk of rows to process; `None` at the end and after a failure.
    fn next(&mut self) -> Option<&(Chunk, RecordBatch)> {
        self.held = None;
        let part = self.next_part()?;
        match self.source.take(&part) {
            Ok(held) => Some(self.held.insert(held)),
            Err(err) => {
                self.source.rows.fail(err);
                None
            }
        }
    }

    /// The next rows, at most as many as DuckDB takes at once.
    fn next_part(&mut self) -> Option<RecordBatch> {
        let rest = |batch: &RecordBatch, from: usize| batch.num_rows() - from;
        while self.batch.as_ref().is_none_or(|batch| rest(batch, self.next_row) == 0) {
            let stays = thread::current().id() == self.source.owner;
            self.batch = Some(self.source.rows.next(stays)?);
            self.next_row = 0;
        }
        let batch = self.batch.as_ref()?;
        let part = batch.slice(self.next_row, rest(batch, self.next_row).min(CHUNK_ROWS));
        self.next_row += part.num_rows();
        Some(part)
    }
}

// === callbacks ===

/// Finds the rows by their handle and declares their columns.
unsafe extern "C" fn bind(info: ffi::duckdb_bind_info) {
    let attempt = || -> Result<()> {
        // SAFETY: DuckDB passes a valid record; the extra info is what `register` set; the parameter exists, and its
        // value and string are freed.
        let (scans, handle) = unsafe {
            let scans = &*ffi::duckdb_bind_get_extra_info(info).cast::<Scans>();
            let mut value = ffi::duckdb_bind_get_parameter(info, 0);
            let text = ffi::duckdb_get_varchar(value);
            ffi::duckdb_destroy_value(&raw mut value);
            let handle = if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into() };
            ffi::duckdb_free(text.cast());
            (scans, handle)
        };
        let source = scans.0.lock().get(&handle).cloned();
        let source =
            source.ok_or_else(|| Error::not_found("the rows do not exist: the function belongs to the server"))?;
        for (name, kind) in &source.columns {
            // SAFETY: name and type are alive and copied.
            unsafe { ffi::duckdb_bind_add_result_column(info, name.as_ptr(), kind.as_ptr()) };
        }
        // SAFETY: freed by DuckDB with `drop_box` of its own type.
        unsafe { ffi::duckdb_bind_set_bind_data(info, into_box(source), Some(drop_box::<Arc<Source>>)) };
        Ok(())
    };
    // SAFETY: the record is valid and the string lives until the call returns.
    guard(attempt, |text| unsafe { ffi::duckdb_bind_set_error(info, text) });
}

/// Determines how many threads read.
unsafe extern "C" fn init(info: ffi::duckdb_init_info) {
    let attempt = || -> Result<()> {
        // SAFETY: DuckDB passes a valid record; the bind data is what `bind` set.
        let source = unsafe { &*ffi::duckdb_init_get_bind_data(info).cast::<Arc<Source>>() };
        let threads = if source.rows.is_large() { u64::MAX } else { 1 };
        // SAFETY: as above.
        unsafe { ffi::duckdb_init_set_max_threads(info, threads) };
        Ok(())
    };
    // SAFETY: the record is valid and the string lives until the call returns.
    guard(attempt, |text| unsafe { ffi::duckdb_init_set_error(info, text) });
}

/// Prepares a thread to read.
unsafe extern "C" fn init_reader(info: ffi::duckdb_init_info) {
    let attempt = || -> Result<()> {
        // SAFETY: DuckDB passes a valid record; the bind data is what `bind` set.
        let source = unsafe { Arc::clone(&*ffi::duckdb_init_get_bind_data(info).cast::<Arc<Source>>()) };
        source.rows.join();
        let reader = Reader { source, batch: None, next_row: 0, held: None };
        // SAFETY: freed by DuckDB with `drop_box` of its own type.
        unsafe { ffi::duckdb_init_set_init_data(info, into_box(reader), Some(drop_box::<Reader>)) };
        Ok(())
    };
    // SAFETY: the record is valid and the string lives until the call returns.
    guard(attempt, |text| unsafe { ffi::duckdb_init_set_error(info, text) });
}

/// Returns the next rows.
unsafe extern "C" fn scan(info: ffi::duckdb_function_info, output: ffi::duckdb_data_chunk) {
    let attempt = || -> Result<()> {
        // SAFETY: the local data is what `init_reader` set, and one thread at a time uses it.
        let reader = unsafe { &mut *ffi::duckdb_function_get_local_init_data(info).cast::<Reader>() };
        let Some((chunk, rows)) = reader.next() else {
            // SAFETY: the output is valid; zero rows signal that this thread is done.
            unsafe { ffi::duckdb_data_chunk_set_size(output, 0) };
            return Ok(());
        };
        for column in 0..rows.num_columns() as u64 {
            // SAFETY: both chunks have this column and its type. The memory referred to lives in the reader until
            // DuckDB requests the next rows, when it is done with these.
            unsafe {
                ffi::duckdb_vector_reference_vector(
                    ffi::duckdb_data_chunk_get_vector(output, column),
                    ffi::duckdb_data_chunk_get_vector(chunk.0, column),
                );
            }
        }
        // SAFETY: as above.
        unsafe { ffi::duckdb_data_chunk_set_size(output, rows.num_rows() as u64) };
        Ok(())
    };
    // SAFETY: the record is valid and the string lives until the call returns.
    guard(attempt, |text| unsafe { ffi::duckdb_function_set_error(info, text) });
}

/// Runs a callback: its error, or a panic, leaves it only as a message.
fn guard(attempt: impl FnOnce() -> Result<()>, fail: impl FnOnce(*const std::ffi::c_char)) {
    let outcome = catch_unwind(AssertUnwindSafe(attempt));
    let text = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(err)) => err.message().replace('\0', ""),
        Err(_) => "read the rows sent: malformed Arrow data".to_owned(),
    };
    let text = CString::new(text).unwrap_or_default();
    fail(text.as_ptr());
}

fn into_box<T>(value: T) -> *mut c_void {
    Box::into_raw(Box::new(value)).cast()
}

/// Frees a value created by [`into_box`].
unsafe extern "C" fn drop_box<T>(ptr: *mut c_void) {
    // SAFETY: DuckDB calls it once with the pointer that it received.
    drop(unsafe { Box::from_raw(ptr.cast::<T>()) });
}

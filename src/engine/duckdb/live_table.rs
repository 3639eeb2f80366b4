//! Tables whose rows are computed when a query reads them: `FROM name()`.
//!
//! The rows are read once per execution, before its first row, so that one query sees one state.

use std::{
    ffi::{CString, c_void},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use duckdb::ffi;

use super::{connection::Connection, value::LogicalType};
use crate::error::{Error, Result};

/// Returns the rows, each with a cell for every column, in order.
type Rows = Box<dyn Fn() -> Vec<Vec<Cell>> + Send + Sync>;

/// A table function without arguments.
pub struct LiveTable {
    /// Its name in SQL.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [(&'static str, CellKind)],
    /// Called once per execution, on the worker's thread: it must not wait for another statement.
    pub rows: Rows,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// VARCHAR.
    Text,
    /// BIGINT.
    Whole,
    /// DOUBLE.
    Number,
    /// BOOLEAN.
    Flag,
    /// TIMESTAMP WITH TIME ZONE.
    Moment,
}

/// A value of a row. A value whose type is not that of its column reads as NULL.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// NULL, in a column of any type.
    Null,
    /// A string.
    Text(String),
    /// An integer.
    Whole(i64),
    /// A floating-point number.
    Number(f64),
    /// A Boolean.
    Flag(bool),
    /// A timestamp, in microseconds since 1970 UTC.
    Moment(i64),
}

/// The remaining rows of an execution.
struct Scan {
    rows: std::vec::IntoIter<Vec<Cell>>,
    columns: &'static [(&'static str, CellKind)],
}

// === impl Connection ===

impl Connection {
    /// Registers `table` for all connections of the instance, for the lifetime of the instance.
    ///
    /// # Errors
    /// Internal if DuckDB rejects it.
    pub fn register(&self, table: LiveTable) -> Result<()> {
        let name = table.name;
        let name_c = CString::new(name).map_err(|_| Error::internal("a table's name contains a NUL byte"))?;
        // SAFETY: the connection is open; DuckDB copies the name, owns the table from `set_extra_info` on and frees it
        // with `drop_box`; the function is destroyed once, its registration lives on without it.
        let state = unsafe {
            let mut function = ffi::duckdb_create_table_function();
            ffi::duckdb_table_function_set_name(function, name_c.as_ptr());
            ffi::duckdb_table_function_set_extra_info(
                function,
                Box::into_raw(Box::new(table)).cast(),
                Some(drop_box::<LiveTable>),
            );
            ffi::duckdb_table_function_set_bind(function, Some(bind));
            ffi::duckdb_table_function_set_init(function, Some(init));
            ffi::duckdb_table_function_set_function(function, Some(give));
            let state = ffi::duckdb_register_table_function(self.as_ptr(), function);
            ffi::duckdb_destroy_table_function(&raw mut function);
            state
        };
        if state == ffi::DuckDBSuccess {
            return Ok(());
        }
        Err(Error::internal(format!("register the table {name}()")))
    }
}

/// Frees data that DuckDB held.
pub(super) unsafe extern "C" fn drop_box<T>(data: *mut c_void) {
    // SAFETY: DuckDB calls this once, with the pointer that it was given with this function.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
}

/// Declares the columns.
unsafe extern "C" fn bind(info: ffi::duckdb_bind_info) {
    // SAFETY: `info` is alive during the call, and the table as long as the function is registered; DuckDB copies names
    // and types.
    unsafe {
        let table = &*ffi::duckdb_bind_get_extra_info(info).cast::<LiveTable>();
        for (name, kind) in table.columns {
            // The names are constants of this crate; one with a NUL byte would yield no column, which the first row
            // would show.
            let Ok(name) = CString::new(*name) else { continue };
            ffi::duckdb_bind_add_result_column(info, name.as_ptr(), kind.logical_type().as_ptr());
        }
    }
}

/// Reads the rows.
unsafe extern "C" fn init(info: ffi::duckdb_init_info) {
    // SAFETY: as in `bind`; DuckDB owns the scan and frees it with `drop_box`. No panic may cross into DuckDB.
    unsafe {
        let table = &*ffi::duckdb_init_get_extra_info(info).cast::<LiveTable>();
        match catch_unwind(AssertUnwindSafe(|| (table.rows)())) {
            Ok(rows) => {
                let scan = Scan { rows: rows.into_iter(), columns: table.columns };
                ffi::duckdb_init_set_init_data(info, Box::into_raw(Box::new(scan)).cast(), Some(drop_box::<Scan>));
            }
            Err(_) => ffi::duckdb_init_set_error(info, c"the rows of a table could not be made".as_ptr()),
        }
    }
}

/// Returns the next rows; none at the end.
unsafe extern "C" fn give(info: ffi::duckdb_function_info, output: ffi::duckdb_data_chunk) {
    // SAFETY: the scan is alive as long as its execution, which one thread reads: `max_threads` is 1 unless set. The
    // chunk has room for `duckdb_vector_size` rows in each of the columns that `bind` declared, with their types.
    unsafe {
        let scan = &mut *ffi::duckdb_function_get_init_data(info).cast::<Scan>();
        let mut count = 0;
        while count < ffi::duckdb_vector_size() {
            let Some(row) = scan.rows.next() else { break };
            for (index, (_, kind)) in (0..).zip(scan.columns) {
                let cell = usize::try_from(index).ok().and_then(|index| row.get(index)).unwrap_or(&Cell::Null);
                write(ffi::duckdb_data_chunk_get_vector(output, index), count, *kind, cell);
            }
            count += 1;
        }
        ffi::duckdb_data_chunk_set_size(output, count);
    }
}

/// Writes `cell` to `row` of a vector.
///
/// # Safety
/// `vector` is a flat vector of the type of `kind`, with room for `row`.
unsafe fn write(vector: ffi::duckdb_vector, row: u64, kind: CellKind, cell: &Cell) {
    // SAFETY: the vector holds values of the kind's type by this function's own contract, and strings are copied.
    unsafe {
        let data = ffi::duckdb_vector_get_data(vector);
        let at = usize::try_from(row).unwrap_or_default();
        match (kind, cell) {
            (CellKind::Text, Cell::Text(text)) => {
                ffi::duckdb_vector_assign_string_element_len(vector, row, text.as_ptr().cast(), text.len() as u64);
            }
            (CellKind::Whole, Cell::Whole(number)) | (CellKind::Moment, Cell::Moment(number)) => {
                data.cast::<i64>().add(at).write(*number);
            }
            (CellKind::Number, Cell::Number(number)) => data.cast::<f64>().add(at).write(*number),
            (CellKind::Flag, Cell::Flag(flag)) => data.cast::<bool>().add(at).write(*flag),
            _ => {
                ffi::duckdb_vector_ensure_validity_writable(vector);
                ffi::duckdb_validity_set_row_invalid(ffi::duckdb_vector_get_validity(vector), row);
            }
        }
    }
}

// === impl CellKind ===

impl CellKind {
    fn logical_type(self) -> LogicalType {
        match self {
            Self::Text => LogicalType::varchar(),
            Self::Whole => LogicalType::bigint(),
            Self::Number => LogicalType::double(),
            Self::Flag => LogicalType::boolean(),
            Self::Moment => LogicalType::timestamp_tz(),
        }
    }
}

// === impl Cell ===

impl<T> From<Option<T>> for Cell
where
    Self: From<T>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::from)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Whole(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Cell {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

// === impl LiveTable ===

impl fmt::Debug for LiveTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveTable({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::Database, *};

    const KINDS: &[(&str, CellKind)] = &[
        ("text", CellKind::Text),
        ("whole", CellKind::Whole),
        ("number", CellKind::Number),
        ("flag", CellKind::Flag),
        ("moment", CellKind::Moment),
    ];

    fn connect() -> Connection {
        Database::open_in_memory(&[], true).unwrap().connect().unwrap()
    }

    #[derive(serde::Deserialize)]
    struct Sums {
        rows: u64,
        nulls: u64,
        whole: i64,
        texts: u64,
        flags: u64,
        last: String,
    }

    #[test]
    fn cells_of_all_kinds_come_in_many_chunks() {
        let connection = connect();
        let rows = || {
            let row = |i: i64| match i % 3 {
                0 => vec![Cell::Null; KINDS.len()],
                // A row that is too short, and a cell of another type.
                1 => vec![format!("text number {i}").into(), Cell::Flag(true)],
                _ => vec!["x".into(), Cell::Whole(i), 0.5.into(), true.into(), Cell::Moment(i * 1_000_000)],
            };
            (0..5000).map(row).collect()
        };
        connection.register(LiveTable { name: "live", columns: KINDS, rows: Box::new(rows) }).unwrap();
        let sums: Sums = connection
            .record(
                "SELECT count(*) AS rows, count(*) FILTER (text IS NULL) AS nulls, sum(whole)::BIGINT AS whole,
                    count(DISTINCT text) AS texts, count(*) FILTER (flag) AS flags,
                    max(epoch(moment))::BIGINT::VARCHAR AS last
                 FROM live()",
                &[],
            )
            .unwrap();
        assert_eq!((sums.rows, sums.nulls, sums.texts, sums.flags), (5000, 1667, 1668, 1666));
        assert_eq!((sums.whole, sums.last.as_str()), ((0..5000).filter(|i| i % 3 == 2).sum(), "4997"));
    }

    #[test]
    fn a_panic_is_an_error_of_the_query() {
        let connection = connect();
        let rows = || panic!("as the test wants it");
        connection.register(LiveTable { name: "live", columns: KINDS, rows: Box::new(rows) }).unwrap();
        assert!(connection.query("FROM live()", &[]).unwrap_err().message().contains("could not be made"));
        assert!(connection.query("SELECT 1", &[]).is_ok());
    }

    #[test]
    fn the_table_goes_with_its_instance() {
        let kept = Arc::new(());
        let connection = connect();
        let (name, held) = ("live", Arc::clone(&kept));
        let rows = Box::new(move || vec![vec![Cell::Whole(Arc::strong_count(&held).try_into().unwrap())]; 1]);
        connection.register(LiveTable { name, columns: &[("n", CellKind::Whole)], rows }).unwrap();
        connection.execute("FROM live()", &[]).unwrap();
        assert_eq!(Arc::strong_count(&kept), 2);
        drop(connection);
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}

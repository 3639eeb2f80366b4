//! Prepared statements: their kind and their columns.

use std::{
    cell::Cell,
    ffi::{CStr, CString},
    ptr,
    rc::Rc,
    sync::Arc,
};

use arrow::{
    datatypes::{Schema, SchemaRef},
    ffi::FFI_ArrowSchema,
};
use duckdb::ffi;

use super::{
    connection::{ArrowOptions, Connection},
    error,
    value::LogicalType,
};
use crate::error::{Error, Result};

/// A prepared statement of a connection.
#[derive(Debug)]
pub struct Statement<'c> {
    ptr: Cell<ffi::duckdb_prepared_statement>,
    connection: &'c Connection,
    /// Its text, unless it is one of several statements that DuckDB made of the text.
    text: Option<Rc<str>>,
    /// The number of the connection's executions when it was prepared.
    prepared_after: Cell<u64>,
}

/// The kind of a statement, as determined by DuckDB's parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// Returns rows and changes nothing by itself: SELECT, EXPLAIN, DESCRIBE, SHOW.
    Read,
    /// Changes rows: INSERT, UPDATE, DELETE, MERGE.
    Write,
    /// Creates or drops objects in the catalog: CREATE, DROP.
    Define,
    /// Changes objects in the catalog: ALTER, COMMENT ON.
    Alter,
    /// BEGIN, COMMIT or ROLLBACK.
    Transaction,
    /// Any other; with its name in SQL.
    Other(&'static str),
}

/// Parsed statements.
#[derive(Debug)]
pub(super) struct Extracted {
    ptr: ffi::duckdb_extracted_statements,
    len: u64,
    text: Rc<str>,
}

/// The names of the kinds that are neither reads, writes nor definitions.
const OTHERS: &[(ffi::duckdb_statement_type, &str)] = &[
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_PREPARE, "PREPARE"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXECUTE, "EXECUTE"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_COPY, "COPY"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ANALYZE, "ANALYZE"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_VARIABLE_SET, "SET"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SET, "SET"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXPORT, "EXPORT"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_PRAGMA, "PRAGMA"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_VACUUM, "VACUUM"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CALL, "CALL"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_LOAD, "LOAD"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ATTACH, "ATTACH"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DETACH, "DETACH"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_COPY_DATABASE, "COPY DATABASE"),
    (ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE_EXTENSIONS, "UPDATE EXTENSIONS"),
];

// === impl Extracted ===

impl Extracted {
    /// The number of statements.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Prepares the statement at `index` without executing any.
    pub(super) fn prepare<'c>(&mut self, connection: &'c Connection, index: u64) -> Result<Statement<'c>> {
        let mut statement = ptr::null_mut();
        // SAFETY: connection and extracted statements are alive, the index is below `len` by the callers' loops, and
        // the statement is owned by `Statement` even if preparing failed.
        unsafe {
            let state =
                ffi::duckdb_prepare_extracted_statement(connection.as_ptr(), self.ptr, index, &raw mut statement);
            let text = (self.len == 1).then(|| Rc::clone(&self.text));
            let prepared_after = Cell::new(connection.executed());
            let statement = Statement { ptr: Cell::new(statement), connection, text, prepared_after };
            if state != ffi::DuckDBSuccess {
                return Err(error::from_pointer(ffi::duckdb_prepare_error(statement.as_ptr())));
            }
            Ok(statement)
        }
    }
}

impl Drop for Extracted {
    fn drop(&mut self) {
        // SAFETY: created by `duckdb_extract_statements` and destroyed once.
        unsafe { ffi::duckdb_destroy_extracted(&raw mut self.ptr) };
    }
}

// === impl Statement ===

impl<'c> Statement<'c> {
    /// Parses `sql` into its statements.
    pub(super) fn extract(connection: &Connection, sql: &str) -> Result<Extracted> {
        let text = CString::new(sql).map_err(|_| Error::invalid("the statement contains a NUL byte"))?;
        let mut ptr = ptr::null_mut();
        // SAFETY: the string lives until the call returns; the out pointer is valid.
        let len = unsafe { ffi::duckdb_extract_statements(connection.as_ptr(), text.as_ptr(), &raw mut ptr) };
        let extracted = Extracted { ptr, len, text: sql.into() };
        // SAFETY: `extracted` is alive; the message, null if parsing succeeded, belongs to it.
        if len == 0 && !unsafe { ffi::duckdb_extract_statements_error(extracted.ptr) }.is_null() {
            return Err(Connection::extract_error(extracted.ptr));
        }
        Ok(extracted)
    }

    /// The kind of the statement.
    pub fn kind(&self) -> StatementKind {
        // SAFETY: the statement is alive.
        let kind = unsafe { ffi::duckdb_prepared_statement_type(self.as_ptr()) };
        match kind {
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXPLAIN => StatementKind::Read,
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_MERGE_INTO => StatementKind::Write,
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE_FUNC
            | ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DROP => StatementKind::Define,
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ALTER => StatementKind::Alter,
            ffi::duckdb_statement_type_DUCKDB_STATEMENT_TYPE_TRANSACTION => StatementKind::Transaction,
            _ => StatementKind::Other(OTHERS.iter().find(|(of, _)| *of == kind).map_or("statement", |(_, name)| name)),
        }
    }

    /// The number of parameters.
    pub fn parameter_count(&self) -> usize {
        // SAFETY: the statement is alive.
        usize::try_from(unsafe { ffi::duckdb_nparams(self.as_ptr()) }).unwrap_or(usize::MAX)
    }

    /// The names of the parameters, in binding order; unnamed ones have their number.
    pub fn parameter_names(&self) -> Vec<String> {
        let name = |index| {
            // SAFETY: the statement is alive, the index is in range; the string is freed after it was copied.
            unsafe {
                let name = ffi::duckdb_parameter_name(self.as_ptr(), index);
                if name.is_null() {
                    return String::new();
                }
                let copied = CStr::from_ptr(name).to_string_lossy().into_owned();
                ffi::duckdb_free(name.cast_mut().cast());
                copied
            }
        };
        (1..=self.parameter_count() as u64).map(name).collect()
    }

    /// The parameters as Arrow fields, named "0", "1", …; a parameter whose type cannot be inferred is Null.
    ///
    /// # Errors
    /// A type without an Arrow equivalent.
    pub fn parameter_schema(&self) -> Result<SchemaRef> {
        let types: Vec<_> = (1..=self.parameter_count() as u64)
            // SAFETY: the statement is alive, the index is in range; the type is owned by `LogicalType`.
            .map(|index| LogicalType::from_raw(unsafe { ffi::duckdb_param_logical_type(self.as_ptr(), index) }))
            .collect();
        let names: Vec<_> = (0..types.len()).map(|index| index.to_string()).collect();
        self.connection.arrow_schema(&names, &types)
    }

    /// The columns of the result, known before it runs; `None` if they depend on the parameters' values.
    ///
    /// # Errors
    /// A type without an Arrow equivalent.
    pub fn result_schema(&self) -> Result<Option<SchemaRef>> {
        // SAFETY: the statement is alive; names and types are owned below.
        let count = unsafe { ffi::duckdb_prepared_statement_column_count(self.as_ptr()) };
        let mut names = Vec::new();
        let mut types = Vec::new();
        for index in 0..count {
            // SAFETY: as above; the name is freed after it was copied.
            unsafe {
                let name = ffi::duckdb_prepared_statement_column_name(self.as_ptr(), index);
                let kind = ffi::duckdb_prepared_statement_column_logical_type(self.as_ptr(), index);
                if name.is_null() || kind.is_null() {
                    return Ok(None);
                }
                names.push(CStr::from_ptr(name).to_string_lossy().into_owned());
                ffi::duckdb_free(name.cast_mut().cast());
                types.push(LogicalType::from_raw(kind));
            }
        }
        if types.iter().any(LogicalType::is_unresolved) {
            return Ok(None);
        }
        self.connection.arrow_schema(&names, &types).map(Some)
    }

    /// Prepares the statement again if the connection has executed anything since it was prepared, this statement
    /// included. One of several statements that DuckDB made of one text stays as it is: they belong together.
    ///
    /// The plan points into DuckLake's copy of the catalog version, which DuckLake (d8a1881e) keeps alive until an
    /// execution on the connection ends. Then the copy may be freed: when another connection adds a copy of its own, or
    /// DuckDB needs the memory. DuckDB itself plans again only if the version has changed.
    ///
    /// # Errors
    /// Errors of DuckDB's binder.
    pub(super) fn renew(&self) -> Result<()> {
        let Some(text) = self.text.as_deref() else { return Ok(()) };
        if self.prepared_after.get() == self.connection.executed() {
            return Ok(());
        }
        let again = self.connection.prepare(text)?;
        self.ptr.swap(&again.ptr);
        self.prepared_after.swap(&again.prepared_after);
        Ok(())
    }

    pub(super) fn as_ptr(&self) -> ffi::duckdb_prepared_statement {
        self.ptr.get()
    }

    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: owned by this value and destroyed once.
        unsafe { ffi::duckdb_destroy_prepare(self.ptr.as_ptr()) };
    }
}

impl Connection {
    /// The Arrow schema of columns with these names and DuckDB types.
    pub(super) fn arrow_schema(&self, names: &[String], types: &[LogicalType]) -> Result<SchemaRef> {
        let options = self.arrow_options()?;
        Ok(arrow_schema(&options, names, types)?.0)
    }
}

/// The Arrow schema of columns, also in the form that imports their arrays.
pub(super) fn arrow_schema(
    options: &ArrowOptions,
    names: &[String],
    types: &[LogicalType],
) -> Result<(SchemaRef, FFI_ArrowSchema)> {
    let texts: Vec<_> = names
        .iter()
        .map(|name| CString::new(name.replace('\0', "")))
        .collect::<Result<_, _>>()
        .map_err(|_| Error::internal("a column's name contains a NUL byte"))?;
    let mut name_ptrs: Vec<_> = texts.iter().map(|text| text.as_ptr()).collect();
    let mut type_ptrs: Vec<_> = types.iter().map(LogicalType::as_ptr).collect();
    let mut exported = FFI_ArrowSchema::empty();
    // SAFETY: both arrays have `len` entries that live until the call returns; `FFI_ArrowSchema` and DuckDB's
    // `ArrowSchema` are both the C data interface's record, and the former's `Drop` releases it.
    unsafe {
        error::check_error_data(ffi::duckdb_to_arrow_schema(
            options.0,
            type_ptrs.as_mut_ptr(),
            name_ptrs.as_mut_ptr(),
            type_ptrs.len() as u64,
            (&raw mut exported).cast(),
        ))?;
    }
    let schema =
        Schema::try_from(&exported).map_err(|err| Error::unsupported(format!("read result columns: {err}")))?;
    Ok((Arc::new(schema), exported))
}

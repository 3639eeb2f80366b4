//! Executing SQL texts: scripts, single statements, and queries whose results are small.

use std::ffi::{CStr, CString};

use arrow::{
    array::{Array, RecordBatch, StringArray},
    datatypes::SchemaRef,
};
use duckdb::ffi;
use serde::de::DeserializeOwned;

use super::{
    connection::Connection,
    statement::{Extracted, Statement, StatementKind},
    value::Value,
};
use crate::error::{Error, Result};

/// The steps into which DuckDB splits one statement, to be run one after the other.
#[derive(Debug)]
pub struct Steps<'c> {
    extracted: Extracted,
    connection: &'c Connection,
}

// === impl Connection ===

impl Connection {
    /// Prepares exactly one statement. Nothing is executed.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty text, for several statements, and for a statement that DuckDB's parser or binder
    /// rejects.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        let mut steps = self.steps(sql)?;
        match steps.count() {
            1 => steps.prepare(0),
            n => Err(Error::invalid(format!("expected one statement, but the SQL text contains {n}"))),
        }
    }

    /// Parses a statement into its steps: one for most statements, several for a PIVOT without listed values and for
    /// adding a column whose default must be computed.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty text, and for one that DuckDB's parser rejects.
    pub fn steps(&self, sql: &str) -> Result<Steps<'_>> {
        let extracted = Statement::extract(self, sql)?;
        if extracted.len() == 0 {
            return Err(Error::invalid("the statement is empty"));
        }
        Ok(Steps { extracted, connection: self })
    }

    /// Executes every statement of `sql` in order and discards the rows.
    ///
    /// # Errors
    /// The error of the first statement that fails; those before it have taken effect.
    pub fn run_script(&self, sql: &str) -> Result<()> {
        let mut statements = Statement::extract(self, sql)?;
        for index in 0..statements.len() {
            let statement = {
                let _shared = self.share_preparing();
                statements.prepare(self, index)?
            };
            statement.execute(&[])?.drain()?;
        }
        Ok(())
    }

    /// Executes one statement to its end and returns the number of changed rows.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.prepare(sql)?.execute(params)?.drain()
    }

    /// The tables that a query reads, also through views, macros and `query()`, as DuckDB writes their names, with
    /// catalog and schema if they are `qualified`; `None` if DuckDB does not know them.
    ///
    /// # Errors
    /// `InvalidArgument` for a NUL character.
    pub fn table_names(&self, sql: &str, qualified: bool) -> Result<Option<Vec<String>>> {
        let _shared = self.share_preparing();
        let text = CString::new(sql).map_err(|_| Error::invalid("the statement contains a NUL byte"))?;
        // SAFETY: connection and text are alive; the list is owned by `Value`.
        let list = Value::from_raw(unsafe { ffi::duckdb_get_table_names(self.as_ptr(), text.as_ptr(), qualified) });
        if list.as_ptr().is_null() {
            return Ok(None);
        }
        // SAFETY: the list is alive; each child is owned by `Value`, and its text freed after it was copied.
        unsafe {
            let child = |index| Value::from_raw(ffi::duckdb_get_list_child(list.as_ptr(), index));
            let name = |value: Value| {
                let text = ffi::duckdb_get_varchar(value.as_ptr());
                if text.is_null() {
                    return String::new();
                }
                let name = CStr::from_ptr(text).to_string_lossy().into_owned();
                ffi::duckdb_free(text.cast());
                name
            };
            Ok(Some((0..ffi::duckdb_get_list_size(list.as_ptr())).map(child).map(name).collect()))
        }
    }

    /// Executes one statement and collects its rows. For results that are known to be small.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn query(&self, sql: &str, params: &[Value]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let statement = self.prepare(sql)?;
        let mut stream = statement.execute(params)?;
        let schema = stream.schema();
        let mut batches = Vec::new();
        while let Some(batch) = stream.next_batch()? {
            batches.push(batch);
        }
        Ok((schema, batches))
    }

    /// The rows of a query as typed records: each row becomes a JSON object inside DuckDB, so that columns
    /// are matched with fields by name.
    ///
    /// # Errors
    /// Errors of DuckDB; Internal if a row does not match the record.
    pub fn records<T: DeserializeOwned>(&self, query: &str, params: &[Value]) -> Result<Vec<T>> {
        let wrapped = format!("SELECT system.main.to_json(record)::VARCHAR FROM ({query}) record");
        let (_, batches) = self.query(&wrapped, params)?;
        let mut records = Vec::new();
        for batch in &batches {
            let texts = batch.column(0).as_any().downcast_ref::<StringArray>();
            let texts = texts.ok_or_else(|| Error::internal("DuckDB's JSON is not text"))?;
            for text in texts.iter().flatten() {
                let record = serde_json::from_str(text);
                records.push(record.map_err(|err| Error::internal("read record").with_source(err))?);
            }
        }
        Ok(records)
    }

    /// The record of a query with one row.
    ///
    /// # Errors
    /// As [`records`](Self::records); Internal if there is no row.
    pub fn record<T: DeserializeOwned>(&self, query: &str, params: &[Value]) -> Result<T> {
        self.records(query, params)?.pop().ok_or_else(|| Error::internal("the query has no row"))
    }
}

// === impl Steps ===

impl<'c> Steps<'c> {
    /// The number of steps, at least one.
    pub fn count(&self) -> u64 {
        self.extracted.len()
    }

    /// Prepares the step at `index`. The steps before it must have run.
    ///
    /// # Errors
    /// Errors of DuckDB's binder.
    pub fn prepare(&mut self, index: u64) -> Result<Statement<'c>> {
        let statement = {
            let _shared = self.connection.share_preparing();
            self.extracted.prepare(self.connection, index)?
        };
        if matches!(statement.kind(), StatementKind::Define | StatementKind::Alter) {
            self.connection.renew_hold()?;
        }
        Ok(statement)
    }
}

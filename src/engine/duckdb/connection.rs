//! A connection to DuckDB: it belongs to one thread at a time, and one statement runs on it at a time.

use std::{
    cell::Cell,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arrow::{
    array::{Array, RecordBatch, StringArray},
    datatypes::SchemaRef,
};
use duckdb::ffi;
use parking_lot::{Mutex, RwLockReadGuard};
use serde::de::DeserializeOwned;

use super::{Database, Statement, Value, arrow_scan::Scans, error, statement::Extracted};
use crate::error::{Error, Result};

/// How long a connection that waits to prepare alone keeps others from preparing at a time: some statements take long
/// to prepare.
const EXCLUSIVE_WAIT: Duration = Duration::from_millis(20);

/// One connection. TEMP objects, the open transaction and the settings of a session live here.
#[derive(Debug)]
pub struct Connection {
    ptr: ffi::duckdb_connection,
    /// Shared with interrupt handles; cleared before the connection closes.
    interrupt: Arc<Mutex<Option<InterruptTarget>>>,
    /// DuckDB's interrupt stops only a running statement; this also stops the next one of a task.
    interrupted: Arc<AtomicBool>,
    /// Whether a transaction may be open; querying DuckDB costs an exception.
    open: Cell<bool>,
    /// Whether no other connection may prepare a statement while this one does.
    exclusive: Cell<bool>,
    /// Keeps the instance open; dropped after the connection.
    database: Arc<Database>,
}

// SAFETY: a connection may move between threads; it is not `Sync`, so one thread uses it at a time.
unsafe impl Send for Connection {}

/// Stops what runs on a connection, from any thread.
#[derive(Clone, Debug)]
pub struct InterruptHandle {
    target: Arc<Mutex<Option<InterruptTarget>>>,
    interrupted: Arc<AtomicBool>,
}

#[derive(Debug)]
struct InterruptTarget(ffi::duckdb_connection);

// SAFETY: only `duckdb_interrupt` and `duckdb_query_progress` are called on it, which DuckDB allows from any thread.
unsafe impl Send for InterruptTarget {}

// === impl InterruptHandle ===

impl InterruptHandle {
    /// Stops the statement that is running on the connection, and those that would follow it before
    /// [`Connection::resume`].
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        if let Some(target) = self.target.lock().as_ref() {
            // SAFETY: the connection clears the slot, under this lock, before it closes.
            unsafe { ffi::duckdb_interrupt(target.0) };
        }
    }

    /// The progress of the running statement, from 0 to 1; `None` while DuckDB does not report it.
    pub fn progress(&self) -> Option<f64> {
        let target = self.target.lock();
        // SAFETY: as above; DuckDB keeps the progress in atomics, which any thread may read.
        let percentage = unsafe { ffi::duckdb_query_progress(target.as_ref()?.0) }.percentage;
        (percentage >= 0.0).then(|| (percentage / 100.0).min(1.0))
    }
}

// === impl Connection ===

impl Connection {
    pub(super) fn from_raw(ptr: ffi::duckdb_connection, database: Arc<Database>) -> Self {
        Self {
            ptr,
            interrupt: Arc::new(Mutex::new(Some(InterruptTarget(ptr)))),
            interrupted: Arc::default(),
            open: Cell::new(false),
            exclusive: Cell::new(false),
            database,
        }
    }

    pub(super) fn as_ptr(&self) -> ffi::duckdb_connection {
        self.ptr
    }

    pub(super) fn scans(&self) -> &Scans {
        &self.database.scans
    }

    /// A handle that stops the running statement.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle { target: Arc::clone(&self.interrupt), interrupted: Arc::clone(&self.interrupted) }
    }

    /// Clears an interrupt before the next task.
    pub fn resume(&self) {
        self.interrupted.store(false, Ordering::Release);
    }

    /// Fails if the running task was interrupted.
    ///
    /// # Errors
    /// Cancelled.
    pub fn check_interrupted(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Acquire) { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Prepares exactly one statement. Nothing is executed.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty string, several statements, or errors of DuckDB's parser and binder.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        let mut steps = self.steps(sql)?;
        match steps.count() {
            1 => steps.prepare(0),
            n => Err(Error::invalid(format!("expected one statement, but the SQL text contains {n}"))),
        }
    }

    /// Parses a statement into the steps that DuckDB runs for it: usually one, but several for a PIVOT that determines
    /// its values, and for an added column with a default that must be computed.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty string, and for errors of DuckDB's parser.
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
    /// The first statement that fails; those before it have taken effect.
    pub fn run_script(&self, sql: &str) -> Result<()> {
        let mut statements = Statement::extract(self, sql)?;
        for index in 0..statements.len() {
            let statement = {
                let _shared = self.share();
                statements.prepare(self, index)?
            };
            statement.execute(&[])?.drain()?;
        }
        Ok(())
    }

    /// Executes one statement to its end and returns the number of rows that it changed (0 if it changes none).
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.prepare(sql)?.execute(params)?.drain()
    }

    /// The tables that a query reads, also through views, macros and `query()`, as DuckDB writes their names; `None` if
    /// DuckDB does not report them.
    ///
    /// # Errors
    /// `InvalidArgument` for a NUL character.
    pub fn table_names(&self, sql: &str) -> Result<Option<Vec<String>>> {
        let _shared = self.share();
        super::value::table_names(self, sql)
    }

    /// Runs `work` while no other connection prepares a statement.
    ///
    /// # Errors
    /// Cancelled if the task was interrupted meanwhile; errors of `work`.
    pub fn exclusively<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let _exclusive = loop {
            self.check_interrupted()?;
            if let Some(exclusive) = self.database.preparing.try_write_for(EXCLUSIVE_WAIT) {
                break exclusive;
            }
        };
        self.exclusive.set(true);
        let outcome = work(self);
        self.exclusive.set(false);
        outcome
    }

    /// Keeps others from [`exclusively`](Self::exclusively) while a statement is prepared.
    pub(super) fn share(&self) -> Option<RwLockReadGuard<'_, ()>> {
        (!self.exclusive.get()).then(|| self.database.preparing.read())
    }

    /// Executes one statement and keeps all of its rows: for results known to be small.
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

    /// The rows of a query as typed records: each row is converted to a JSON object inside DuckDB, so that columns are
    /// matched to fields by name.
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

    /// The only record of a query.
    ///
    /// # Errors
    /// As [`records`](Self::records); Internal if there is none.
    pub fn record<T: DeserializeOwned>(&self, query: &str, params: &[Value]) -> Result<T> {
        self.records(query, params)?.pop().ok_or_else(|| Error::internal("the query has no row"))
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn begin(&self) -> Result<()> {
        self.open.set(true);
        self.execute("BEGIN TRANSACTION", &[]).map(|_| ())
    }

    /// Runs `work` in a transaction: commits if it succeeds, rolls back if it fails.
    ///
    /// # Errors
    /// Errors of `work` or the commit; the transaction is over in either case.
    pub fn transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.begin()?;
        let outcome = work(self).and_then(|value| self.commit().map(|()| value));
        if outcome.is_err() {
            self.rollback();
        }
        outcome
    }

    /// Commits the open transaction. An interrupt does not affect a commit that has begun: one that was stopped after
    /// the commit would fail although it had happened.
    ///
    /// # Errors
    /// Cancelled if the task was interrupted before; Conflict if another transaction committed first; errors of DuckDB.
    /// Nothing is committed then, unless the commit is executed by a foreign database whose connection was lost
    /// meanwhile.
    pub fn commit(&self) -> Result<()> {
        self.check_interrupted()?;
        let committed = self.uninterrupted(|| {
            // A commit that finds that others have committed binds against what they left.
            let statement = self.prepare("COMMIT")?;
            let _shared = self.share();
            statement.execute(&[])?.drain()
        });
        self.open.set(committed.is_err());
        committed.map(|_| ())
    }

    /// Runs `work` with interrupts disabled; an interrupt that was pending, or arrives meanwhile, takes effect
    /// afterwards.
    fn uninterrupted<T>(&self, work: impl FnOnce() -> T) -> T {
        let target = self.interrupt.lock().take();
        let before = self.interrupted.swap(false, Ordering::AcqRel);
        let outcome = work();
        *self.interrupt.lock() = target;
        if before {
            self.interrupted.store(true, Ordering::Release);
        }
        outcome
    }

    /// Rolls back the open transaction, if there is one. It must be called before a connection with an open transaction
    /// is dropped: DuckLake on a dead PostgreSQL aborts the process otherwise.
    pub fn rollback(&self) {
        if !self.open.get() {
            return;
        }
        let ended = self.uninterrupted(|| self.execute("ROLLBACK", &[]));
        // After a failed commit, DuckDB has rolled back already.
        let over = ended.map_or_else(|err| err.message().contains("no transaction is active"), |_| true);
        self.open.set(!over);
    }

    /// Invalidates the open transaction, so that it can only be rolled back.
    pub(super) fn invalidate(&self) {
        // An error in the middle of a statement does this; the error itself is not reported.
        let _ = self.execute("SELECT error('a write did not get all of its rows') FROM system.main.range(1)", &[]);
    }

    /// Whether a transaction may be open.
    pub fn is_open(&self) -> bool {
        self.open.get()
    }

    pub(super) fn arrow_options(&self) -> Result<ArrowOptions> {
        let mut options = ptr::null_mut();
        // SAFETY: the connection is open and the out pointer valid.
        unsafe { ffi::duckdb_connection_get_arrow_options(self.ptr, &raw mut options) };
        if options.is_null() {
            return Err(Error::internal("read Arrow options"));
        }
        Ok(ArrowOptions(options))
    }

    pub(super) fn extract_error(statements: ffi::duckdb_extracted_statements) -> Error {
        // SAFETY: the extracted statements are alive; the message belongs to them.
        unsafe { error::from_pointer(ffi::duckdb_extract_statements_error(statements)) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.rollback();
        self.interrupt.lock().take();
        // SAFETY: no statement is left (they borrow `self`) and no handle can reach the pointer any more.
        unsafe { ffi::duckdb_disconnect(&raw mut self.ptr) };
    }
}

/// The steps that DuckDB runs for one statement, one after the other.
#[derive(Debug)]
pub struct Steps<'c> {
    extracted: Extracted,
    connection: &'c Connection,
}

// === impl Steps ===

impl<'c> Steps<'c> {
    /// The number of steps, at least one.
    pub fn count(&self) -> u64 {
        self.extracted.len()
    }

    /// Prepares the step at `index`; the previous ones must have run.
    ///
    /// # Errors
    /// `InvalidArgument` and other errors of DuckDB's binder.
    pub fn prepare(&mut self, index: u64) -> Result<Statement<'c>> {
        let _shared = self.connection.share();
        self.extracted.prepare(self.connection, index)
    }
}

/// The connection's settings for converting DuckDB's types to Arrow.
pub(super) struct ArrowOptions(pub(super) ffi::duckdb_arrow_options);

impl Drop for ArrowOptions {
    fn drop(&mut self) {
        // SAFETY: created by DuckDB and destroyed once.
        unsafe { ffi::duckdb_destroy_arrow_options(&raw mut self.0) };
    }
}

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

/// How long one that waits to prepare alone keeps others from it at a time: some statements take long to prepare.
const EXCLUSIVE_WAIT: Duration = Duration::from_millis(20);

/// One connection. TEMP objects, the open transaction and the settings of a session live here.
#[derive(Debug)]
pub struct Connection {
    ptr: ffi::duckdb_connection,
    /// Shared with interrupt handles; emptied before the connection goes away.
    interrupt: Arc<Mutex<Option<InterruptTarget>>>,
    /// DuckDB's interrupt stops only a statement that runs; this stops the next one of a task as well.
    interrupted: Arc<AtomicBool>,
    /// Whether a transaction may be open; asking DuckDB costs an exception.
    open: Cell<bool>,
    /// Whether nobody else may prepare a statement while this connection does.
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
    /// Stops the statement that runs on the connection now, and those that would follow it there before
    /// [`Connection::resume`].
    pub fn interrupt(&self) {
        self.interrupted.store(true, Ordering::Release);
        if let Some(target) = self.target.lock().as_ref() {
            // SAFETY: the connection empties the slot, under this lock, before it closes.
            unsafe { ffi::duckdb_interrupt(target.0) };
        }
    }

    /// How much of the statement that runs is done, as a share of 1; `None` while DuckDB cannot tell.
    pub fn progress(&self) -> Option<f64> {
        let target = self.target.lock();
        // SAFETY: as above; DuckDB keeps the figures in atomics, so that any thread may ask.
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

    /// A handle that stops what runs here.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle { target: Arc::clone(&self.interrupt), interrupted: Arc::clone(&self.interrupted) }
    }

    /// Forgets an interrupt: what comes now is another task.
    pub fn resume(&self) {
        self.interrupted.store(false, Ordering::Release);
    }

    /// Fails when the task that runs here was interrupted.
    ///
    /// # Errors
    /// Cancelled.
    pub fn check_interrupted(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Acquire) { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Prepares exactly one statement. Nothing is executed.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty text, several statements, or what DuckDB's parser and binder refuse.
    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        let mut steps = self.steps(sql)?;
        match steps.count() {
            1 => steps.prepare(0),
            n => Err(Error::invalid(format!("the text holds {n} statements where one is expected"))),
        }
    }

    /// Parses a statement into the steps that DuckDB takes for it: one, but several for a PIVOT that looks for its values,
    /// and for a column that is added with a default which must be computed.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty text, and for what DuckDB's parser refuses.
    pub fn steps(&self, sql: &str) -> Result<Steps<'_>> {
        let extracted = Statement::extract(self, sql)?;
        if extracted.len() == 0 {
            return Err(Error::invalid("the statement is empty"));
        }
        Ok(Steps { extracted, connection: self })
    }

    /// Executes every statement of `sql` in order and forgets the rows.
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

    /// Executes one statement to its end and says how many rows it changed (0 for what changes none).
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        self.prepare(sql)?.execute(params)?.drain()
    }

    /// The tables that a query reads, also through views, macros and `query()`, as DuckDB writes their names; `None` where
    /// it does not say.
    ///
    /// # Errors
    /// `InvalidArgument` for a text with a NUL.
    pub fn table_names(&self, sql: &str) -> Result<Option<Vec<String>>> {
        let _shared = self.share();
        super::value::table_names(self, sql)
    }

    /// Does `work` while no other connection prepares a statement.
    ///
    /// # Errors
    /// Cancelled when the task was interrupted meanwhile; what `work` says.
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
    /// What DuckDB says.
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

    /// The rows of a query as typed records: each row becomes a JSON object inside DuckDB, so that column names and
    /// field names meet in one place.
    ///
    /// # Errors
    /// What DuckDB says; Internal when a row does not have the record's shape.
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
    /// As [`records`](Self::records); Internal when there is none.
    pub fn record<T: DeserializeOwned>(&self, query: &str, params: &[Value]) -> Result<T> {
        self.records(query, params)?.pop().ok_or_else(|| Error::internal("the query has no row"))
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn begin(&self) -> Result<()> {
        self.open.set(true);
        self.execute("BEGIN TRANSACTION", &[]).map(|_| ())
    }

    /// Runs `work` in a transaction: commits when it succeeds, rolls back when it fails.
    ///
    /// # Errors
    /// What `work` or the commit says; the transaction is over in either case.
    pub fn transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.begin()?;
        let outcome = work(self).and_then(|value| self.commit().map(|()| value));
        if outcome.is_err() {
            self.rollback();
        }
        outcome
    }

    /// Commits the open transaction. An interrupt does not reach a commit that has begun: one that was stopped behind the
    /// commit would fail although it had happened.
    ///
    /// # Errors
    /// Cancelled when the task was interrupted before; Conflict when another transaction was first; what DuckDB says.
    /// Nothing is committed then, but where the database that commits is a foreign one which was lost meanwhile.
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

    /// Does `work` as if nobody had interrupted the task, and lets nobody do so meanwhile; an interrupt that was there, or
    /// came, counts afterwards.
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

    /// Rolls back the open transaction, if there is one. It must be called before a connection with an open
    /// transaction is dropped: DuckLake on a dead PostgreSQL aborts the process otherwise.
    pub fn rollback(&self) {
        if !self.open.get() {
            return;
        }
        let ended = self.uninterrupted(|| self.execute("ROLLBACK", &[]));
        // After a commit that failed DuckDB has rolled back already.
        let over = ended.map_or_else(|err| err.message().contains("no transaction is active"), |_| true);
        self.open.set(!over);
    }

    /// Makes the open transaction one that can only be rolled back.
    pub(super) fn invalidate(&self) {
        // An error in midst of a statement does that; the error itself is not told to anybody.
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
        // SAFETY: the extracted statements are alive; the text belongs to them.
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

/// What DuckDB makes of one statement: the steps that it runs one after the other.
#[derive(Debug)]
pub struct Steps<'c> {
    extracted: Extracted,
    connection: &'c Connection,
}

// === impl Steps ===

impl<'c> Steps<'c> {
    /// How many there are, at least one.
    pub fn count(&self) -> u64 {
        self.extracted.len()
    }

    /// Prepares the step at `index`, for which those before it must have run.
    ///
    /// # Errors
    /// `InvalidArgument` and what else DuckDB's binder refuses.
    pub fn prepare(&mut self, index: u64) -> Result<Statement<'c>> {
        let _shared = self.connection.share();
        self.extracted.prepare(self.connection, index)
    }
}

/// How DuckDB turns its types into Arrow's, as the connection is set up.
pub(super) struct ArrowOptions(pub(super) ffi::duckdb_arrow_options);

impl Drop for ArrowOptions {
    fn drop(&mut self) {
        // SAFETY: made by DuckDB and destroyed once.
        unsafe { ffi::duckdb_destroy_arrow_options(&raw mut self.0) };
    }
}

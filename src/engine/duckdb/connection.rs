//! A connection to DuckDB: it belongs to one thread at a time, and one statement runs on it at a time.

use std::{
    cell::{Cell, RefCell},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use arrow::{
    array::{Array, RecordBatch, StringArray},
    datatypes::SchemaRef,
};
use duckdb::ffi;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;

use super::{Database, Statement, Value, arrow_scan::Scans, error};
use crate::{
    engine::{deletions::Deleting, write_turn::TakenTurn},
    error::{Context, Error, Result},
};

/// One connection. TEMP objects, the open transaction and the settings of a session live here.
#[derive(Debug)]
pub struct Connection {
    ptr: ffi::duckdb_connection,
    /// Shared with interrupt handles; emptied before the connection goes away.
    interrupt: Arc<Mutex<Option<InterruptTarget>>>,
    /// DuckDB's interrupt stops only a statement that runs; this stops the next one of a task as well.
    interrupted: Arc<AtomicBool>,
    /// Since when a transaction may be open; asking DuckDB costs an exception.
    open: Cell<Option<SystemTime>>,
    /// The turn to write, from [`begin_writing`](Self::begin_writing) to the end of the transaction.
    turn: RefCell<Option<TakenTurn>>,
    /// What the open transaction deletes.
    deleting: RefCell<Deleting>,
    /// Whether the files of the last commit whose answer was lost are there.
    files_are_back: Cell<bool>,
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
            open: Cell::new(None),
            turn: RefCell::new(None),
            deleting: RefCell::default(),
            files_are_back: Cell::new(false),
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
        let mut statements = Statement::extract(self, sql)?;
        match statements.len() {
            0 => Err(Error::invalid("the statement is empty")),
            1 => statements.prepare(self, 0),
            n => Err(Error::invalid(format!(
                "the text holds {n} statements; send them one at a time (a PIVOT counts as several unless it lists its values with IN)"
            ))),
        }
    }

    /// Executes every statement of `sql` in order and forgets the rows.
    ///
    /// # Errors
    /// The first statement that fails; those before it have taken effect.
    pub fn run_script(&self, sql: &str) -> Result<()> {
        let mut statements = Statement::extract(self, sql)?;
        for index in 0..statements.len() {
            statements.prepare(self, index)?.execute(&[])?.drain()?;
        }
        Ok(())
    }

    /// Executes one statement to its end and says how many rows it changed (0 for what changes none).
    ///
    /// # Errors
    /// What DuckDB says.
    pub fn execute(&self, sql: &str, params: &[Value]) -> Result<u64> {
        if sql.starts_with("BEGIN") {
            self.open.set(Some(SystemTime::now()));
            self.deleting.replace(self.database.deletions.begin());
        }
        let changed = self.prepare(sql)?.execute(params)?.drain()?;
        if sql == "COMMIT" || sql == "ROLLBACK" {
            self.open.set(None);
            self.turn.take();
        }
        Ok(changed)
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
        let wrapped = format!("SELECT to_json(record)::VARCHAR FROM ({query}) record");
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

    /// Says that the transaction which is open, or is opened next, will write. It waits here for its turn where
    /// transactions take turns, and keeps it to its end; so this comes before the transaction's first read, where it can.
    ///
    /// # Errors
    /// Cancelled when the task was interrupted; `ResourceExhausted` when others kept the turn for half a minute.
    pub fn begin_writing(&self) -> Result<()> {
        let Some(turn) = &self.database.write_turn else { return Ok(()) };
        if self.turn.borrow().is_none() {
            let taken = turn.take(|| self.check_interrupted())?;
            self.turn.replace(Some(taken));
        }
        Ok(())
    }

    /// Says that the open transaction deletes rows of the table at `path`, as SQL writes it; empty where it is not known.
    /// Each statement that deletes without writing other rows must say so, lest two that meet both commit.
    pub fn will_delete_from(&self, path: &str) {
        self.deleting.borrow_mut().add(path);
    }

    /// Runs `work` in a transaction that may write: commits when it succeeds, rolls back when it fails.
    ///
    /// # Errors
    /// What `work` or the commit says; the transaction is over in either case.
    pub fn transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.begin_writing()?;
        self.execute("BEGIN TRANSACTION", &[])?;
        let outcome = work(self).and_then(|value| self.commit().map(|()| value));
        if outcome.is_err() {
            self.rollback();
        }
        outcome
    }

    /// Commits the open transaction; its data files are on disk before.
    ///
    /// # Errors
    /// Conflict when another transaction was first; what DuckDB and the operating system say. Nothing is committed then,
    /// but where [`is_lost_commit`](super::is_lost_commit), of which nobody knows; the transaction is over.
    pub fn commit(&self) -> Result<()> {
        let kept = match (&self.database.durable, self.open.get()) {
            (Some(durable), Some(since)) => {
                durable.sync(since).context(|| "sync data files").inspect_err(|_| self.rollback())?
            }
            _ => None,
        };
        let deleting = self.deleting.borrow();
        let committed = self.database.deletions.commit(
            &deleting,
            || self.check_interrupted(),
            || self.execute("COMMIT", &[]).map(|_| ()),
        );
        drop(deleting);
        if committed.as_ref().is_err_and(error::is_lost_commit) {
            // DuckLake removes the transaction's files until this is over.
            self.rollback();
            self.files_are_back.set(kept.is_some_and(|kept| kept.put_back().is_ok()));
        } else if committed.is_err() {
            self.rollback();
        }
        committed
    }

    /// Whether the data files of the last commit whose answer was lost are there.
    pub fn files_are_back(&self) -> bool {
        self.files_are_back.get()
    }

    /// Rolls back the open transaction, if there is one. It must be called before a connection with an open
    /// transaction is dropped: DuckLake on a dead PostgreSQL aborts the process otherwise.
    pub fn rollback(&self) {
        let _turn = self.turn.take();
        let Some(since) = self.open.get() else { return };
        // An interrupt is meant for the task, which must not go on after its rollback as if nothing had been.
        let interrupted = self.interrupted.swap(false, Ordering::AcqRel);
        // An interrupt that comes late stops the rollback itself; it is tried again when the connection is given back.
        // After a commit that failed DuckDB has rolled back already.
        let ended = self.execute("ROLLBACK", &[]);
        let over = ended.map_or_else(|err| err.message().contains("no transaction is active"), |_| true);
        self.open.set(Some(since).filter(|_| !over));
        if interrupted {
            self.interrupted.store(true, Ordering::Release);
        }
    }

    /// Makes the open transaction one that can only be rolled back.
    pub(super) fn invalidate(&self) {
        // An error in midst of a statement does that; the error itself is not told to anybody.
        let _ = self.execute("SELECT error('a write did not get all of its rows') FROM range(1)", &[]);
    }

    /// Whether a transaction may be open.
    pub fn is_open(&self) -> bool {
        self.open.get().is_some()
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

/// How DuckDB turns its types into Arrow's, as the connection is set up.
pub(super) struct ArrowOptions(pub(super) ffi::duckdb_arrow_options);

impl Drop for ArrowOptions {
    fn drop(&mut self) {
        // SAFETY: made by DuckDB and destroyed once.
        unsafe { ffi::duckdb_destroy_arrow_options(&raw mut self.0) };
    }
}

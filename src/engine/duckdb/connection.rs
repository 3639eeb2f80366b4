//! A connection to DuckDB: it belongs to one thread at a time, and one statement runs on it at a time.

use std::{
    cell::{Cell, RefCell},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use duckdb::ffi;
use parking_lot::{Mutex, RwLockReadGuard};

use super::{
    arrow_scan::Scans,
    database::Database,
    error,
    reads::{Reads, RunningReads, connection_id},
};
use crate::{
    context::Principal,
    error::{Error, Result},
};

/// How long a connection that waits for [`exclusively`](Connection::exclusively) keeps others from preparing statements
/// and from committing at a time: some of both take long.
const PREPARING_WAIT: Duration = Duration::from_millis(20);
const COMMITTING_WAIT: Duration = Duration::from_millis(100);

/// One connection. TEMP objects, the open transaction and the settings of a session live here.
#[derive(Debug)]
pub struct Connection {
    ptr: ffi::duckdb_connection,
    /// DuckDB's number for it in the instance.
    id: u64,
    /// Shared with interrupt handles; cleared before the connection closes.
    interrupt: Arc<Mutex<Option<InterruptTarget>>>,
    /// DuckDB's interrupt stops only a running statement; this also stops the next one of a task.
    interrupted: Arc<AtomicBool>,
    /// Whether nobody wants the rows of the running statement.
    unwanted: Arc<AtomicBool>,
    /// Whether a transaction may be open; querying DuckDB costs an exception.
    pub(super) open: Cell<bool>,
    /// Whether this connection runs [`exclusively`](Self::exclusively).
    exclusive: Cell<bool>,
    /// The connection and the statement of [`hold`](Self::hold).
    pub(super) held: RefCell<Option<(Box<Self>, String)>>,
    tracks_progress: Cell<bool>,
    executed: Cell<u64>,
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
    unwanted: Arc<AtomicBool>,
}

#[derive(Debug)]
struct InterruptTarget(ffi::duckdb_connection);

// SAFETY: only `duckdb_interrupt` and `duckdb_query_progress` are called on it, which DuckDB allows from any thread.
unsafe impl Send for InterruptTarget {}

// === impl InterruptHandle ===

impl InterruptHandle {
    /// Ends the rows of the statement that is running on the connection, and stops those that would follow it before
    /// [`Connection::resume`]. A statement that computes goes on, and an open transaction survives.
    pub fn end_rows(&self) {
        self.unwanted.store(true, Ordering::Release);
        self.interrupted.store(true, Ordering::Release);
    }

    /// Stops the statement that is running on the connection, which aborts an open transaction, and those that would follow
    /// it before [`Connection::resume`].
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

// === impl Database ===

impl Database {
    /// Opens a new connection to this instance.
    ///
    /// # Errors
    /// Internal if DuckDB rejects it.
    pub fn connect(self: &Arc<Self>) -> Result<Connection> {
        let ptr = self.connect_raw()?;
        let mut context = ptr::null_mut();
        // SAFETY: the connection is open and the out pointer valid; the context is destroyed.
        let id = unsafe {
            ffi::duckdb_connection_get_client_context(ptr, &raw mut context);
            connection_id(context)
        };
        Ok(Connection {
            ptr,
            id,
            interrupt: Arc::new(Mutex::new(Some(InterruptTarget(ptr)))),
            interrupted: Arc::default(),
            unwanted: Arc::default(),
            open: Cell::new(false),
            exclusive: Cell::new(false),
            held: RefCell::default(),
            tracks_progress: Cell::default(),
            executed: Cell::default(),
            database: Arc::clone(self),
        })
    }
}

// === impl Connection ===

impl Connection {
    pub(super) fn as_ptr(&self) -> ffi::duckdb_connection {
        self.ptr
    }

    /// Whether the rows of queries are collected on the threads that compute them.
    pub(super) fn collects(&self) -> bool {
        self.database.collects
    }

    pub(super) fn scans(&self) -> &Scans {
        &self.database.scans
    }

    pub(super) fn running_reads(&self) -> &Arc<RunningReads> {
        &self.database.reads
    }

    /// Does `work` for a user, who is `current_user` in its SQL; in that of other work, it is the server.
    pub fn as_user<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        self.set_user(name);
        let done = work();
        self.set_user(Principal::server().name());
        done
    }

    /// Whether the progress of the next statements is tracked. To be called before a task reports anything: its caller may
    /// interrupt it afterwards, and a SET that is interrupted aborts the open transaction.
    pub fn track_progress(&self, on: bool) {
        if self.tracks_progress.replace(on) != on {
            // Statements run without it, too.
            let _ = self.execute(&format!("SET SESSION enable_progress_bar = {on}"), &[]);
        }
    }

    fn set_user(&self, name: &str) {
        // SAFETY: the connection is open, and a `Connection` is used by one thread at a time.
        unsafe { merganser_planner::set_user(self.ptr, name) };
    }

    /// A handle that stops the running statement.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle {
            target: Arc::clone(&self.interrupt),
            interrupted: Arc::clone(&self.interrupted),
            unwanted: Arc::clone(&self.unwanted),
        }
    }

    /// Begins a task, whose functions count in `reads`.
    pub fn begin_task(&self, reads: &Arc<Reads>) {
        self.database.reads.begin(self.id, Arc::clone(reads));
        self.resume();
    }

    /// Clears an interrupt before the next task.
    pub fn resume(&self) {
        self.interrupted.store(false, Ordering::Release);
        self.unwanted.store(false, Ordering::Release);
    }

    /// Fails if the running task was interrupted.
    ///
    /// # Errors
    /// Cancelled.
    pub fn check_interrupted(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Acquire) { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Whether nobody wants the rows of the running statement, for other threads to ask.
    pub(super) fn unwanted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.unwanted)
    }

    /// Runs `work` without being interrupted. An interrupt that was requested before or meanwhile takes effect afterwards.
    pub(super) fn uninterrupted<T>(&self, work: impl FnOnce() -> T) -> T {
        let target = self.interrupt.lock().take();
        let before = self.interrupted.swap(false, Ordering::AcqRel);
        let outcome = work();
        *self.interrupt.lock() = target;
        if before {
            self.interrupted.store(true, Ordering::Release);
        }
        outcome
    }

    /// Runs `work` while no other connection prepares a statement or commits.
    ///
    /// # Errors
    /// Cancelled if the task was interrupted meanwhile; errors of `work`.
    pub fn exclusively<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let _exclusive = loop {
            self.check_interrupted()?;
            let Some(committing) = self.database.committing.try_write_for(COMMITTING_WAIT) else { continue };
            if let Some(preparing) = self.database.preparing.try_write_for(PREPARING_WAIT) {
                break (committing, preparing);
            }
        };
        let _flag = Flag::set(&self.exclusive, true);
        work(self)
    }

    /// The number of executions that have started.
    pub(super) fn executed(&self) -> u64 {
        self.executed.get()
    }

    /// Counts an execution.
    pub(super) fn will_execute(&self) {
        self.executed.set(self.executed.get() + 1);
    }

    /// Another connection to the same instance.
    pub(super) fn sibling(&self) -> Result<Self> {
        self.database.connect()
    }

    /// Runs `work` on this connection while `other`, which may run [`exclusively`](Self::exclusively), waits for it.
    pub(super) fn in_place_of<T>(&self, other: &Self, work: impl FnOnce() -> T) -> T {
        let _flag = Flag::set(&self.exclusive, other.exclusive.get());
        work()
    }

    /// Keeps others from [`exclusively`](Self::exclusively) while a statement is prepared.
    pub(super) fn share_preparing(&self) -> Option<RwLockReadGuard<'_, ()>> {
        (!self.exclusive.get()).then(|| self.database.preparing.read())
    }

    /// Keeps others from [`exclusively`](Self::exclusively) during a commit.
    pub(super) fn share_committing(&self) -> RwLockReadGuard<'_, ()> {
        self.database.committing.read()
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
        self.database.reads.end(self.id);
        // SAFETY: no statement is left (they borrow `self`) and no handle can reach the pointer any more.
        unsafe { ffi::duckdb_disconnect(&raw mut self.ptr) };
    }
}

/// A flag that is reset when this is dropped, also by a panic.
struct Flag<'a>(&'a Cell<bool>);

// === impl Flag ===

impl<'a> Flag<'a> {
    fn set(flag: &'a Cell<bool>, value: bool) -> Self {
        flag.set(value);
        Self(flag)
    }
}

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.set(false);
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

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

use duckdb::ffi;
use parking_lot::{Mutex, RwLockReadGuard};

use super::{arrow_scan::Scans, database::Database, error};
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
    pub(super) open: Cell<bool>,
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

// === impl Database ===

impl Database {
    /// Makes a new connection to this instance.
    ///
    /// # Errors
    /// Internal when DuckDB refuses.
    pub fn connect(self: &Arc<Self>) -> Result<Connection> {
        let ptr = self.connect_raw()?;
        Ok(Connection {
            ptr,
            interrupt: Arc::new(Mutex::new(Some(InterruptTarget(ptr)))),
            interrupted: Arc::default(),
            open: Cell::new(false),
            exclusive: Cell::new(false),
            database: Arc::clone(self),
        })
    }
}

// === impl Connection ===

impl Connection {
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

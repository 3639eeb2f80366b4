//! The execution of a statement, task by task.

use std::time::Duration;

use duckdb::ffi;

use super::error;
use crate::error::{Error, Result};

/// How long the reader waits when other threads have all tasks: DuckDB does not tell when there is another one. It grows,
/// so that a long wait costs next to nothing.
const FIRST_WAIT: Duration = Duration::from_micros(100);
const LAST_WAIT: Duration = Duration::from_millis(10);

/// An execution that has begun. Dropping it leaves its tasks to the next statement of the connection, which cancels them.
pub(super) struct Pending {
    ptr: ffi::duckdb_pending_result,
    wait: Duration,
}

/// What came of a step.
pub(super) enum Step {
    /// A task was executed, or a part of one.
    Executed,
    /// Other threads have all tasks: the caller should wait this long, or until it hears from them.
    Wait(Duration),
    /// All tasks are done.
    Done,
}

// === impl Pending ===

impl Pending {
    /// The outcome of starting an execution.
    ///
    /// # Errors
    /// Errors of DuckDB.
    ///
    /// # Safety
    /// `ptr` is a pending result of DuckDB or null, and not used elsewhere.
    pub(super) unsafe fn new(state: ffi::duckdb_state, ptr: ffi::duckdb_pending_result) -> Result<Self> {
        let pending = Self { ptr, wait: FIRST_WAIT };
        if state == ffi::DuckDBSuccess { Ok(pending) } else { Err(pending.error()) }
    }

    fn error(&self) -> Error {
        // SAFETY: alive or null; the message belongs to it.
        unsafe { error::from_pointer(ffi::duckdb_pending_error(self.ptr)) }
    }

    /// Executes a task, or a part of it, if there is one for this thread.
    ///
    /// # Errors
    /// Errors of DuckDB, of whichever thread.
    pub(super) fn step(&mut self) -> Result<Step> {
        // SAFETY: alive until it is dropped.
        match unsafe { ffi::duckdb_pending_execute_task(self.ptr) } {
            ffi::duckdb_pending_state_DUCKDB_PENDING_RESULT_READY => Ok(Step::Done),
            ffi::duckdb_pending_state_DUCKDB_PENDING_RESULT_NOT_READY => {
                self.wait = FIRST_WAIT;
                Ok(Step::Executed)
            }
            ffi::duckdb_pending_state_DUCKDB_PENDING_NO_TASKS_AVAILABLE => {
                let wait = self.wait;
                self.wait = LAST_WAIT.min(wait * 2);
                Ok(Step::Wait(wait))
            }
            _ => Err(self.error()),
        }
    }

    /// The result, once all tasks are done; the statement has ended then. The caller checks and destroys it.
    pub(super) fn finish(self) -> ffi::duckdb_result {
        // SAFETY: the record is plain data that DuckDB fills; all zero is its empty form.
        let mut result = unsafe { std::mem::zeroed() };
        // SAFETY: alive; a failure is in the result.
        unsafe { ffi::duckdb_execute_pending(self.ptr, &raw mut result) };
        result
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: owned by this value, and destroyed once.
        unsafe { ffi::duckdb_destroy_pending(&raw mut self.ptr) };
    }
}

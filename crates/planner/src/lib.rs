//! Rules for the plans of DuckDB, in C++, because its C API gives no access to plans.
//!
//! ```text
//! SQL ─▶ bind ─▶ types, windows, subqueries ─▶ filters, joins ─▶ optimize ─▶ joins ─▶ run
//! ```
//!
//! * `cpp/types.cpp`: values are stored in types that keep them, or the statement is rejected.
//! * `cpp/filters.cpp`: filters are not used for pruning where DuckDB or DuckLake would prune wrongly.
//! * `cpp/functions.cpp`: functions that clients expect.
//! * `cpp/joins.cpp`, `cpp/subqueries.cpp`, `cpp/windows.cpp`: wrong rows, and arguments that would end the process.
//! * `cpp/deletions.cpp`: filters of rows that were deleted.
//! * `cpp/depth.cpp`, `cpp/files.cpp`: values and files that are nested so deeply that DuckDB overflows its stack.
//! * `cpp/register.cpp`: registers them in an instance of DuckDB, and its version check.
//! * `cpp/reads.cpp`, `cpp/parts.cpp`: objects of the store are read for the rows that remain, few at a time.
//! * `cpp/collector.cpp`, `src/collector.rs`: no rule, but a plan's last operator: results that do not wait for one thread.
//! * `cpp/stream.cpp`: no rule, but needs what the C API lacks: the error of the thread that failed.
//! * `cpp/process.cpp`: no rule, but also needs more than the C API: a thread's cache of freed memory, and the end of the
//!   process by an exception.
//!
//! The rules use DuckDB's C++ classes, so the headers and the library must be of one version.

#![expect(unsafe_code, reason = "calls C++, with the handles of the C interface")]

mod collector;

use std::ffi::{CStr, c_char, c_void};

use duckdb::ffi;

pub use collector::{Collect, Failed, Part, Room, Vector, Waiting, collect};

unsafe extern "C" {
    fn merganser_planner_register(connection: *mut c_void) -> *mut c_char;
    fn merganser_planner_set_user(connection: *mut c_void, name: *const c_char, length: usize);
    fn merganser_planner_next_chunk(result: *mut ffi::duckdb_result) -> ffi::duckdb_data_chunk;
    safe fn merganser_planner_computed(rows: u64) -> bool;
    safe fn merganser_planner_exit_on_exceptions();
    safe fn merganser_planner_release_memory();
}

/// Registers the rules in the instance of `connection`, for all of its connections.
///
/// # Errors
/// The message of DuckDB; if the linked library is another version.
///
/// # Safety
/// `connection` must be open.
pub unsafe fn register(connection: ffi::duckdb_connection) -> Result<(), String> {
    // SAFETY: the connection is open. The message is a NUL-terminated string, which is copied before it is freed once.
    unsafe {
        let message = merganser_planner_register(connection.cast());
        if message.is_null() {
            return Ok(());
        }
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        ffi::duckdb_free(message.cast());
        Err(text)
    }
}

/// Sets the user for whom `connection` runs its next statements: `current_user` in SQL.
///
/// # Safety
/// `connection` must be open, and not in use by another thread.
pub unsafe fn set_user(connection: ffi::duckdb_connection, name: &str) {
    // SAFETY: the connection is open; the name is copied.
    unsafe { merganser_planner_set_user(connection.cast(), name.as_ptr().cast(), name.len()) };
}

/// The next chunk of a streaming result, to be destroyed by the caller; null if there is none, or if the query failed,
/// which sets the error of the result. Null, too, if the result does not stream: `duckdb_fetch_chunk` has its chunks.
///
/// # Safety
/// `result` must be the result of an execution that succeeded.
pub unsafe fn next_chunk(result: &mut ffi::duckdb_result) -> ffi::duckdb_data_chunk {
    // SAFETY: the result is alive.
    unsafe { merganser_planner_next_chunk(result) }
}

/// Called by a function that has computed only the first `rows` of its input. Returns whether the rest is computed by
/// another call; otherwise the function must go on.
pub fn computed(rows: u64) -> bool {
    merganser_planner_computed(rows)
}

/// Makes C++ exceptions that nothing catches end the process with code 1 and a message, instead of SIGABRT. DuckDB throws
/// them in destructors after a fatal error.
pub fn exit_on_exceptions() {
    merganser_planner_exit_on_exceptions();
}

/// Gives back the memory that DuckDB keeps for further allocations of the calling thread.
pub fn release_memory() {
    merganser_planner_release_memory();
}

//! What concerns the process and its threads, whatever the instance of DuckDB.

use std::io::{self, Write};

pub use merganser_planner::release_memory;

/// Ends the process with `code`, immediately.
///
/// On a regular exit, the libraries inside DuckDB clean up, including PostgreSQL's client, while threads that are not
/// joined still use them: this has crashed after all work was done.
pub fn end_process(code: i32) -> ! {
    // Output that cannot be written any more has no reader.
    let _ = io::stdout().flush();
    // SAFETY: it only exits; no code runs after it.
    unsafe { libc::_exit(code) }
}

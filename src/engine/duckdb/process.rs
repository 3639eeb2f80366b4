//! The end of the process.

use std::io::{self, Write};

/// Ends the process with `code`, at once.
///
/// At an orderly end the libraries inside DuckDB clean up after themselves, PostgreSQL's client among them, while threads
/// that nobody waits for still use them: that has crashed after everything was done.
pub fn end_process(code: i32) -> ! {
    // What cannot be written any more has no reader.
    let _ = io::stdout().flush();
    // SAFETY: it only leaves; nothing is run behind it.
    unsafe { libc::_exit(code) }
}

//! What concerns the process and its threads, whatever the instance of DuckDB.

use std::io::{self, Write};

pub use merganser_planner::{exit_on_exceptions, release_memory};

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

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    unsafe extern "C" {
        /// `std::terminate`.
        #[link_name = "_ZSt9terminatev"]
        safe fn terminate() -> !;
    }

    #[test]
    #[ignore = "it ends the process, for the next test"]
    fn ends() {
        super::exit_on_exceptions();
        terminate();
    }

    #[test]
    fn an_exception_that_nothing_catches_ends_the_process_with_code_1() {
        let program = env::current_exe().unwrap();
        let test = "engine::duckdb::process::tests::ends";
        let ended = Command::new(program).args([test, "--exact", "--ignored", "--nocapture"]).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), said.contains("DuckDB ended the process")), (Some(1), true), "{said}");
    }
}

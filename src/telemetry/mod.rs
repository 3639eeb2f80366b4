//! Logs and metrics. Logs are written to stderr; stdout is reserved for the output of commands.

pub mod metrics;
mod panics;

use std::{
    io::{IsTerminal, stderr},
    sync::Once,
};

use tracing_subscriber::EnvFilter;

pub use self::panics::Quiet;
use crate::error::{Error, Result};

/// What is silent unless the filter names it: crates that log each request, and errors which are logged where they are handled.
const SILENT: &str = "xet=off";

static HOOK: Once = Once::new();

/// Starts logging with `filter`, in the directive syntax of `tracing`, such as `info,merganser::flight=debug`.
///
/// # Errors
/// `InvalidArgument` for an invalid filter.
pub fn start(filter: &str) -> Result<()> {
    let directives = format!("{SILENT},{filter}");
    let filter =
        EnvFilter::try_new(directives).map_err(|err| Error::invalid(format!("log filter \"{filter}\": {err}")))?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    // Later calls, as in tests, have no effect.
    let _ = subscriber.try_init();
    HOOK.call_once(panics::install);
    Ok(())
}

//! Logs and metrics. Logs go to stderr; stdout belongs to what a command is asked for.

pub mod metrics;
mod panics;

use std::{
    io::{IsTerminal, stderr},
    sync::Once,
};

use tracing_subscriber::EnvFilter;

pub use self::panics::Quiet;
use crate::error::{Error, Result};

static HOOK: Once = Once::new();

/// Logs what `filter` (tracing's directives, such as `info,merganser::flight=debug`) lets through.
///
/// # Errors
/// `InvalidArgument` for a filter that is none.
pub fn start(filter: &str) -> Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|err| Error::invalid(format!("log filter \"{filter}\": {err}")))?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    // A second start, as in tests, keeps the first.
    let _ = subscriber.try_init();
    HOOK.call_once(panics::install);
    Ok(())
}

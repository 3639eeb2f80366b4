//! The signals that stop the server.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Result;

/// The exit code after a second signal.
const FORCED_EXIT_CODE: i32 = 130;

/// Resolves at the first SIGTERM or SIGINT; a second one terminates the process immediately.
///
/// # Errors
/// Internal if the signal handlers cannot be installed.
pub fn stop_requested() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::warn!("terminating immediately");
            std::process::exit(FORCED_EXIT_CODE);
        });
    })
}

//! The signals that stop the server.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Result;

/// The exit code of a process that a second signal ended at once.
const FORCED_EXIT_CODE: i32 = 130;

/// Resolves at the first SIGTERM or ctrl-c; a second one ends the process at once.
///
/// # Errors
/// Internal when signals cannot be received.
pub fn stop_requested() -> Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tokio::spawn(async move {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
            tracing::warn!("stopping at once");
            std::process::exit(FORCED_EXIT_CODE);
        });
    })
}

//! Progress reports of a running job, and its cancellation.

use std::future::Future;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::status::Status;
use crate::error::{Error, Result};

/// The handle by which a job reports progress and observes cancellation.
#[derive(Clone, Debug)]
pub struct Progress {
    status: watch::Sender<Status>,
    cancel: CancellationToken,
}

// === impl Progress ===

impl Progress {
    pub(super) fn new(status: watch::Sender<Status>, cancel: CancellationToken) -> Self {
        Self { status, cancel }
    }

    /// A handle without followers, for work outside of jobs.
    pub fn detached() -> Self {
        Self::new(watch::Sender::new(Status::default()), CancellationToken::new())
    }

    /// Begins a phase that counts in `unit`, up to `total` if known.
    pub fn phase(&self, phase: impl Into<String>, unit: &'static str, total: Option<u64>) {
        let phase = phase.into();
        self.status
            .send_modify(|status| (status.phase, status.unit, status.done, status.total) = (phase, unit, 0, total));
    }

    /// Adds to the work done in the phase.
    pub fn advance(&self, by: u64) {
        self.status.send_modify(|status| status.done += by);
    }

    /// Sets the work done in the phase, and its total.
    pub fn set(&self, done: u64, total: u64) {
        self.status.send_modify(|status| (status.done, status.total) = (done, Some(total)));
    }

    /// Fails if the job was cancelled. For use between steps that must not be dropped midway.
    ///
    /// # Errors
    /// Cancelled.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Resolves when the job is cancelled.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Runs `work`; drops it if the job is cancelled.
    ///
    /// # Errors
    /// Cancelled; errors of `work`.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled()),
            outcome = work => outcome,
        }
    }
}

//! What a job says while it works, and how it learns that it shall stop.

use std::future::Future;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Status;
use crate::error::{Error, Result};

/// A job's own end of its status.
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

    /// One that nobody sees, for work that is no job.
    pub fn unseen() -> Self {
        Self::new(watch::Sender::new(Status::default()), CancellationToken::new())
    }

    /// Begins a phase that counts in `unit`, up to `total` where that is known.
    pub fn phase(&self, phase: impl Into<String>, unit: &'static str, total: Option<u64>) {
        let phase = phase.into();
        self.status
            .send_modify(|status| (status.phase, status.unit, status.done, status.total) = (phase, unit, 0, total));
    }

    /// Some more of the phase is done.
    pub fn advance(&self, by: u64) {
        self.status.send_modify(|status| status.done += by);
    }

    /// So much of `total` is done.
    pub fn set(&self, done: u64, total: u64) {
        self.status.send_modify(|status| (status.done, status.total) = (done, Some(total)));
    }

    /// Fails when the job was cancelled: for work that must not be dropped half way, between two of its steps.
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

    /// Does `work` unless the job is cancelled first, which drops it.
    ///
    /// # Errors
    /// Cancelled; what `work` says.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled()),
            outcome = work => outcome,
        }
    }
}

//! How a backup comes into the place of the lake that is served.
//!
//! DuckLake remembers schemas and statistics by numbers that the older catalog has given out otherwise, so rows must not
//! change beneath an engine that is open. The action verifies the backup and hands it over; the server ends its sessions,
//! closes the engine, replaces the catalog and opens it anew.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Backups, Candidate};
use crate::error::{Error, Result};

/// A backup on its way from the action to the server.
#[derive(Debug, Default)]
pub(super) struct Handover {
    offered: Mutex<Option<Candidate>>,
    changed: Notify,
}

// === impl Backups ===

impl Backups {
    /// Has the server put `candidate` in the place of its lake.
    ///
    /// # Errors
    /// `FailedPrecondition` when another one is on its way.
    pub fn hand_over(&self, candidate: Candidate) -> Result<()> {
        let mut offered = self.handover.offered.lock();
        if offered.is_some() {
            return Err(Error::precondition("another backup is being restored: wait until the server is back"));
        }
        *offered = Some(candidate);
        self.handover.changed.notify_one();
        Ok(())
    }

    /// Resolves when a backup shall come into the place of the lake.
    pub async fn handed_over(&self) {
        while self.handover.offered.lock().is_none() {
            self.handover.changed.notified().await;
        }
    }

    /// The backup that shall come into the place of the lake, once nobody uses that any more. What is there now is backed
    /// up first.
    ///
    /// # Errors
    /// As [`take`](Self::take); the lake must stay then.
    pub async fn receive(&self) -> Result<Option<Candidate>> {
        let offered = self.handover.offered.lock().take();
        let Some(candidate) = offered else { return Ok(None) };
        let before = self.take_aside().await?;
        tracing::info!(backup = candidate.record.name, before, "a backup takes the place of the lake");
        Ok(Some(candidate))
    }
}

//! Replacing the catalog of the served lake by a backup.
//!
//! DuckLake caches schemas and statistics under ids that mean something else in the older catalog, so the rows must not
//! change beneath an open engine. The action verifies the backup and requests the swap; the server then ends its sessions,
//! closes the engine, replaces the catalog and opens it again.

use super::{
    backups::Backups,
    restore::{Candidate, Selector},
};
use crate::{
    error::{Error, Result},
    jobs::Progress,
    lake::catalog_copy,
};

// === impl Backups ===

impl Backups {
    /// Downloads and verifies a backup of the served lake.
    ///
    /// # Errors
    /// As [`Repository::candidate`](super::Repository::candidate).
    pub async fn candidate(&self, selector: &Selector, progress: &Progress) -> Result<Candidate> {
        let lake = self.lake.engine().run(catalog_copy::lake_id).await?;
        progress.phase("verify the backup", "steps", None);
        progress
            .unless_cancelled(self.repository.candidate(
                self.lake.engine(),
                self.lake.engine().staging(),
                selector,
                Some(&lake),
            ))
            .await
    }

    /// Requests that the server replaces the catalog of its lake by `candidate`.
    ///
    /// # Errors
    /// `FailedPrecondition` while another restore is in progress.
    pub fn request_swap(&self, candidate: Candidate) -> Result<()> {
        let mut requested = self.swap.requested.lock();
        if requested.is_some() {
            return Err(Error::precondition(
                "another restore is in progress: wait until the server is available again",
            ));
        }
        *requested = Some(candidate);
        self.swap.changed.notify_one();
        Ok(())
    }

    /// Resolves when a swap is requested.
    pub async fn swap_requested(&self) {
        while self.swap.requested.lock().is_none() {
            self.swap.changed.notified().await;
        }
    }

    /// Takes the requested candidate, if there is one, after backing up the current catalog. Call it when nothing uses the
    /// lake any more.
    ///
    /// # Errors
    /// As [`take`](Self::take); the catalog must not be replaced then.
    pub async fn begin_swap(&self) -> Result<Option<Candidate>> {
        let requested = self.swap.requested.lock().take();
        let Some(candidate) = requested else { return Ok(None) };
        let before = self.take_before_replace().await?;
        tracing::info!(backup = candidate.record.name, before, "replacing the catalog by a backup");
        Ok(Some(candidate))
    }
}

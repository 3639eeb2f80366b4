//! The backups of the served lake: what taking, restoring and maintenance share.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{
    repository::{BackupState, Entry, Repository},
    restore::Candidate,
    retention::Retention,
};
use crate::{
    error::{ErrorKind, Result},
    jobs::Progress,
    lake::{Lake, catalog::Catalog, catalog_copy},
    storage::Storage,
};

/// The backups of one lake.
#[derive(Debug)]
pub struct Backups {
    pub(super) lake: Lake,
    pub(super) repository: Repository,
    /// The kind of database that holds the catalog.
    pub(super) catalog: &'static str,
    /// The retention of requests that specify none.
    pub(super) retention: Retention,
    /// The files referenced by backups that were read, by checksum.
    pub(super) cache: Cache,
    /// Held while a backup is taken, because names are timestamps, and while maintenance removes files.
    pub(super) lock: tokio::sync::Mutex<()>,
    /// The requested replacement of the catalog.
    pub(super) swap: Swap,
}

/// The files that backups reference, by the checksums of the backups.
pub(super) type Cache = Mutex<HashMap<String, Files>>;

/// Hashes of paths, to save memory. A collision only keeps a file that could be removed.
pub(super) type Files = Arc<HashSet<u64>>;

/// A requested swap, passed from the action to the server.
#[derive(Debug, Default)]
pub(super) struct Swap {
    pub(super) requested: Mutex<Option<Candidate>>,
    pub(super) changed: Notify,
}

// === impl Backups ===

impl Backups {
    /// The backups in `storage` of `lake`, whose catalog is `catalog`. `retention` is the default
    /// for requests that specify none.
    pub fn new(lake: Lake, storage: &Storage, catalog: &Catalog, retention: Retention) -> Self {
        let (repository, catalog) = (Repository::new(storage), catalog.kind());
        let (cache, lock, swap) = (Cache::default(), tokio::sync::Mutex::default(), Swap::default());
        Self { lake, repository, catalog, retention, cache, lock, swap }
    }

    /// Lists all backups in the store, newest first, and the name of the latest. With `verify`, complete backups are read
    /// and compared with their checksums.
    ///
    /// # Errors
    /// Cancelled; errors of the store.
    pub async fn list(&self, verify: bool, progress: &Progress) -> Result<(Vec<Entry>, Option<String>)> {
        let lake = self.lake.engine().run(catalog_copy::lake_id).await?;
        let mut entries = self.repository.list(Some(&lake)).await?;
        if verify {
            progress.phase("verify backups", "backups", Some(entries.len() as u64));
            let spool = tempfile::tempdir_in(self.lake.engine().staging())?;
            for entry in &mut entries {
                progress.check()?;
                if let (BackupState::Complete, Some(record)) = (&entry.state, &entry.record) {
                    match self.repository.fetch(record, &spool.path().join("catalog.duckdb")).await {
                        Err(err) if err.kind() == ErrorKind::FailedPrecondition => {
                            entry.state = BackupState::Damaged(err.message().to_owned());
                        }
                        outcome => outcome?,
                    }
                }
                progress.advance(1);
            }
        }
        // An invalid manifest names no backup.
        let latest = self.repository.latest().await.unwrap_or_default();
        Ok((entries, latest))
    }
}

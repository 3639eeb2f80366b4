//! The data files that backups reference: maintenance must not remove them.
//!
//! The catalog alone cannot tell. A file that a backup still needs may be scheduled for deletion, or belong to no snapshot
//! at all after an older backup was restored; and the times in DuckLake's schedule are those when transactions began. So
//! every backup in the store is read, whichever lake it belongs to. A backup that cannot be read may reference any file.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::Arc,
};

use chrono::Utc;
use tokio::sync::MutexGuard;

use super::{
    backups::{Backups, Files},
    record::Record,
    repository::{BackupState, Entry},
    retention::UNFINISHED,
};
use crate::{
    engine::Connection,
    error::{ErrorKind, Result},
    jobs::Progress,
    lake::catalog_copy,
};

/// The files that backups reference. This server takes no backup while the value exists.
#[derive(Debug)]
pub struct ReferencedFiles<'a> {
    /// The readable backups, oldest first, with the files that each references.
    backups: Vec<(String, Files)>,
    /// An unreadable backup, if there is one.
    unreadable: Option<String>,
    _lock: MutexGuard<'a, ()>,
}

fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

// === impl ReferencedFiles ===

impl ReferencedFiles<'_> {
    /// The backup because of which the file at `path`, relative to the lake's data path, must be kept: the oldest that
    /// references it, or an unreadable one.
    pub fn referenced_by(&self, path: &str) -> Option<&str> {
        let hash = hash(path);
        let oldest = || self.backups.iter().find(|(_, files)| files.contains(&hash)).map(|(name, _)| name);
        self.unreadable.as_ref().or_else(oldest).map(String::as_str)
    }
}

// === impl Backups ===

impl Backups {
    /// Reads from every backup in the store which files it references. This server takes no backup until the result is
    /// dropped.
    ///
    /// # Errors
    /// Cancelled; errors of the store.
    pub async fn referenced_files(&self, progress: &Progress) -> Result<ReferencedFiles<'_>> {
        progress.phase("wait for a backup", "steps", None);
        let lock = progress.unless_cancelled(async { Ok(self.lock.lock().await) }).await?;
        let entries = self.repository.list(None).await?;
        progress.phase("read backups", "backups", Some(entries.len() as u64));
        let spool = tempfile::Builder::new().prefix("referenced-").tempdir_in(self.lake.engine().staging())?;
        let file = spool.path().join("catalog.duckdb");
        let (mut backups, mut unreadable, mut cache) = (Vec::new(), None, HashMap::new());
        for entry in entries.into_iter().rev() {
            match &entry.record {
                Some(record) if entry.state == BackupState::Complete => {
                    let files = progress.unless_cancelled(self.files(record, &file)).await?;
                    match files {
                        Some(files) => {
                            cache.insert(record.sha256.clone(), Arc::clone(&files));
                            backups.push((entry.name, files));
                        }
                        None => unreadable = Some(entry.name),
                    }
                }
                _ if may_be_valid(&entry) => {
                    tracing::warn!(backup = entry.name, state = ?entry.state, "cannot read a backup; keeping all files");
                    unreadable = Some(entry.name);
                }
                _ => {}
            }
            progress.advance(1);
        }
        *self.cache.lock() = cache;
        Ok(ReferencedFiles { backups, unreadable, _lock: lock })
    }

    /// The files that the backup of `record` references; `None` if it cannot be read. Downloads it to `file`.
    async fn files(&self, record: &Record, file: &Path) -> Result<Option<Files>> {
        if let Some(files) = self.cache.lock().get(&record.sha256) {
            return Ok(Some(Arc::clone(files)));
        }
        let copy = file.to_path_buf();
        let read = match self.repository.fetch(record, file).await {
            Ok(()) => {
                self.lake
                    .engine()
                    .run(move |connection: &Connection| catalog_copy::referenced_files(connection, &copy))
                    .await
            }
            // It is damaged, or being removed.
            Err(err) if matches!(err.kind(), ErrorKind::FailedPrecondition | ErrorKind::NotFound) => Err(err),
            Err(err) => return Err(err),
        };
        match read {
            Ok(files) => Ok(Some(Arc::new(files.iter().map(|file| hash(&file.path)).collect()))),
            Err(err) => {
                tracing::warn!(cause = %err.original(), backup = record.name, "cannot read a backup; keeping all files");
                Ok(None)
            }
        }
    }
}

/// Whether a backup that does not count as complete may be valid, or become complete.
fn may_be_valid(entry: &Entry) -> bool {
    entry.state != BackupState::Incomplete || entry.time > Utc::now() - UNFINISHED
}

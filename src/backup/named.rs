//! Which files of the lake backups name: maintenance must leave them alone.
//!
//! What the lake itself says of a file is not enough. A file may be scheduled for removal, or be of no snapshot at all
//! after an older backup took the place of the lake, and a backup needs it still; and the times of schedules are those of
//! when transactions began. So every backup is asked, of whatever lake. One that cannot be read may name any file.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    path::Path,
    sync::Arc,
};

use chrono::Utc;
use parking_lot::Mutex;
use tokio::sync::MutexGuard;

use super::{
    Backups,
    record::Record,
    retention::UNFINISHED,
    shelf::{Entry, State},
};
use crate::{
    engine::Connection,
    error::{ErrorKind, Result},
    jobs::Progress,
    lake::portable,
};

/// The files that backups name. None is taken meanwhile.
#[derive(Debug)]
pub struct Named<'a> {
    /// The backups that could be read, the oldest first, with what they name.
    backups: Vec<(String, Files)>,
    /// One that could not.
    unread: Option<String>,
    _turn: MutexGuard<'a, ()>,
}

/// What backups that were read name, by their checksums.
pub(super) type Read = Mutex<HashMap<String, Files>>;

/// Hashes of paths: a lake has many files, and those of two that are the same only make one stay that could go.
type Files = Arc<HashSet<u64>>;

fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

// === impl Named ===

impl Named<'_> {
    /// The backup for which the file at `path` below the lake's data path must stay: the oldest that names it, or one
    /// that may.
    pub fn by(&self, path: &str) -> Option<&str> {
        let hash = hash(path);
        let by = || self.backups.iter().find(|(_, files)| files.contains(&hash)).map(|(name, _)| name);
        self.unread.as_ref().or_else(by).map(String::as_str)
    }
}

// === impl Backups ===

impl Backups {
    /// Asks every backup in the store which files it names. Until the answer is dropped, this server takes none.
    ///
    /// # Errors
    /// Cancelled; what the store says.
    pub async fn named(&self, progress: &Progress) -> Result<Named<'_>> {
        progress.phase("wait for a backup", "steps", None);
        let turn = progress.unless_cancelled(async { Ok(self.turn.lock().await) }).await?;
        let entries = self.shelf.list(None).await?;
        progress.phase("read the backups", "backups", Some(entries.len() as u64));
        let spool = tempfile::Builder::new().prefix("named-").tempdir_in(self.engine.staging())?;
        let file = spool.path().join("catalog.duckdb");
        let (mut backups, mut unread, mut read) = (Vec::new(), None, HashMap::new());
        for entry in entries.into_iter().rev() {
            match &entry.record {
                Some(record) if entry.state == State::Complete => {
                    let files = progress.unless_cancelled(self.files(record, &file)).await?;
                    match files {
                        Some(files) => {
                            read.insert(record.sha256.clone(), Arc::clone(&files));
                            backups.push((entry.name, files));
                        }
                        None => unread = Some(entry.name),
                    }
                }
                _ if may_count(&entry) => {
                    tracing::warn!(backup = entry.name, state = ?entry.state, "a backup cannot be read");
                    unread = Some(entry.name);
                }
                _ => {}
            }
            progress.advance(1);
        }
        *self.read.lock() = read;
        Ok(Named { backups, unread, _turn: turn })
    }

    /// What the backup of `record` names; `None` when it cannot be read. The path of `file` serves for a copy of it.
    async fn files(&self, record: &Record, file: &Path) -> Result<Option<Files>> {
        if let Some(files) = self.read.lock().get(&record.sha256) {
            return Ok(Some(Arc::clone(files)));
        }
        let copy = file.to_path_buf();
        let read = match self.shelf.fetch(record, file).await {
            Ok(()) => self.engine.run(move |connection: &Connection| portable::named_files(connection, &copy)).await,
            // It is damaged, or being removed.
            Err(err) if matches!(err.kind(), ErrorKind::FailedPrecondition | ErrorKind::NotFound) => Err(err),
            Err(err) => return Err(err),
        };
        match read {
            Ok(files) => Ok(Some(Arc::new(files.iter().map(|file| hash(&file.path)).collect()))),
            Err(err) => {
                tracing::warn!(cause = %err.original(), backup = record.name, "a backup cannot be read");
                Ok(None)
            }
        }
    }
}

/// Whether a backup that is not complete may still be one, or become one.
fn may_count(entry: &Entry) -> bool {
    entry.state != State::Incomplete || entry.time > Utc::now() - UNFINISHED
}

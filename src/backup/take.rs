//! Taking a backup of the served lake.

use std::{path::Path, sync::Arc};

use chrono::{TimeDelta, Utc};

use super::{
    backups::Backups,
    record::{Fingerprint, Record, name_at, time_of},
    retention::Retention,
};
use crate::{
    context::Principal,
    engine::{Connection, DUCKDB_VERSION},
    error::{Context, Error, Result},
    jobs::Progress,
    lake::catalog_copy::{self, Contents},
};

/// The result of taking a backup.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its `backup.json`.
    pub record: Record,
    /// The location in the store.
    pub uri: String,
    /// The names of expired backups that were removed.
    pub removed: Vec<String>,
}

// === impl Backups ===

impl Backups {
    /// Takes a backup on behalf of `author`, makes it the latest, and removes expired ones by `retention`, or by the
    /// configured default.
    ///
    /// # Errors
    /// As [`catalog_copy::export`]; Cancelled; errors of the store. The previous backup stays the latest then.
    pub async fn take(&self, author: &Principal, retention: Option<Retention>, progress: &Progress) -> Result<Taken> {
        let (record, _lock) = self.write(author, true, progress).await?;
        let removed = self.remove_expired(retention.unwrap_or(self.retention), &record, progress).await;
        Ok(Taken { uri: self.repository.uri(&record.name), record, removed })
    }

    /// Takes a backup of a catalog that is about to be replaced, without making it the latest. Returns its name.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub async fn take_before_replace(&self) -> Result<String> {
        let (record, _lock) = self.write(&Principal::server(), false, &Progress::detached()).await?;
        Ok(record.name)
    }

    async fn write(
        &self,
        author: &Principal,
        latest: bool,
        progress: &Progress,
    ) -> Result<(Record, tokio::sync::MutexGuard<'_, ()>)> {
        progress.phase("wait for another backup or for maintenance", "steps", None);
        let lock = progress.unless_cancelled(async { Ok(self.lock.lock().await) }).await?;
        let spool = tempfile::Builder::new().prefix("backup-").tempdir_in(self.lake.engine().staging())?;
        let file = spool.path().join("catalog.duckdb");
        progress.phase("copy the catalog", "steps", None);
        let contents = self.export(&file, progress).await?;
        let record = self.record(author, &file, contents).await?;
        progress.phase("store the backup", "bytes", Some(record.bytes));
        if let Err(err) = self.store(&file, &record, spool.path(), latest, progress).await {
            if let Err(err) = self.repository.remove(&record.name).await {
                tracing::warn!(cause = %err, backup = record.name, "could not remove an unfinished backup");
            }
            return Err(err);
        }
        Ok((record, lock))
    }

    /// Copies the catalog to `file`, and verifies that the copy can be opened.
    async fn export(&self, file: &Path, progress: &Progress) -> Result<Contents> {
        let (lease, committer) = (self.lake.engine().lease().await?, Arc::clone(self.lake.committer()));
        let target = file.to_path_buf();
        let work = move |connection: &Connection| {
            let exported = catalog_copy::export(connection, &committer, &target)?;
            let (seen, _) = catalog_copy::examine(connection, &target)?;
            if seen == exported {
                Ok(seen)
            } else {
                Err(Error::internal("the copy of the catalog differs from the catalog"))
            }
        };
        lease.worker().run_until(progress.cancelled(), work).await
    }

    async fn record(&self, author: &Principal, file: &Path, contents: Contents) -> Result<Record> {
        let Fingerprint { bytes, sha256 } = Fingerprint::of(file).await?;
        // Names have no microseconds; the time must not precede a commit that the copy contains.
        let name = name_at(Utc::now() + TimeDelta::milliseconds(1));
        let time = time_of(&name).ok_or_else(|| Error::internal("invalid name of a backup"))?;
        Ok(Record {
            format: Record::format(),
            name,
            time,
            author: author.name().to_owned(),
            catalog: self.catalog.to_owned(),
            merganser: env!("CARGO_PKG_VERSION").to_owned(),
            duckdb: DUCKDB_VERSION.to_owned(),
            bytes,
            sha256,
            contents,
        })
    }

    async fn store(&self, file: &Path, record: &Record, spool: &Path, latest: bool, progress: &Progress) -> Result<()> {
        self.repository.put(file, record, spool).await?;
        progress.advance(record.bytes);
        progress.check()?;
        if !latest {
            return Ok(());
        }
        self.repository.make_latest(&record.name).await.context(|| "make the backup the latest")
    }

    /// Removes the backups that `retention` does not keep. A failure does not fail the new backup; removal is tried again
    /// after the next one.
    async fn remove_expired(&self, retention: Retention, record: &Record, progress: &Progress) -> Vec<String> {
        let remove = async {
            let entries = self.repository.list(Some(&record.contents.lake)).await?;
            let expired = retention.expired(&entries, &record.name, Utc::now());
            progress.phase("remove expired backups", "backups", Some(expired.len() as u64));
            let mut removed = Vec::new();
            for name in expired {
                self.repository.remove(&name).await?;
                progress.advance(1);
                removed.push(name);
            }
            Ok::<_, Error>(removed)
        };
        remove.await.unwrap_or_else(|err| {
            tracing::warn!(cause = %err, "could not remove expired backups");
            Vec::new()
        })
    }
}

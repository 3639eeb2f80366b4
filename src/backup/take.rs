//! Taking a backup of the lake that is served.

use std::path::Path;

use chrono::{TimeDelta, Utc};

use super::{
    handover::Handover,
    named,
    record::{Fingerprint, Record, moment_of, name_at},
    retention::Retention,
    shelf::{Entry, Shelf, State},
};
use crate::{
    context::Principal,
    engine::{Connection, DUCKDB_VERSION, Engine},
    error::{Context, Error, ErrorKind, Result},
    jobs::Progress,
    lake::{
        catalog::Catalog,
        portable::{self, Contents},
    },
    storage::Storage,
};

/// The backups of one lake.
#[derive(Debug)]
pub struct Backups {
    pub(super) engine: Engine,
    pub(super) shelf: Shelf,
    /// What holds the catalog.
    catalog: &'static str,
    /// How many stay where a request says nothing.
    retention: Retention,
    /// What is known of those that were read, by their checksums.
    pub(super) read: named::Read,
    /// One is taken at a time: its name is its time. None is while maintenance removes files.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// The backup that shall come into the place of the lake.
    pub(super) handover: Handover,
}

/// A backup that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// What it says of itself.
    pub record: Record,
    /// Where it lies.
    pub uri: String,
    /// Older ones that were removed.
    pub removed: Vec<String>,
}

// === impl Backups ===

impl Backups {
    /// The backups in `storage` of the lake that is attached to `engine` and has its catalog at `catalog`. Unless asked
    /// otherwise, as many stay as `retention` says.
    pub fn new(engine: Engine, storage: &Storage, catalog: &Catalog, retention: Retention) -> Self {
        let (shelf, catalog) = (Shelf::new(storage), catalog.kind());
        let (turn, handover) = (tokio::sync::Mutex::default(), Handover::default());
        Self { engine, shelf, catalog, retention, read: named::Read::default(), turn, handover }
    }

    /// Takes a backup in the name of `author`, makes it the latest, and removes older ones as `retention` says, or as
    /// was configured.
    ///
    /// # Errors
    /// As [`portable::export`]; Cancelled; what the store says. The latest is the one before then.
    pub async fn take(&self, author: &Principal, retention: Option<Retention>, progress: &Progress) -> Result<Taken> {
        let (record, _turn) = self.write(author, true, progress).await?;
        let removed = self.remove_surplus(retention.unwrap_or(self.retention), &record, progress).await;
        Ok(Taken { uri: self.shelf.uri(&record.name), record, removed })
    }

    /// Takes a backup of a lake that is about to be replaced. It does not become the latest. Gives its name.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub async fn take_aside(&self) -> Result<String> {
        let (record, _turn) = self.write(&Principal::server(), false, &Progress::unseen()).await?;
        Ok(record.name)
    }

    async fn write(
        &self,
        author: &Principal,
        latest: bool,
        progress: &Progress,
    ) -> Result<(Record, tokio::sync::MutexGuard<'_, ()>)> {
        progress.phase("wait for another backup, or for maintenance", "steps", None);
        let turn = progress.unless_cancelled(async { Ok(self.turn.lock().await) }).await?;
        let spool = tempfile::Builder::new().prefix("backup-").tempdir_in(self.engine.staging())?;
        let file = spool.path().join("catalog.duckdb");
        progress.phase("copy the catalog", "steps", None);
        let contents = self.export(&file, progress).await?;
        let record = self.record(author, &file, contents).await?;
        progress.phase("store the backup", "bytes", Some(record.bytes));
        if let Err(err) = self.store(&file, &record, spool.path(), latest, progress).await {
            if let Err(err) = self.shelf.remove(&record.name).await {
                tracing::warn!(cause = %err, backup = record.name, "an unfinished backup stays behind");
            }
            return Err(err);
        }
        Ok((record, turn))
    }

    /// Copies the catalog to `file`, and opens the copy as whoever needs it will.
    async fn export(&self, file: &Path, progress: &Progress) -> Result<Contents> {
        let lease = self.engine.lease().await?;
        let target = file.to_path_buf();
        let work = move |connection: &Connection| {
            let exported = portable::export(connection, &target)?;
            let (seen, _) = portable::examine(connection, &target)?;
            if seen == exported {
                Ok(seen)
            } else {
                Err(Error::internal("the copy of the catalog is not what was copied"))
            }
        };
        lease.worker().run_until(progress.cancelled(), work).await
    }

    async fn record(&self, author: &Principal, file: &Path, contents: Contents) -> Result<Record> {
        let Fingerprint { bytes, sha256 } = Fingerprint::of(file).await?;
        // Names know no microseconds; the moment must not lie before a commit that the copy holds.
        let name = name_at(Utc::now() + TimeDelta::milliseconds(1));
        let time = moment_of(&name).ok_or_else(|| Error::internal("name the backup"))?;
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
        self.shelf.put(file, record, spool).await?;
        progress.advance(record.bytes);
        progress.check()?;
        if !latest {
            return Ok(());
        }
        self.shelf.make_latest(&record.name).await.context(|| "make the backup the latest")
    }

    /// Removes what `retention` does not keep. The new backup counts in any case: what cannot be removed stays for the
    /// next time.
    async fn remove_surplus(&self, retention: Retention, record: &Record, progress: &Progress) -> Vec<String> {
        let remove = async {
            let entries = self.shelf.list(Some(&record.contents.lake)).await?;
            let doomed = retention.doomed(&entries, &record.name, Utc::now());
            progress.phase("remove older backups", "backups", Some(doomed.len() as u64));
            let mut removed = Vec::new();
            for name in doomed {
                self.shelf.remove(&name).await?;
                progress.advance(1);
                removed.push(name);
            }
            Ok::<_, Error>(removed)
        };
        remove.await.unwrap_or_else(|err| {
            tracing::warn!(cause = %err, "older backups could not be removed");
            Vec::new()
        })
    }

    /// All backups in the store, the newest first, and the name of the latest; with `verify` those that seem complete are
    /// read and compared with their checksums.
    ///
    /// # Errors
    /// Cancelled; what the store says.
    pub async fn list(&self, verify: bool, progress: &Progress) -> Result<(Vec<Entry>, Option<String>)> {
        let lake = self.engine.run(portable::lake_id).await?;
        let mut entries = self.shelf.list(Some(&lake)).await?;
        if verify {
            progress.phase("verify backups", "backups", Some(entries.len() as u64));
            let spool = tempfile::tempdir_in(self.engine.staging())?;
            for entry in &mut entries {
                progress.check()?;
                if let (State::Complete, Some(record)) = (&entry.state, &entry.record) {
                    match self.shelf.fetch(record, &spool.path().join("catalog.duckdb")).await {
                        Err(err) if err.kind() == ErrorKind::FailedPrecondition => {
                            entry.state = State::Damaged(err.message().to_owned());
                        }
                        outcome => outcome?,
                    }
                }
                progress.advance(1);
            }
        }
        // A manifest that cannot be read names none.
        let latest = self.shelf.latest().await.unwrap_or_default();
        Ok((entries, latest))
    }
}

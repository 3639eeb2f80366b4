//! The repository: lists, writes, reads and removes backups in the object store.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{Fingerprint, Record, time_of};
use crate::{
    error::{Error, ErrorKind, Result},
    storage::Storage,
};

const FOLDER: &str = "backups/catalog";
const FILE: &str = "catalog.duckdb";
const RECORD: &str = "backup.json";

/// The backups in one object store.
#[derive(Clone, Debug)]
pub struct Repository {
    storage: Storage,
}

/// One backup, complete or not.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name, derived from the time.
    pub name: String,
    /// The location in the store.
    pub uri: String,
    /// When it was taken.
    pub time: DateTime<Utc>,
    /// The content of its `backup.json`; `None` if that is missing or unreadable.
    pub record: Option<Record>,
    /// Whether it can be restored.
    pub state: BackupState,
}

/// Whether a backup can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupState {
    /// It can be restored.
    Complete,
    /// It is being written, or writing it was interrupted.
    Incomplete,
    /// Its content differs from what was written; the text names the fault.
    Damaged(String),
    /// It belongs to another lake.
    Foreign,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    latest: String,
}

// === impl Repository ===

impl Repository {
    /// The repository in `storage`.
    pub fn new(storage: &Storage) -> Self {
        Self { storage: storage.durable() }
    }

    /// Lists all backups, newest first. Those of another lake than `lake` are reported as foreign, if it is known.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn list(&self, lake: Option<&str>) -> Result<Vec<Entry>> {
        let mut sizes = BTreeMap::<String, BTreeMap<String, u64>>::new();
        for (path, bytes) in self.storage.list(FOLDER).await? {
            let inside = path.strip_prefix(FOLDER).and_then(|path| path.strip_prefix('/'));
            let Some((name, file)) = inside.and_then(|path| path.rsplit_once('/')) else { continue };
            sizes.entry(name.to_owned()).or_default().insert(file.to_owned(), bytes);
        }
        let mut entries = Vec::new();
        for (name, files) in sizes.into_iter().rev() {
            if let Some(time) = time_of(&name) {
                entries.push(self.entry(name, time, &files, lake).await?);
            }
        }
        Ok(entries)
    }

    async fn entry(
        &self,
        name: String,
        time: DateTime<Utc>,
        files: &BTreeMap<String, u64>,
        lake: Option<&str>,
    ) -> Result<Entry> {
        let uri = self.uri(&name);
        let read = if files.contains_key(RECORD) { self.record(&name).await? } else { Err(BackupState::Incomplete) };
        let (record, state) = match read {
            Ok(record) => {
                let state = match files.get(FILE) {
                    None => BackupState::Damaged(format!("{FILE} is missing")),
                    Some(bytes) if *bytes != record.bytes => {
                        BackupState::Damaged(format!("{FILE} has {bytes} bytes, not {}", record.bytes))
                    }
                    Some(_) if lake.is_some_and(|lake| lake != record.contents.lake) => BackupState::Foreign,
                    Some(_) => BackupState::Complete,
                };
                (Some(record), state)
            }
            Err(state) => (None, state),
        };
        Ok(Entry { name, uri, time, record, state })
    }

    /// The `backup.json` of the backup `name`, or the state of a backup without a valid one.
    async fn record(&self, name: &str) -> Result<Result<Record, BackupState>> {
        let bytes = match self.storage.get(&path(name, RECORD)).await {
            Ok(bytes) => bytes,
            // It is being removed.
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Err(BackupState::Incomplete)),
            Err(err) => return Err(err),
        };
        let read = serde_json::from_slice::<Record>(&bytes).map_err(|err| format!("cannot read {RECORD}: {err}"));
        let sound = read.and_then(|record| record.fault(name).map_or(Ok(record), Err));
        Ok(sound.map_err(BackupState::Damaged))
    }

    /// The name of the latest backup; `None` before the first.
    ///
    /// # Errors
    /// `FailedPrecondition` if the manifest is invalid; errors of the store.
    pub async fn latest(&self) -> Result<Option<String>> {
        let path = format!("{FOLDER}/manifest.json");
        let bytes = match self.storage.get(&path).await {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        let manifest = serde_json::from_slice::<Manifest>(&bytes).map_err(|err| {
            let text = format!(
                "read \"{path}\": {err}; specify a backup by name, or take a new backup, which rewrites the manifest"
            );
            Error::precondition(text)
        });
        manifest.map(|manifest| Some(manifest.latest))
    }

    /// Uploads `file` as the backup described by `record`, and verifies it by reading it back. Does not make it the latest.
    pub(super) async fn put(&self, file: &Path, record: &Record, spool: &Path) -> Result<()> {
        self.storage.upload(file, &path(&record.name, FILE)).await?;
        self.fetch(record, &spool.join("read-back")).await?;
        let text = serde_json::to_vec_pretty(record).map_err(|err| Error::internal(err.to_string()))?;
        self.storage.put(&path(&record.name, RECORD), text.into()).await
    }

    /// Makes the backup `name` the latest, unless the latest is newer.
    pub(super) async fn make_latest(&self, name: &str) -> Result<()> {
        // An invalid manifest is overwritten.
        if self.latest().await.is_ok_and(|latest| latest.is_some_and(|latest| latest.as_str() > name)) {
            return Ok(());
        }
        let manifest = serde_json::to_vec(&Manifest { latest: name.to_owned() });
        let manifest = manifest.map_err(|err| Error::internal(err.to_string()))?;
        self.storage.put(&format!("{FOLDER}/manifest.json"), manifest.into()).await
    }

    /// Downloads the file of a backup to `target`.
    ///
    /// # Errors
    /// `FailedPrecondition` if it does not match its checksum; errors of the store.
    pub(super) async fn fetch(&self, record: &Record, target: &Path) -> Result<()> {
        self.storage.download(&path(&record.name, FILE), target).await?;
        let (found, name) = (Fingerprint::of(target).await?, &record.name);
        if found != (Fingerprint { bytes: record.bytes, sha256: record.sha256.clone() }) {
            let text = format!("backup {name} is damaged: {FILE} does not match its checksum; choose another backup");
            return Err(Error::precondition(text));
        }
        Ok(())
    }

    /// Removes the backup `name`. A partly removed backup is incomplete.
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        self.storage.delete(&path(name, RECORD)).await?;
        self.storage.delete_folder(&format!("{FOLDER}/{name}")).await
    }

    /// The location of the backup `name`.
    pub(super) fn uri(&self, name: &str) -> String {
        self.storage.uri(&format!("{FOLDER}/{name}"))
    }

    /// The paths relative to the lake's data path, and the sizes, of all files in the lake.
    pub(super) async fn lake_files(&self) -> Result<BTreeMap<String, u64>> {
        let files = self.storage.list("lake").await?;
        let relative = |(path, bytes): (String, u64)| Some((path.strip_prefix("lake/")?.to_owned(), bytes));
        Ok(files.into_iter().filter_map(relative).collect())
    }
}

fn path(name: &str, file: &str) -> String {
    format!("{FOLDER}/{name}/{file}")
}

//! The backups in a store: which there are, and in what state.

use std::{collections::BTreeMap, path::Path};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{Fingerprint, Record, moment_of};
use crate::{
    error::{Error, ErrorKind, Result},
    storage::Storage,
};

const FOLDER: &str = "backups/catalog";
const FILE: &str = "catalog.duckdb";
const RECORD: &str = "backup.json";

/// The backups in one store.
#[derive(Clone, Debug)]
pub struct Shelf {
    storage: Storage,
}

/// One backup, whatever became of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, which is its time.
    pub name: String,
    /// Where it lies.
    pub uri: String,
    /// When it was taken.
    pub time: DateTime<Utc>,
    /// What it says of itself; `None` when it says nothing that can be read.
    pub record: Option<Record>,
    /// Whether it can be brought back.
    pub state: State,
}

/// Whether a backup can be brought back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It can.
    Complete,
    /// It is being taken, or the server ended before it was.
    Incomplete,
    /// It is not what was written, for this reason.
    Damaged(String),
    /// It is of another lake.
    Foreign,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    latest: String,
}

// === impl Shelf ===

impl Shelf {
    /// The backups in `storage`.
    pub fn new(storage: &Storage) -> Self {
        Self { storage: storage.durable() }
    }

    /// All backups, the newest first; `lake` is the id of the lake whose they shall be, where that is known.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, lake: Option<&str>) -> Result<Vec<Entry>> {
        let mut sizes = BTreeMap::<String, BTreeMap<String, u64>>::new();
        for (path, bytes) in self.storage.list(FOLDER).await? {
            let inside = path.strip_prefix(FOLDER).and_then(|path| path.strip_prefix('/'));
            let Some((name, file)) = inside.and_then(|path| path.rsplit_once('/')) else { continue };
            sizes.entry(name.to_owned()).or_default().insert(file.to_owned(), bytes);
        }
        let mut entries = Vec::new();
        for (name, files) in sizes.into_iter().rev() {
            if let Some(time) = moment_of(&name) {
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
        let read = if files.contains_key(RECORD) { self.record(&name).await? } else { Err(State::Incomplete) };
        let (record, state) = match read {
            Ok(record) => {
                let state = match files.get(FILE) {
                    None => State::Damaged(format!("{FILE} is missing")),
                    Some(bytes) if *bytes != record.bytes => {
                        State::Damaged(format!("{FILE} has {bytes} bytes, not {}", record.bytes))
                    }
                    Some(_) if lake.is_some_and(|lake| lake != record.contents.lake) => State::Foreign,
                    Some(_) => State::Complete,
                };
                (Some(record), state)
            }
            Err(state) => (None, state),
        };
        Ok(Entry { name, uri, time, record, state })
    }

    /// What the backup `name` says of itself, or why that cannot be told.
    async fn record(&self, name: &str) -> Result<Result<Record, State>> {
        let bytes = match self.storage.get(&path(name, RECORD)).await {
            Ok(bytes) => bytes,
            // It is being removed.
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(Err(State::Incomplete)),
            Err(err) => return Err(err),
        };
        let read = serde_json::from_slice::<Record>(&bytes).map_err(|err| format!("{RECORD} cannot be read: {err}"));
        let sound = read.and_then(|record| record.fault(name).map_or(Ok(record), Err));
        Ok(sound.map_err(State::Damaged))
    }

    /// The name of the latest backup; `None` before the first.
    ///
    /// # Errors
    /// `FailedPrecondition` when the manifest cannot be read; what the store says.
    pub async fn latest(&self) -> Result<Option<String>> {
        let path = format!("{FOLDER}/manifest.json");
        let bytes = match self.storage.get(&path).await {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(err),
        };
        let manifest = serde_json::from_slice::<Manifest>(&bytes).map_err(|err| {
            let text = format!("read \"{path}\": {err}; name the backup, or take a new one, which writes it anew");
            Error::precondition(text)
        });
        manifest.map(|manifest| Some(manifest.latest))
    }

    /// Puts `file` there as the backup that `record` tells of, and reads it back; it is not the latest yet.
    pub(super) async fn put(&self, file: &Path, record: &Record, spool: &Path) -> Result<()> {
        self.storage.upload(file, &path(&record.name, FILE)).await?;
        self.fetch(record, &spool.join("read-back")).await?;
        let text = serde_json::to_vec_pretty(record).map_err(|err| Error::internal(err.to_string()))?;
        self.storage.put(&path(&record.name, RECORD), text.into()).await
    }

    /// Makes the backup `name` the latest, unless a newer one is.
    pub(super) async fn make_latest(&self, name: &str) -> Result<()> {
        // A manifest that cannot be read is written anew.
        if self.latest().await.is_ok_and(|latest| latest.is_some_and(|latest| latest.as_str() > name)) {
            return Ok(());
        }
        let manifest = serde_json::to_vec(&Manifest { latest: name.to_owned() });
        let manifest = manifest.map_err(|err| Error::internal(err.to_string()))?;
        self.storage.put(&format!("{FOLDER}/manifest.json"), manifest.into()).await
    }

    /// Copies the file of a backup to `target`.
    ///
    /// # Errors
    /// `FailedPrecondition` when it is not what was written; what the store says.
    pub(super) async fn fetch(&self, record: &Record, target: &Path) -> Result<()> {
        self.storage.download(&path(&record.name, FILE), target).await?;
        let (found, name) = (Fingerprint::of(target).await?, &record.name);
        if found != (Fingerprint { bytes: record.bytes, sha256: record.sha256.clone() }) {
            let text =
                format!("the backup {name} is damaged: {FILE} is not the file that was written; take another one");
            return Err(Error::precondition(text));
        }
        Ok(())
    }

    /// Removes the backup `name`. What is half removed does not count as complete.
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        self.storage.delete(&path(name, RECORD)).await?;
        self.storage.delete_folder(&format!("{FOLDER}/{name}")).await
    }

    /// Where the backup `name` lies.
    pub(super) fn uri(&self, name: &str) -> String {
        self.storage.uri(&format!("{FOLDER}/{name}"))
    }

    /// The paths, relative to the lake's data path, and sizes of all files of the lake.
    pub(super) async fn lake_files(&self) -> Result<BTreeMap<String, u64>> {
        let files = self.storage.list("lake").await?;
        let relative = |(path, bytes): (String, u64)| Some((path.strip_prefix("lake/")?.to_owned(), bytes));
        Ok(files.into_iter().filter_map(relative).collect())
    }
}

fn path(name: &str, file: &str) -> String {
    format!("{FOLDER}/{name}/{file}")
}

//! Landings: the unchanged files of one ingest, in a dated folder.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::source::Files;
use crate::{error::Result, jobs::Progress, storage::Storage};

/// A landing that is being written. It becomes the latest when its manifest is written.
#[derive(Debug)]
pub struct Landing {
    storage: Storage,
    dataset: String,
    /// `YYYY_MM_DD/HH_MM_SS_mmm`, in UTC.
    time: String,
    /// The landed files, relative to the storage's root.
    paths: Vec<String>,
    bytes: u64,
}

#[derive(Serialize)]
struct Manifest<'a> {
    dataset: &'a str,
    latest: &'a str,
}

// === impl Landing ===

impl Landing {
    /// A landing of `dataset`, now.
    pub fn new(storage: Storage, dataset: &str) -> Self {
        let now: DateTime<Utc> = Utc::now();
        let time = now.format("%Y_%m_%d/%H_%M_%S_%3f").to_string();
        Self { storage, dataset: dataset.to_owned(), time, paths: Vec::new(), bytes: 0 }
    }

    /// Copies the data files, keeping their paths relative to the source's folder.
    pub async fn copy(&mut self, files: &Files, progress: &Progress) -> Result<()> {
        progress.phase("land files", "files", Some(files.data.len() as u64));
        for file in &files.data {
            progress.check()?;
            let relative = file.strip_prefix(&files.root).unwrap_or(file).display();
            let path = format!("{}/{relative}", self.folder());
            self.bytes += self.storage.upload(file, &path).await?;
            self.paths.push(path);
            progress.advance(1);
        }
        Ok(())
    }

    /// The landed files as DuckDB opens them.
    pub fn engine_paths(&self) -> Vec<String> {
        self.paths.iter().map(|path| self.storage.engine_path(path)).collect()
    }

    /// Its URI.
    pub fn uri(&self) -> String {
        self.storage.uri(&self.folder())
    }

    /// The name, `YYYY_MM_DD/HH_MM_SS_mmm`, which rows contain.
    pub fn time(&self) -> &str {
        &self.time
    }

    /// The size of its files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the manifest, which makes this landing the latest.
    pub async fn make_latest(&self) -> Result<()> {
        let manifest = Manifest { dataset: &self.dataset, latest: &self.time };
        let text = serde_json::to_vec(&manifest).map_err(|err| crate::error::Error::internal(err.to_string()))?;
        self.storage.put(&format!("raw/{}/manifest.json", self.dataset), text.into()).await
    }

    /// Removes it.
    pub async fn remove(self) -> Result<()> {
        self.storage.delete_folder(&self.folder()).await
    }

    fn folder(&self) -> String {
        format!("raw/{}/{}", self.dataset, self.time)
    }
}

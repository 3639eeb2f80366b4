//! Landings: the unchanged files of one ingest, in a dated folder.

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};

use super::source::{Content, Files};
use crate::{
    error::{Error, Result},
    jobs::Progress,
    storage::{
        Copied, Storage,
        dated::{self, Dated},
    },
};

/// The folder of all landings.
pub(super) const ROOT: &str = "raw";
/// The file of a landing that lists the others.
pub(super) const LISTING: &str = ".landing.json";
/// An empty file in a landing whose files somebody is to put there.
pub(super) const KEEP: &str = ".keep";

/// A landing that is being written. It becomes the latest when its manifest is written.
#[derive(Debug)]
pub struct Landing {
    /// The landings of its data set.
    series: Dated,
    /// `YYYY_MM_DD/HH_MM_SS_mmm`, in UTC.
    time: String,
    /// Whether its files are to stay if the ingest fails: somebody else put them there.
    found: bool,
    /// The landed files, relative to the landing.
    files: Vec<File>,
}

/// A landed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The path relative to the landing.
    pub path: String,
    /// The size.
    pub bytes: u64,
    /// The SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// The listing of a landing: `.landing.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The source, without keys.
    pub source: String,
    /// The files, in the order in which they were read.
    pub files: Vec<File>,
}

// === impl Landing ===

impl Landing {
    /// A landing of `dataset`, now.
    pub fn new(storage: Storage, dataset: &str) -> Self {
        Self::of(storage, dataset, &dated::now(), Vec::new())
    }

    /// The newest landing of `dataset` whose files somebody is to put there; `None` if there is none.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn waiting(storage: Storage, dataset: &str) -> Result<Option<Self>> {
        let folder = format!("{ROOT}/{dataset}/");
        let objects = storage.list(&format!("{ROOT}/{dataset}")).await?;
        let with = |file: &str| -> BTreeSet<&str> {
            let times = objects.iter().filter_map(|(path, _)| path.strip_prefix(&folder)?.strip_suffix(file));
            times.filter_map(|time| time.strip_suffix('/')).collect()
        };
        let newest = with(KEEP).difference(&with(LISTING)).max().map(|time| (*time).to_owned());
        Ok(newest.map(|time| Self { found: true, ..Self::of(storage, dataset, &time, Vec::new()) }))
    }

    /// Makes an empty landing of `dataset`, for somebody to put files there.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn make(storage: Storage, dataset: &str) -> Result<Self> {
        let landing = Self { found: true, ..Self::new(storage, dataset) };
        landing.storage().put(&landing.path(KEEP), bytes::Bytes::new()).await?;
        Ok(landing)
    }

    /// Downloads what somebody put into it to `folder`. Returns the number of files.
    ///
    /// # Errors
    /// Cancelled; errors of the store.
    pub async fn download(&self, folder: &Path, progress: &Progress) -> Result<usize> {
        let inside = format!("{}/", self.folder());
        let objects = self.storage().list(&self.folder()).await?;
        let names = objects.iter().filter_map(|(path, _)| path.strip_prefix(&inside));
        let names: Vec<_> = names.filter(|name| !name.split('/').any(|part| part.starts_with('.'))).collect();
        progress.phase("read landing", "files", Some(names.len() as u64));
        for name in &names {
            progress.check()?;
            let file = folder.join(name);
            if let Some(parent) = file.parent() {
                tokio::fs::create_dir_all(parent).await?;
            }
            self.storage().download(&self.path(name), &file).await?;
            progress.advance(1);
        }
        Ok(names.len())
    }

    /// The landing `time`, with files that are there.
    pub fn of(storage: Storage, dataset: &str, time: &str, files: Vec<File>) -> Self {
        Self { series: Dated::new(storage, ROOT, dataset), time: time.to_owned(), found: false, files }
    }

    /// Lands the data files, keeping their paths relative to the source's folder: copies them, unless they are here.
    ///
    /// # Errors
    /// Cancelled; errors of the store.
    pub async fn land(&mut self, files: &Files, progress: &Progress) -> Result<()> {
        progress.phase("land files", "files", Some(files.data.len() as u64));
        for file in &files.data {
            progress.check()?;
            let name = &file.name;
            if name.starts_with('.') {
                return Err(Error::invalid(format!("\"{name}\" is hidden: rename it")));
            }
            let Copied { bytes, sha256 } = match &file.content {
                Content::Here(path) if self.found => Storage::checksum(path).await?,
                Content::Here(path) => self.storage().upload(path, &self.path(name)).await?,
                Content::Landed { path, bytes, sha256 } => {
                    self.storage().copy(path, &self.path(name)).await?;
                    Copied { bytes: *bytes, sha256: sha256.clone() }
                }
            };
            self.files.push(File { path: name.clone(), bytes, sha256 });
            progress.advance(1);
        }
        Ok(())
    }

    /// The landed file `name` as DuckDB opens it.
    pub fn engine_path(&self, name: &str) -> String {
        self.storage().engine_path(&self.path(name))
    }

    /// The landed file `name` as DuckDB calls it.
    pub fn engine_name(&self, name: &str) -> String {
        self.storage().engine_name(&self.path(name))
    }

    /// Downloads the object at `path` of the store, which an earlier landing may have, to a local file.
    ///
    /// # Errors
    /// Errors of the store and of the disk.
    pub async fn fetch(&self, path: &str, file: &Path) -> Result<()> {
        self.storage().download(path, file).await.map(|_| ())
    }

    /// The landed files.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Its URI.
    pub fn uri(&self) -> String {
        self.storage().uri(&self.folder())
    }

    /// The name, `YYYY_MM_DD/HH_MM_SS_mmm`, which rows contain.
    pub fn time(&self) -> &str {
        &self.time
    }

    /// The size of its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Writes the listing, and then the manifest, which makes this landing the latest.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn make_latest(&self, source: String) -> Result<()> {
        let listing = Listing { source, files: self.files.clone() };
        self.storage().write_json(&self.path(LISTING), &listing).await?;
        // A landing that waited for its files may be older than the latest.
        self.series.make_latest(&self.time).await?;
        if self.found {
            self.storage().delete(&self.path(KEEP)).await?;
        }
        Ok(())
    }

    /// Removes what the ingest has written of it.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn remove(self) -> Result<()> {
        if self.found { Ok(()) } else { self.storage().delete_folder(&self.folder()).await }
    }

    fn folder(&self) -> String {
        self.series.folder(&self.time)
    }

    fn path(&self, name: &str) -> String {
        self.series.path(&self.time, name)
    }

    fn storage(&self) -> &Storage {
        self.series.storage()
    }
}

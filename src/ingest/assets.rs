//! Assets: one media blob an object; tables hold the URIs.

use std::{collections::HashMap, path::Path};

use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::{
    error::{Context, Error, Result},
    media::{
        facts::{MediaFacts, facts},
        image,
    },
    storage::{Copied, Storage},
};

/// How many blobs are remembered, so that equal ones are stored once.
const MAX_REMEMBERED: usize = 1 << 20;

/// The assets that one ingest writes.
#[derive(Debug)]
pub struct Assets {
    storage: Storage,
    /// Whether other servers write to the store: they may use an asset that this ingest has written.
    is_shared: bool,
    dataset: String,
    /// Those that were not there before, to be removed if the ingest fails.
    new: Mutex<Vec<String>>,
    /// The URIs of blobs by their column and hash.
    known: Mutex<HashMap<(String, String), String>>,
}

/// A medium, and what is known about it.
#[derive(Clone, Debug)]
pub struct Medium {
    /// Its bytes.
    pub bytes: Bytes,
    /// What they are.
    pub facts: MediaFacts,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
}

// === impl Medium ===

impl Medium {
    /// Reads what `bytes` are; errors call them `name`.
    ///
    /// # Errors
    /// `InvalidArgument` for a file that is broken.
    pub async fn of(bytes: Bytes, name: Option<&str>) -> Result<Self> {
        let is_picture = name.is_some_and(|name| {
            let name = name.to_lowercase();
            [".jpg", ".jpeg", ".png"].iter().any(|ending| name.ends_with(ending))
        });
        let read = move || {
            let found = facts(&bytes)?;
            if found.kind.is_none() && is_picture {
                // Says why it is none.
                image::probe(&bytes)?;
            }
            let sha256 = format!("{:x}", Sha256::digest(&bytes));
            Ok(Self { facts: found, sha256, bytes })
        };
        let medium = tokio::task::spawn_blocking(read).await;
        let medium = medium.unwrap_or_else(|_| Err(Error::invalid("read the file: a parser gave up")));
        medium.context(|| format!("store \"{}\"", name.and_then(base_name).unwrap_or_default()))
    }
}

// === impl Assets ===

impl Assets {
    /// Assets of `dataset`, in a store that other servers may share.
    pub fn new(storage: Storage, dataset: &str, is_shared: bool) -> Self {
        let dataset = dataset.to_owned();
        Self { storage, is_shared, dataset, new: Mutex::default(), known: Mutex::default() }
    }

    /// As [`put`](Self::put), but equal bytes are stored once, whatever their names.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn put_once(&self, column: &str, name: Option<&str>, fallback: &str, medium: &Medium) -> Result<String> {
        let key = (column.to_owned(), medium.sha256.clone());
        if let Some(uri) = self.known.lock().get(&key) {
            return Ok(uri.clone());
        }
        let uri = self.put(column, name, fallback, medium).await?;
        let mut known = self.known.lock();
        if known.len() < MAX_REMEMBERED {
            known.insert(key, uri.clone());
        }
        Ok(uri)
    }

    /// Stores a medium of `column` and gives its URI. The same bytes under the same name are stored once; other bytes get a
    /// name with their hash, because names repeat across shards and folders.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn put(&self, column: &str, name: Option<&str>, fallback: &str, medium: &Medium) -> Result<String> {
        let name = match (name.and_then(base_name), medium.facts.kind) {
            (Some(name), _) => name,
            (None, Some(kind)) => format!("{fallback}.{}", kind.extension),
            (None, None) => format!("{fallback}.bin"),
        };
        let folder = format!("assets/{}/{column}", self.dataset);
        let mut path = format!("{folder}/{name}");
        if !self.put_new(&path, &medium.bytes).await? && self.storage.get(&path).await? != medium.bytes {
            path = format!("{folder}/{}", with_digest(&name, &medium.sha256));
            self.put_new(&path, &medium.bytes).await?;
        }
        Ok(self.storage.uri(&path))
    }

    /// Stores a file of `column`, and gives its URI. The name contains the hash of the content, so that the same content is
    /// stored once.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn put_file(&self, column: &str, name: &str, file: &Path) -> Result<String> {
        let Copied { bytes, sha256 } = Storage::checksum(file).await?;
        let name = base_name(name).unwrap_or_else(|| column.to_owned());
        let path = format!("assets/{}/{column}/{}", self.dataset, with_digest(&name, &sha256));
        if self.storage.size(&path).await? != Some(bytes) {
            // Recorded first: an upload that fails may have written it.
            self.new.lock().push(path.clone());
            self.storage.upload(file, &path).await?;
        }
        Ok(self.storage.uri(&path))
    }

    async fn put_new(&self, path: &str, bytes: &Bytes) -> Result<bool> {
        let written = self.storage.put_new(path, bytes.clone()).await?;
        if written {
            self.new.lock().push(path.to_owned());
        }
        Ok(written)
    }

    /// How many assets were not there before.
    pub fn written(&self) -> u64 {
        self.new.lock().len() as u64
    }

    /// Removes those that were not there before, unless another server may use them by now.
    pub async fn remove(self) -> Result<()> {
        for path in self.new.into_inner().iter().filter(|_| !self.is_shared) {
            self.storage.delete(path).await?;
        }
        Ok(())
    }
}

/// The last part of a path, if it can name an object.
fn base_name(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let sound = |c: char| !c.is_control() && !"#%?*[]{}<>|\"^`~".contains(c);
    let name: String = name.chars().map(|c| if sound(c) { c } else { '_' }).collect();
    (!name.is_empty() && name != "." && name != ".." && name.len() <= 200).then_some(name)
}

/// `name.jpg` as `name-<first 12 hex digits of the hash>.jpg`.
fn with_digest(name: &str, digest: &str) -> String {
    let hash = &digest[..12];
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}-{hash}.{extension}"),
        None => format!("{name}-{hash}"),
    }
}

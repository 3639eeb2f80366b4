//! Assets: one media blob an object; tables hold the URIs.

use std::path::Path;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::{
    error::{Context, Result},
    media::image,
    storage::{Copied, Storage},
};

/// The assets that one ingest writes.
#[derive(Debug)]
pub struct Assets {
    storage: Storage,
    /// Whether other servers write to the store: they may use an asset that this ingest has written.
    is_shared: bool,
    dataset: String,
    /// Those that were not there before, to be removed if the ingest fails.
    new: Vec<String>,
}

// === impl Assets ===

impl Assets {
    /// Assets of `dataset`, in a store that other servers may share.
    pub fn new(storage: Storage, dataset: &str, is_shared: bool) -> Self {
        Self { storage, is_shared, dataset: dataset.to_owned(), new: Vec::new() }
    }

    /// Stores a blob of `column` and gives its URI. The same bytes under the same name are stored once; other bytes
    /// get a name with their hash, because names repeat across shards and folders.
    ///
    /// # Errors
    /// `InvalidArgument` for a picture that cannot be decoded; what the storage says.
    pub async fn put(&mut self, column: &str, name: Option<&str>, fallback: &str, bytes: Bytes) -> Result<String> {
        let kind = image::sniff(&bytes);
        let name = match (name.and_then(base_name), kind) {
            (Some(name), _) => name,
            (None, Some(kind)) => format!("{fallback}.{}", kind.extension),
            (None, None) => format!("{fallback}.bin"),
        };
        check_picture(&name, bytes.clone()).await?;
        let folder = format!("assets/{}/{column}", self.dataset);
        let path = format!("{folder}/{name}");
        if self.put_new(&path, &bytes).await? || self.storage.get(&path).await? == bytes {
            return Ok(self.storage.uri(&path));
        }
        let path = format!("{folder}/{}", with_hash(&name, &bytes));
        self.put_new(&path, &bytes).await?;
        Ok(self.storage.uri(&path))
    }

    /// Stores a file of `column`, and gives its URI. The name contains the hash of the content, so that the same content is
    /// stored once.
    ///
    /// # Errors
    /// Errors of the storage.
    pub async fn put_file(&mut self, column: &str, name: &str, file: &Path) -> Result<String> {
        let Copied { bytes, sha256 } = Storage::checksum(file).await?;
        let name = base_name(name).unwrap_or_else(|| column.to_owned());
        let path = format!("assets/{}/{column}/{}", self.dataset, with_digest(&name, &sha256));
        if self.storage.size(&path).await? != Some(bytes) {
            // Recorded first: an upload that fails may have written it.
            self.new.push(path.clone());
            self.storage.upload(file, &path).await?;
        }
        Ok(self.storage.uri(&path))
    }

    async fn put_new(&mut self, path: &str, bytes: &Bytes) -> Result<bool> {
        let written = self.storage.put_new(path, bytes.clone()).await?;
        if written {
            self.new.push(path.to_owned());
        }
        Ok(written)
    }

    /// How many assets were not there before.
    pub fn written(&self) -> u64 {
        self.new.len() as u64
    }

    /// Removes those that were not there before, unless another server may use them by now.
    pub async fn remove(self) -> Result<()> {
        for path in self.new.iter().filter(|_| !self.is_shared) {
            self.storage.delete(path).await?;
        }
        Ok(())
    }
}

/// Decodes what its name or its first bytes call a JPEG or PNG, so that a broken one is found now.
async fn check_picture(name: &str, bytes: Bytes) -> Result<()> {
    let named = [".jpg", ".jpeg", ".png"].iter().any(|ending| name.to_lowercase().ends_with(ending));
    let sniffed = image::sniff(&bytes).is_some_and(|kind| ["jpg", "png"].contains(&kind.extension));
    if !named && !sniffed {
        return Ok(());
    }
    let probed = tokio::task::spawn_blocking(move || image::probe(&bytes).map(|_| ())).await;
    let probed = probed.unwrap_or_else(|_| Err(crate::error::Error::invalid("decode image: the decoder gave up")));
    probed.context(|| format!("store \"{name}\""))
}

/// The last part of a path, if it can name an object.
fn base_name(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let sound = |c: char| !c.is_control() && !"#%?*[]{}<>|\"^`~".contains(c);
    let name: String = name.chars().map(|c| if sound(c) { c } else { '_' }).collect();
    (!name.is_empty() && name != "." && name != ".." && name.len() <= 200).then_some(name)
}

/// `name.jpg` as `name-<first 12 hex digits of the hash>.jpg`.
fn with_hash(name: &str, bytes: &[u8]) -> String {
    with_digest(name, &format!("{:x}", Sha256::digest(bytes)))
}

fn with_digest(name: &str, digest: &str) -> String {
    let hash = &digest[..12];
    match name.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}-{hash}.{extension}"),
        None => format!("{name}-{hash}"),
    }
}

//! What a data set shall contain, and what of it is missing.

use std::collections::BTreeSet;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    card,
    features::Features,
    provenance::{FILE, Provenance},
};
use crate::{
    error::{Error, Result},
    hub::{HubFile, NewContent, NewFile, Oid},
};

/// The path of the README.
pub const README: &str = "README.md";
/// The folder of the data files.
const DATA: &str = "data/";

/// What a data set shall contain.
#[derive(Debug)]
pub struct Wanted {
    /// The features of its columns.
    pub features: Features,
    /// Where its rows come from.
    pub provenance: Provenance,
    /// The data files.
    pub data: Vec<NewFile>,
}

/// What makes a branch what it shall be.
#[derive(Debug)]
pub struct Change {
    /// The files that are added or replaced.
    pub files: Vec<NewFile>,
    /// The paths of files that are removed.
    pub removed: Vec<String>,
}

// === impl Wanted ===

impl Wanted {
    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.provenance.splits.iter().map(|split| split.rows).sum()
    }

    /// The first line of a commit's message.
    pub fn title(&self) -> String {
        let what = self.provenance.source.table.as_deref().unwrap_or("a query");
        format!("Publish {what} at snapshot {}", self.provenance.snapshot_id)
    }

    /// The rest of a commit's message.
    pub fn description(&self) -> String {
        let Provenance { snapshot_id, snapshot_time, written_by, .. } = &self.provenance;
        format!("{} rows of snapshot {snapshot_id} ({snapshot_time}), written by {written_by}", self.rows())
    }

    /// What is missing where there are `files`, and perhaps an `old` README. Data files of earlier publications are removed.
    ///
    /// # Errors
    /// Internal if a text cannot be written.
    pub fn change(&self, repo: &str, files: &[HubFile], old: Option<&str>) -> Result<Change> {
        let readme = card::readme(repo, &self.features, &self.provenance, old)?;
        let provenance = serde_json::to_vec_pretty(&self.provenance)
            .map_err(|err| Error::internal("write JSON").with_source(err))?;
        let texts = [text(README, readme.into()), text(FILE, provenance.into())];
        let wanted = self.data.iter().cloned().chain(texts);
        let files_wanted: Vec<_> = wanted.filter(|wanted| !files.iter().any(|file| is(file, wanted))).collect();
        Ok(Change { files: files_wanted, removed: stale(&self.provenance, files) })
    }
}

// === impl Change ===

impl Change {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.removed.is_empty()
    }

    /// The files for large file storage, which has equal ones once.
    pub fn large(&self) -> Vec<NewFile> {
        let mut known = BTreeSet::new();
        let is_large = |file: &&NewFile| matches!(file.content, NewContent::File(_));
        self.files.iter().filter(is_large).filter(|file| known.insert(&file.sha256)).cloned().collect()
    }
}

/// Whether all data files of a publication are there, and no others.
pub fn are_there(published: &Provenance, files: &[HubFile]) -> bool {
    let is_there = |path: &str, sha256: &str| {
        files.iter().any(|file| file.path == path && file.oid == Oid::Sha256(sha256.to_owned()))
    };
    published.files.iter().all(|file| is_there(&file.path, &file.sha256))
        && files.iter().any(|file| file.path == README)
        && stale(published, files).is_empty()
}

/// The data files that are not those of a publication.
fn stale(published: &Provenance, files: &[HubFile]) -> Vec<String> {
    let current: BTreeSet<_> = published.files.iter().map(|file| file.path.as_str()).collect();
    let is_data = |path: &str| path.starts_with(DATA) && path.ends_with(".parquet");
    let paths = files.iter().map(|file| &file.path).filter(|path| is_data(path) && !current.contains(path.as_str()));
    paths.cloned().collect()
}

fn text(path: &str, text: Bytes) -> NewFile {
    NewFile {
        path: path.to_owned(),
        bytes: text.len() as u64,
        sha256: format!("{:x}", Sha256::digest(&text)),
        content: NewContent::Text(text),
    }
}

/// Whether a file of the data set is what it shall be.
fn is(file: &HubFile, wanted: &NewFile) -> bool {
    let same = match (&file.oid, &wanted.content) {
        (Oid::Sha256(sha256), _) => *sha256 == wanted.sha256,
        (oid, NewContent::Text(text)) => *oid == Oid::git_of(text),
        (Oid::Git(_), NewContent::File(_)) => false,
    };
    same && file.path == wanted.path
}

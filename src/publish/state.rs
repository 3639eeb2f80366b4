//! What a data set shall contain, and what of it is missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{
    card,
    features::Features,
    media::{self, MediaFiles},
    provenance::{FILE, Provenance},
};
use crate::{
    error::{Error, Result},
    hub::{HubFile, MAX_COMMITTED, NewContent, NewFile, Oid},
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
    /// The media that are files.
    pub media: Arc<MediaFiles>,
}

/// What makes a branch what it shall be.
#[derive(Debug)]
pub struct Change {
    /// The files that are added or replaced.
    pub files: Vec<NewFile>,
    /// The paths of files that are removed.
    pub removed: Vec<String>,
}

/// How many files with media a commit adds and removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaChange {
    /// How many are added.
    pub files: u64,
    /// The size of those.
    pub bytes: u64,
    /// How many are removed.
    pub removed: u64,
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
    /// `FailedPrecondition` if another configuration uses the folder of our files; `InvalidArgument` for more than fits into
    /// a commit; Internal if a text cannot be written.
    pub fn change(&self, repo: &str, files: &[HubFile], old: Option<&str>) -> Result<Change> {
        let readme = card::readme(repo, &self.features, &self.provenance, old)?;
        let provenance = serde_json::to_vec_pretty(&self.provenance)
            .map_err(|err| Error::internal("write JSON").with_source(err))?;
        let texts = [text(README, readme.into()), text(FILE, provenance.into())];
        let media = self.media.files();
        let there: BTreeMap<_, _> = files.iter().map(|file| (file.path.as_str(), file)).collect();
        let is_there = |wanted: &NewFile| there.get(wanted.path.as_str()).is_some_and(|file| is(file, wanted));
        let mut removed = stale(&self.provenance, files);
        let wanted: BTreeSet<_> = media.iter().map(|file| file.path.as_str()).collect();
        let stale_media = there.keys().filter(|path| media::is_ours(path) && !wanted.contains(*path));
        removed.extend(stale_media.map(|path| (*path).to_owned()));
        let wanted = self.data.iter().cloned().chain(media.iter().cloned()).chain(texts);
        let change = Change { files: wanted.filter(|file| !is_there(file)).collect(), removed };
        change.check()?;
        Ok(change)
    }
}

// === impl Change ===

impl Change {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.removed.is_empty()
    }

    /// The files that are not media: their paths and sizes.
    pub fn added(&self) -> Vec<(String, u64)> {
        let files = self.files.iter().filter(|file| !media::is_ours(&file.path));
        files.map(|file| (file.path.clone(), file.bytes)).collect()
    }

    /// The files that are removed and are not media.
    pub fn removed(&self) -> Vec<String> {
        self.removed.iter().filter(|path| !media::is_ours(path)).cloned().collect()
    }

    /// How many files with media are added and removed.
    pub fn media(&self) -> MediaChange {
        let added: Vec<_> = self.files.iter().filter(|file| media::is_ours(&file.path)).collect();
        let removed = self.removed.iter().filter(|path| media::is_ours(path));
        MediaChange {
            files: added.len() as u64,
            bytes: added.iter().map(|file| file.bytes).sum(),
            removed: removed.count() as u64,
        }
    }

    fn check(&self) -> Result<()> {
        let large = self.files.iter().filter(|file| matches!(file.content, NewContent::File(_))).count();
        if large <= MAX_COMMITTED {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "a commit of the Hub has at most {MAX_COMMITTED} large files, and this one would have {large}: embed media, or \
             publish fewer rows first"
        )))
    }

    /// The files for large file storage, which has equal ones once.
    pub fn large(&self) -> Vec<NewFile> {
        let mut known = BTreeSet::new();
        let is_large = |file: &&NewFile| matches!(file.content, NewContent::File(_));
        self.files.iter().filter(is_large).filter(|file| known.insert(&file.sha256)).cloned().collect()
    }
}

/// Whether all data files and media of a publication are there, and no others.
pub fn are_there(published: &Provenance, files: &[HubFile]) -> bool {
    let is_there = |path: &str, sha256: &str| {
        files.iter().any(|file| file.path == path && file.oid == Oid::Sha256(sha256.to_owned()))
    };
    published.files.iter().all(|file| is_there(&file.path, &file.sha256))
        && published.media == media::of_there(files)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_has_a_limit() {
        let file = NewFile {
            path: "a".to_owned(),
            bytes: 1,
            sha256: "b".to_owned(),
            content: NewContent::File(std::path::PathBuf::new()),
        };
        let mut change = Change { files: vec![file.clone(); MAX_COMMITTED], removed: Vec::new() };
        change.files.push(text(README, Bytes::new()));
        change.check().unwrap();
        change.files.push(file);
        assert!(change.check().unwrap_err().message().contains("25001"));
    }
}

//! The media of a folder: their files, splits and labels.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    format::is_metadata,
    source::{DataFile, Files, names_split},
};
use crate::error::{Error, Result};

/// The media of a source, by their names in it.
#[derive(Debug)]
pub(super) struct MediaFiles<'f>(BTreeMap<&'f str, &'f DataFile>);

// === impl MediaFiles ===

impl<'f> MediaFiles<'f> {
    pub fn of(files: &'f Files) -> Self {
        let media = files.data.iter().filter(|file| !is_metadata(file.name.as_ref()));
        Self(media.map(|file| (file.name.as_str(), file)).collect())
    }

    pub fn find(&self, name: &str) -> Option<&'f DataFile> {
        self.0.get(name).copied()
    }

    /// Those with these names.
    ///
    /// # Errors
    /// Internal if there is no such file.
    pub fn only(&self, names: &BTreeSet<String>) -> Result<Vec<DataFile>> {
        let find =
            |name: &String| self.find(name).cloned().ok_or_else(|| Error::internal(format!("no file \"{name}\"")));
        names.iter().map(find).collect()
    }

    /// The names of the media that belong to a split, each with its label. They have labels if they lie in several folders, all
    /// at the same depth, unless these are the folders of splits.
    pub fn labelled(&self) -> Vec<(&'f str, Option<&'f str>)> {
        let in_split = self.0.values().filter(|file| file.split.is_some());
        let names: Vec<_> = in_split.map(|file| file.name.as_str()).collect();
        let label = |name: &'f str| {
            let (folder, _) = name.rsplit_once('/')?;
            folder.rsplit('/').next()
        };
        let labels: BTreeSet<_> = names.iter().map(|name| label(name)).collect();
        let depths: BTreeSet<_> = names.iter().map(|name| name.matches('/').count()).collect();
        let are_splits = labels.iter().flatten().all(|label| names_split(label));
        let has_labels = labels.len() > 1 && depths.len() == 1 && !are_splits;
        names.into_iter().map(|name| (name, label(name).filter(|_| has_labels))).collect()
    }
}

//! Media that rows only name: files beside the tables of a data set on the Hugging Face Hub, as
//! `hf://datasets/OWNER/NAME@REVISION/PATH`.

use std::{collections::HashMap, path::Path, sync::Arc};

use bytes::Bytes;

use super::hugging_face::HubDataset;
use crate::{
    error::{Context, Result},
    hub::{HubFile, HuggingFace, Revision},
};

/// The files of the data set that is read.
#[derive(Clone, Debug)]
pub struct HubMedia {
    hub: Arc<HuggingFace>,
    at: Revision,
    /// The revision that was asked for.
    asked: String,
    files: HashMap<String, HubFile>,
}

// === impl HubMedia ===

impl HubMedia {
    /// Those of `dataset`, which are `files` at the commit `at`.
    pub fn new(hub: &Arc<HuggingFace>, dataset: &HubDataset, at: &Revision, files: &[HubFile]) -> Self {
        let files = files.iter().map(|file| (file.path.clone(), file.clone())).collect();
        let asked = dataset.revision.clone().unwrap_or_else(|| "main".to_owned());
        Self { hub: Arc::clone(hub), at: at.clone(), asked, files }
    }

    /// The file that `uri` names; `None` for what is not in the data set, or not at the revision that is read.
    pub fn find(&self, uri: &str) -> Option<&HubFile> {
        let HubDataset { name, revision, path } = HubDataset::parse(uri.strip_prefix("hf://")?).ok()?;
        let is_read =
            name == self.at.name && revision.is_none_or(|revision| revision == self.asked || revision == self.at.sha);
        if is_read { self.files.get(&path) } else { None }
    }

    /// Downloads a file, by way of the folder `spool`.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable`; errors of the disk.
    pub async fn fetch(&self, file: &HubFile, spool: &Path) -> Result<Bytes> {
        let folder = tempfile::tempdir_in(spool)?;
        let target = folder.path().join("medium");
        let fetched = self.hub.download(&self.at, file, &target, |_, _| {}).await;
        fetched.context(|| format!("download \"{}\"", file.path))?;
        Ok(tokio::fs::read(&target).await?.into())
    }
}

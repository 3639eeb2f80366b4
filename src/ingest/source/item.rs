//! The files of a source outside of this machine, before they are fetched.

use std::{path::Path, sync::Arc};

use url::Url;

use crate::{
    error::{Error, ErrorKind, Result},
    hub::{Downloaded, Http, HubFile, HuggingFace, Kaggle, KaggleVersion, Revision},
    storage::Storage,
};

/// A file that can be fetched.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its path within the source.
    pub path: String,
    /// Its size, if it is known before.
    pub bytes: Option<u64>,
    /// What identifies its content, if that is known before.
    pub tag: Option<String>,
    /// The split that the source assigns to it.
    pub split: Option<String>,
    /// Where it is.
    pub place: Place,
}

/// Where an item is.
#[derive(Clone, Debug)]
pub enum Place {
    /// At a URL.
    Web(Http, Url),
    /// In a bucket, with its key.
    Bucket(Arc<Storage>, String),
    /// In a data set of the Hugging Face Hub.
    HuggingFace(Arc<HuggingFace>, Arc<Revision>, HubFile),
    /// The archive of a version of a data set on Kaggle.
    Kaggle(Arc<Kaggle>, KaggleVersion),
}

// === impl Item ===

impl Item {
    /// Downloads it to `file`, unless its content is that of the tag `known`. Returns its tag; `None` if it is unchanged.
    /// `advance` receives the number of received bytes so far, and the size if it is known.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` for what can be repeated; errors of this machine's disk.
    pub async fn fetch(
        &self,
        file: &Path,
        known: Option<&str>,
        mut advance: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Option<String>> {
        if self.tag.is_some() && self.tag.as_deref() == known {
            return Ok(None);
        }
        match &self.place {
            Place::Web(http, url) => {
                return Ok(match http.fetch(url, file, known, advance).await? {
                    Downloaded::Unchanged => None,
                    Downloaded::File { validator, .. } => Some(validator.unwrap_or_default()),
                });
            }
            Place::Bucket(bucket, key) => match bucket.download(key, file).await {
                Ok(bytes) => advance(bytes, self.bytes),
                Err(err) if err.kind() == ErrorKind::NotFound => {
                    return Err(Error::not_found(format!("the object \"{key}\" is gone")));
                }
                Err(err) => return Err(err),
            },
            Place::HuggingFace(hub, revision, found) => hub.download(revision, found, file, advance).await?,
            Place::Kaggle(kaggle, version) => kaggle.download(version, file, advance).await?,
        }
        Ok(Some(self.tag.clone().unwrap_or_default()))
    }
}

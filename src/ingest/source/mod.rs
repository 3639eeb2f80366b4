//! Sources: where data comes from, and its files on this machine.
//!
//! ```text
//! Source ─ open ─▶ Items, with their tags ─ Downloads::fetch ─▶ files on this machine ─ Files
//! ```
//!
//! A source on another machine is listed first. Items whose content an earlier ingest has are not downloaded again.

mod archive;
mod bucket;
mod card;
mod downloads;
mod files;
mod hub_media;
mod hugging_face;
mod item;
mod kaggle;
mod outside;
mod path;
mod splits;
mod unpacked;
mod web;

use std::{path::PathBuf, sync::Arc};

use url::Url;

use self::hugging_face::HubDataset;
pub use self::{
    downloads::{Downloads, Fetched},
    files::{Content, DataFile, Files, Found, tag_of},
    hub_media::HubMedia,
    hugging_face::Wanted,
    item::Item,
    outside::Outside,
    splits::names_split,
    unpacked::{Unpacked, unpack},
};
use super::name::{snake_case, stem};
use crate::{
    error::{Error, Result},
    hub,
    jobs::Progress,
    storage::{S3, Storage},
};

/// The sources that are known, for errors.
const KNOWN: &str = "hf://datasets/owner/name, kaggle://owner/slug, https://host/file, s3://bucket/prefix, file:///path, \
                     or manual";

/// Parameters of URLs that are signatures, keys and their terms.
const SIGNATURES: [&str; 18] = [
    "signature",
    "expires",
    "key-pair-id",
    "policy",
    "googleaccessid",
    "awsaccesskeyid",
    "sig",
    "se",
    "sp",
    "sv",
    "sr",
    "st",
    "token",
    "access_token",
    "key",
    "api_key",
    "apikey",
    "auth",
];

/// Where data comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or folder that the server can read.
    File(PathBuf),
    /// A file on a web server.
    Web(Url),
    /// An object, or all objects under a prefix.
    Bucket {
        /// The name of the bucket.
        bucket: String,
        /// The key or prefix, without slashes at its ends; empty for the whole bucket.
        key: String,
    },
    /// A data set on the Hugging Face Hub.
    HuggingFace(HubDataset),
    /// A data set on Kaggle.
    Kaggle {
        /// `owner/slug`.
        name: String,
        /// The version; `None` for the current one.
        version: Option<u64>,
    },
    /// Files that somebody puts into a landing.
    Manual,
}

/// A source that can be read.
#[derive(Clone, Debug)]
pub enum Opened {
    /// It is a file or folder of this machine.
    Here(PathBuf),
    /// Its files must be fetched.
    Elsewhere {
        /// What names its present content, if the source names it.
        revision: Option<String>,
        /// Its files, each path once.
        items: Vec<Item>,
        /// Files that rows may name.
        media: Option<Arc<HubMedia>>,
    },
}

// === impl Opened ===

impl Opened {
    /// Files of the source that rows may name.
    pub(super) fn media(&self) -> Option<Arc<HubMedia>> {
        match self {
            Self::Here(_) => None,
            Self::Elsewhere { media, .. } => media.clone(),
        }
    }
}

// === impl Source ===

impl Source {
    /// Parses the URI of a source.
    ///
    /// # Errors
    /// `InvalidArgument` for an invalid URI; Unsupported for unsupported schemes, with the list of known ones.
    pub fn parse(uri: &str) -> Result<Self> {
        if uri.is_empty() {
            return Err(Error::invalid(format!("specify the location of the data as \"source\": {KNOWN}")));
        }
        if uri == "manual" {
            return Ok(Self::Manual);
        }
        if let Some(rest) = uri.strip_prefix("hf://") {
            return HubDataset::parse(rest).map(Self::HuggingFace);
        }
        if let Some(rest) = uri.strip_prefix("kaggle://") {
            return kaggle::parse(rest).map(|(name, version)| Self::Kaggle { name, version });
        }
        let url = Url::parse(uri).map_err(|_| {
            // What follows may be a key.
            let shown = uri.split(['?', '@']).next().unwrap_or_default();
            Error::invalid(format!("\"{shown}\" is not a source: use {KNOWN}"))
        })?;
        match url.scheme() {
            "file" => {
                let path = url.to_file_path();
                path.map(Self::File)
                    .map_err(|()| Error::invalid(format!("\"{uri}\" is not a local path: write file:///path")))
            }
            "https" | "http" => Ok(Self::Web(url)),
            "s3" => bucket::parse(&url).map(|(bucket, key)| Self::Bucket { bucket, key }),
            scheme => {
                Err(Error::unsupported(format!("sources with the scheme {scheme}:// are not supported; use {KNOWN}")))
            }
        }
    }

    /// The source as it is recorded: without the query of a URL, which may contain a key, and without a revision.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Web(url) => hub::shown(url),
            Self::Bucket { bucket, key } => format!("s3://{bucket}/{key}"),
            Self::HuggingFace(HubDataset { name, path, .. }) if path.is_empty() => format!("hf://datasets/{name}"),
            Self::HuggingFace(HubDataset { name, path, .. }) => format!("hf://datasets/{name}/{path}"),
            Self::Kaggle { name, .. } => format!("kaggle://{name}"),
            Self::Manual => "manual".to_owned(),
        }
    }

    /// What tells it from other sources: as [`shown`](Self::shown), with the query of a URL but for signatures and keys,
    /// which differ each time.
    pub fn identity(&self) -> String {
        let Self::Web(url) = self else { return self.shown() };
        let is_kept = |name: &str| {
            let name = name.to_lowercase();
            !name.starts_with("x-amz-") && !name.starts_with("x-goog-") && !SIGNATURES.contains(&name.as_str())
        };
        let pairs: Vec<_> = url.query_pairs().filter(|(name, _)| is_kept(name)).collect();
        format!("{} {pairs:?}", self.shown())
    }

    /// The name of the data set, if the request has none: that of the file, folder, prefix or repository.
    ///
    /// # Errors
    /// `InvalidArgument` if the source has no name.
    pub fn dataset(&self) -> Result<String> {
        let last_of = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
        let last = match self {
            Self::File(path) => path.file_name().map(|name| stem(&name.to_string_lossy()).to_owned()),
            Self::Web(url) => hub::file_name(url).map(|name| stem(&name).to_owned()),
            Self::Bucket { bucket, key } if key.is_empty() => Some(stem(bucket).to_owned()),
            Self::Bucket { key, .. } => Some(stem(&last_of(key)).to_owned()),
            Self::HuggingFace(HubDataset { name, .. }) | Self::Kaggle { name, .. } => Some(last_of(name)),
            Self::Manual => None,
        };
        let name = last.map(|last| snake_case(&last)).filter(|name| !name.is_empty());
        name.ok_or_else(|| Error::invalid("specify the name of the data set as \"dataset\""))
    }

    /// Whether its data sets have configurations and splits.
    pub fn has_configs(&self) -> bool {
        matches!(self, Self::HuggingFace(_))
    }

    /// Lists its files, without downloading them. Those of [`Manual`](Self::Manual) are in the folder `landed` already.
    ///
    /// # Errors
    /// `NotFound` if it does not exist; `FailedPrecondition` if access is denied, or there are no credentials;
    /// `Unavailable`; Cancelled.
    pub(super) async fn open(
        &self,
        outside: &Outside,
        wanted: Wanted<'_>,
        landed: PathBuf,
        progress: &Progress,
    ) -> Result<Opened> {
        progress.phase("list source", "files", None);
        let (revision, items, media) = match self {
            Self::File(path) => return Ok(Opened::Here(path.clone())),
            Self::Manual => return Ok(Opened::Here(landed)),
            Self::Web(url) => (None, vec![web::item(url, outside)?], None),
            Self::Bucket { bucket, key } => {
                bucket::check_access(&outside.s3)?;
                let s3 = S3 {
                    bucket: bucket.clone(),
                    prefix: String::new(),
                    access: outside.s3.clone(),
                    timeout: outside.timeout,
                };
                (None, bucket::items(&Arc::new(Storage::s3(s3)?), key, progress).await?, None)
            }
            Self::HuggingFace(dataset) => {
                let hub = &outside.hugging_face;
                let listing = async {
                    let revision = dataset.resolve(hub).await?;
                    let files = hub.files(&revision).await?;
                    let media = HubMedia::new(hub, dataset, &revision, &files);
                    let items = dataset.items(hub, &revision, files, wanted).await?;
                    Ok((revision.sha, items, media))
                };
                let (sha, items, media) = progress.unless_cancelled(listing).await?;
                (Some(sha), items, Some(Arc::new(media)))
            }
            Self::Kaggle { name, version } => {
                let item = kaggle::item(name, *version, &outside.kaggle);
                let (number, item) = progress.unless_cancelled(item).await?;
                (Some(number), vec![item], None)
            }
        };
        Ok(Opened::Elsewhere { revision, items, media })
    }
}

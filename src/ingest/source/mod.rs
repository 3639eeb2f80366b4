//! Sources: where data comes from, and its files on this machine.
//!
//! Files of other places are downloaded to a temporary folder first, with the paths that they have there.

mod bucket;
mod download;
mod folder;
mod path;
mod web;

use std::path::PathBuf;

use url::Url;

pub use self::{
    download::{Download, Outside},
    folder::Files,
};
use super::name::{snake_case, stem};
use crate::{
    error::{Error, Result},
    hub,
    storage::{S3, Storage},
};

/// The sources that are known, for errors.
const KNOWN: &str = "file:///path, https://host/file, s3://bucket/prefix, or manual";

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
    /// Files that somebody puts into a landing.
    Manual,
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

    /// The source as it is recorded: without the query of a URL, which may contain a key.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Web(url) => hub::shown(url),
            Self::Bucket { bucket, key } => format!("s3://{bucket}/{key}"),
            Self::Manual => "manual".to_owned(),
        }
    }

    /// The name of the data set, if the request has none: that of the file, folder or prefix.
    ///
    /// # Errors
    /// `InvalidArgument` if the source has no name.
    pub fn dataset(&self) -> Result<String> {
        let last = match self {
            Self::File(path) => path.file_name().map(|name| name.to_string_lossy().into_owned()),
            Self::Web(url) => hub::file_name(url),
            Self::Bucket { bucket, key } => {
                Some(key.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(bucket).to_owned())
            }
            Self::Manual => None,
        };
        let name = last.map(|last| snake_case(stem(&last))).filter(|name| !name.is_empty());
        name.ok_or_else(|| Error::invalid("specify the name of the data set as \"dataset\""))
    }

    /// The files of the source, downloaded if they are not on this machine. Those of [`Manual`](Self::Manual) are in the
    /// folder already.
    ///
    /// # Errors
    /// `NotFound` if it does not exist; `InvalidArgument` for an empty file, and for a folder with no data files or with
    /// data files of several formats; errors of the download.
    pub(super) async fn files(&self, download: Download<'_>) -> Result<Files> {
        let path = match self {
            Self::File(path) => path.clone(),
            Self::Web(url) => web::download(url, download).await?,
            Self::Bucket { bucket, key } => {
                let s3 = S3 {
                    bucket: bucket.clone(),
                    prefix: String::new(),
                    access: download.outside.s3.clone(),
                    timeout: download.outside.timeout,
                };
                bucket::check_access(&s3.access)?;
                bucket::download(&Storage::s3(s3)?, key, download).await?
            }
            Self::Manual => download.folder.to_path_buf(),
        };
        folder::files(path, self.shown()).await
    }
}

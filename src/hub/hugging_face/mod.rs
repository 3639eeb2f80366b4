//! Data sets on the Hugging Face Hub, or a server with the same protocol (<https://huggingface.co/docs/hub/api>).

mod upload;
mod write;
mod xet;

use std::{borrow::Cow, path::Path};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{StatusCode, header};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use url::Url;

pub use self::write::{Committed, MAX_COMMITTED, NewCommit, NewContent, NewFile};
use super::{
    checksum,
    download::spoiled,
    http::{Answer, Http, Reach},
    request::{Credentials, Request},
};
use crate::error::{Context, Error, ErrorKind, Result};

/// The address of the Hub.
const HUGGING_FACE: &str = "https://huggingface.co";

/// What need not be escaped in a part of a path.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The most pages of a list: at least 1,000 files each.
const MAX_PAGES: usize = 10_000;

/// How to reach the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubAccess {
    /// The address, without a slash at its end.
    pub endpoint: Cow<'static, str>,
    /// For private and gated data sets.
    pub credentials: Option<Credentials>,
}

/// The Hub.
#[derive(Clone, Debug)]
pub struct HuggingFace {
    http: Http,
    access: HubAccess,
}

/// A data set at a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// `owner/name`.
    pub name: String,
    /// The commit.
    pub sha: String,
}

/// A file of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// The path in the repository.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The hash of its content.
    pub oid: Oid,
}

/// The hash of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oid {
    /// SHA-256, of files in large file storage.
    Sha256(String),
    /// SHA-1 of a git blob: `blob <length>\0` and the content.
    Git(String),
}

#[derive(Deserialize)]
struct Info {
    sha: String,
}

#[derive(Deserialize)]
struct Entry {
    r#type: String,
    path: String,
    size: u64,
    oid: String,
    lfs: Option<Lfs>,
}

/// The pointer to large file storage; its `oid` is the SHA-256.
#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

// === impl HubAccess ===

impl HubAccess {
    /// The public service, without credentials.
    pub const PUBLIC: Self = Self { endpoint: Cow::Borrowed(HUGGING_FACE), credentials: None };
}

// === impl HuggingFace ===

impl HuggingFace {
    /// A client; it makes no requests yet.
    ///
    /// # Errors
    /// `FailedPrecondition` if the certificates of the system cannot be read.
    pub fn new(access: HubAccess) -> Result<Self> {
        Ok(Self { http: Http::new(Reach::Everywhere)?, access })
    }

    /// The data set `name` at a branch, tag or commit; by default at its branch `main`.
    ///
    /// # Errors
    /// `NotFound` if it does not exist, or is hidden from this user; `FailedPrecondition` if access must be granted first;
    /// `Unavailable`.
    pub async fn revision(&self, name: &str, revision: Option<&str>) -> Result<Revision> {
        let revision = revision.unwrap_or("main");
        let mut url = self.api(name, &["revision", revision])?;
        url.query_pairs_mut().append_pair("expand[]", "sha");
        let answer = self.checked(name, self.ask(url).await?).context(|| format!("read revision \"{revision}\""))?;
        let info: Info = parse(&answer)?;
        Ok(Revision { name: name.to_owned(), sha: info.sha })
    }

    /// All files of a data set, in the order of their paths.
    ///
    /// # Errors
    /// As [`revision`](Self::revision); `InvalidArgument` for a list that does not end.
    pub async fn files(&self, revision: &Revision) -> Result<Vec<HubFile>> {
        let mut url = self.api(&revision.name, &["tree", &revision.sha])?;
        url.query_pairs_mut().append_pair("recursive", "true");
        let mut files = Vec::new();
        for _ in 0..MAX_PAGES {
            let answer = self.checked(&revision.name, self.ask(url.clone()).await?)?;
            let entries: Vec<Entry> = parse(&answer)?;
            files.extend(entries.into_iter().filter(|entry| entry.r#type == "file").map(HubFile::from));
            let Some(next) = next_page(&answer) else {
                files.sort_by(|a: &HubFile, b| a.path.cmp(&b.path));
                return Ok(files);
            };
            // Only its query counts: a mirror may pass on the address of the Hub.
            let next = url.join(&next).ok().and_then(|next| next.query().map(str::to_owned));
            let next = next
                .ok_or_else(|| Error::new(ErrorKind::Unavailable, "the next page of the list of files is unknown"))?;
            url.set_query(Some(&next));
        }
        Err(Error::invalid("the list of files does not end"))
    }

    /// Downloads a file, and checks its hash.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be had, or if what arrives does not have its hash; `NotFound` if it is gone.
    pub async fn download(
        &self,
        revision: &Revision,
        file: &HubFile,
        to: &Path,
        advance: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<()> {
        let request = Request::get(self.file_url(revision, file)?).by(self.access.credentials.as_ref());
        self.http.download(&request, to, None, advance).await?;
        if file.oid.fits(to).await? {
            return Ok(());
        }
        tokio::fs::remove_file(to).await?;
        Err(spoiled(&file.path))
    }

    /// The text of a small file; invalid UTF-8 is replaced.
    ///
    /// # Errors
    /// As [`download`](Self::download); `InvalidArgument` for a file above 64 MiB.
    pub async fn text(&self, revision: &Revision, file: &HubFile) -> Result<String> {
        let answer = self.checked(&revision.name, self.ask(self.file_url(revision, file)?).await?)?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// The address of the page of a data set.
    pub fn page(&self, name: &str) -> String {
        format!("{}/datasets/{name}", self.access.endpoint)
    }

    fn file_url(&self, revision: &Revision, file: &HubFile) -> Result<Url> {
        let mut parts = vec!["datasets"];
        parts.extend(revision.name.split('/'));
        parts.extend(["resolve", &revision.sha]);
        parts.extend(file.path.split('/'));
        self.url(&parts)
    }

    async fn ask(&self, url: Url) -> Result<Answer> {
        self.http.ask(&Request::get(url).by(self.access.credentials.as_ref())).await
    }

    /// Turns refusals into errors that say what to do. An unknown data set looks like a private one.
    fn checked(&self, name: &str, answer: Answer) -> Result<Answer> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        let code = answer.headers.get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default();
        let has_token = self.access.credentials.is_some();
        Err(match (code, answer.status) {
            ("RevisionNotFound" | "EntryNotFound", _) => {
                Error::not_found(format!("the data set \"{name}\" has no such revision"))
            }
            ("GatedRepo", _) => Error::precondition(format!(
                "the data set \"{name}\" is gated: accept its terms on the Hub, and start the server with HF_TOKEN of an \
                 account that may read it"
            )),
            (_, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND) if !has_token => Error::not_found(format!(
                "the data set \"{name}\" does not exist, or is private: start the server with HF_TOKEN for private data sets"
            )),
            (_, StatusCode::UNAUTHORIZED) => {
                Error::precondition("the Hub does not accept the token in HF_TOKEN: start the server with a valid one")
            }
            (_, StatusCode::NOT_FOUND) => Error::not_found(format!(
                "the data set \"{name}\" does not exist, or the account of HF_TOKEN may not read it"
            )),
            (_, StatusCode::FORBIDDEN) => {
                Error::precondition(format!("the account of HF_TOKEN may not read the data set \"{name}\""))
            }
            (_, status) => Error::new(
                ErrorKind::Unavailable,
                format!("the Hub rejects a request for \"{name}\" (HTTP {})", status.as_u16()),
            ),
        })
    }

    fn api(&self, name: &str, parts: &[&str]) -> Result<Url> {
        let mut all = vec!["api", "datasets"];
        all.extend(name.split('/'));
        all.extend(parts);
        self.url(&all)
    }

    /// The address of a path with these parts; what is in one of them is escaped.
    fn url(&self, parts: &[&str]) -> Result<Url> {
        let parts: Vec<_> = parts.iter().map(|part| utf8_percent_encode(part, PART).to_string()).collect();
        let text = format!("{}/{}", self.access.endpoint, parts.join("/"));
        Url::parse(&text).map_err(|err| Error::invalid("HF_ENDPOINT is not a URL").with_source(err))
    }
}

fn parse<T: for<'a> Deserialize<'a>>(answer: &Answer) -> Result<T> {
    serde_json::from_slice(&answer.body)
        .map_err(|_| Error::new(ErrorKind::Unavailable, "the answer is not that of the Hub: check HF_ENDPOINT"))
}

/// The address of the next page: `Link: <…>; rel="next"`.
fn next_page(answer: &Answer) -> Option<String> {
    let links = answer.headers.get(header::LINK)?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    Some(next.trim().strip_prefix('<')?.split_once('>')?.0.to_owned())
}

// === impl HubFile ===

impl From<Entry> for HubFile {
    fn from(entry: Entry) -> Self {
        match entry.lfs {
            Some(lfs) => Self { path: entry.path, bytes: lfs.size, oid: Oid::Sha256(lfs.oid) },
            None => Self { path: entry.path, bytes: entry.size, oid: Oid::Git(entry.oid) },
        }
    }
}

// === impl Oid ===

impl Oid {
    /// The hexadecimal digits.
    pub fn text(&self) -> &str {
        match self {
            Self::Sha256(text) | Self::Git(text) => text,
        }
    }

    /// That of a blob of git with this content.
    pub fn git_of(content: &[u8]) -> Self {
        let hash = Sha1::new_with_prefix(blob_start(content.len() as u64)).chain_update(content);
        Self::Git(checksum::hex(&hash.finalize()))
    }

    /// Whether it is the hash of a file.
    async fn fits(&self, file: &Path) -> Result<bool> {
        let (stated, hash) = match self {
            Self::Sha256(stated) => (stated, checksum::of(file, Sha256::new()).await?),
            Self::Git(stated) => {
                let start = blob_start(tokio::fs::metadata(file).await?.len());
                (stated, checksum::of(file, Sha1::new_with_prefix(start)).await?)
            }
        };
        Ok(checksum::hex(&hash) == *stated)
    }
}

/// What git puts in front of the content of a blob before it hashes it.
fn blob_start(bytes: u64) -> String {
    format!("blob {bytes}\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_id_of_git() {
        // As `git hash-object` says.
        assert_eq!(Oid::git_of(b"hello\n"), Oid::Git("ce013625030ba8dba906f756967f9e9ca394464a".to_owned()));
    }
}

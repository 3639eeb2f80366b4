//! Writing to a data set on the Hub: large files go to its large file storage first, and one commit then names them.
//!
//! ```text
//! LFS batch (what is missing) ─▶ PUT, or PUT of parts ─▶ verify ─▶ commit
//! ```
//!
//! Nothing is visible before the commit, and objects that are stored are not uploaded again. A commit is sent once: whether
//! one whose answer was lost took effect is for the caller to find out.

use std::{path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{HuggingFace, Revision, parse};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    hub::{
        failure::Failure,
        http::Answer,
        request::{Body, Part, Request},
    },
};

/// The most files of large file storage that the Hub takes in a commit.
pub const MAX_COMMITTED: usize = 25_000;
/// The most files or objects of a request.
const AT_ONCE: usize = 256;
/// How many files are sent at a time.
const UPLOADS: usize = 5;
const LFS: &str = "application/vnd.git-lfs+json";
const LINES: &str = "application/x-ndjson";

/// A file that is to be in a data set.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// The path in the repository.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Where it is.
    pub content: NewContent,
}

/// The content of a file that is to be in a data set.
#[derive(Clone, Debug)]
pub enum NewContent {
    /// A file of this machine, for large file storage.
    File(PathBuf),
    /// A text, which the commit contains.
    Text(Bytes),
}

/// What became of a commit.
#[derive(Debug)]
pub enum Committed {
    /// It was made.
    Done(Revision),
    /// Another one was first: nothing was changed.
    Outdated,
    /// It may have been made: the answer did not arrive, or said that the server failed.
    Unknown {
        /// What arrived instead.
        error: Error,
        /// How long the server asks to wait.
        delay: Duration,
    },
}

/// A commit.
#[derive(Clone, Copy, Debug)]
pub struct NewCommit<'a> {
    /// The commit that it follows.
    pub parent: &'a Revision,
    /// The branch.
    pub branch: &'a str,
    /// The first line of its message.
    pub title: &'a str,
    /// The rest of its message.
    pub description: &'a str,
    /// The files that are added or replaced; those of large file storage were uploaded.
    pub files: &'a [NewFile],
    /// The paths of files that are removed.
    pub removed: &'a [String],
}

#[derive(Deserialize)]
struct Batch {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    actions: Option<Actions>,
    error: Option<ObjectError>,
}

#[derive(Deserialize)]
struct ObjectError {
    message: String,
}

#[derive(Deserialize)]
struct Actions {
    upload: Option<Action>,
    verify: Option<Action>,
}

#[derive(Deserialize)]
struct Action {
    href: String,
    #[serde(default)]
    header: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct CommitAnswer {
    #[serde(rename = "commitOid")]
    oid: String,
}

// === impl HuggingFace ===

impl HuggingFace {
    /// Makes a data set, unless it exists.
    ///
    /// # Errors
    /// `FailedPrecondition` without a token that may do so; `Unavailable`.
    pub async fn create(&self, name: &str, private: bool) -> Result<()> {
        let (owner, own) = split(name)?;
        let body = json!({"name": own, "organization": owner, "type": "dataset", "private": private});
        let answer = self.send(self.url(&["api", "repos", "create"])?, Body::Json(body)).await?;
        match answer.status {
            StatusCode::CONFLICT => Ok(()),
            _ => self.may_write(name, answer).map(|_| ()),
        }
    }

    /// Makes a branch of a data set that begins at its branch `main`.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_branch(&self, name: &str, branch: &str) -> Result<()> {
        let url = self.api(name, &["branch", branch])?;
        let answer = self.send(url, Body::Json(json!({"startingPoint": "main"}))).await?;
        match answer.status {
            StatusCode::CONFLICT => Ok(()),
            _ => self.may_write(name, answer).map(|_| ()),
        }
    }

    /// Uploads the content of files to the large file storage of a data set, unless it is there. `advance` is told the
    /// number of bytes of each file or part that is there now.
    ///
    /// # Errors
    /// `FailedPrecondition` without the right to write; `ResourceExhausted` for a quota; `Unavailable`.
    pub async fn upload(
        &self,
        name: &str,
        branch: &str,
        files: &[NewFile],
        advance: impl Fn(u64) + Sync,
    ) -> Result<()> {
        for some in files.chunks(AT_ONCE) {
            let objects: Vec<_> = some.iter().map(|file| json!({"oid": file.sha256, "size": file.bytes})).collect();
            let body = json!({
                "operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256",
                "ref": {"name": format!("refs/heads/{branch}")}, "objects": objects,
            });
            let (owner, own) = split(name)?;
            let url = self.url(&["datasets", owner, &format!("{own}.git"), "info", "lfs", "objects", "batch"])?;
            let answer = self.send(url, Body::Text(LFS, body.to_string().into())).await?;
            let batch: Batch = parse(&self.may_write(name, answer)?)?;
            let advance = &advance;
            let uploads = stream::iter(batch.objects).map(|object| async move {
                let Some(file) = some.iter().find(|file| file.sha256 == object.oid) else { return Ok(()) };
                let upload = self.upload_one(name, file, object, advance);
                upload.await.context(|| format!("upload \"{}\"", file.path))
            });
            uploads.buffer_unordered(UPLOADS).try_collect::<()>().await?;
        }
        Ok(())
    }

    async fn upload_one(
        &self,
        name: &str,
        file: &NewFile,
        object: Object,
        advance: &(impl Fn(u64) + Sync),
    ) -> Result<()> {
        if let Some(error) = object.error {
            return Err(Error::new(ErrorKind::ResourceExhausted, format!("the Hub refuses it: {}", error.message)));
        }
        let NewContent::File(path) = &file.content else { return Err(Error::internal("a text is no large file")) };
        // Without actions it is stored already.
        let Some(Actions { upload: Some(upload), verify }) = object.actions else {
            advance(file.bytes);
            return Ok(());
        };
        let part = |start, bytes| Part { file: path.clone(), start, bytes };
        match upload.header.get("chunk_size").and_then(number) {
            Some(size) if size > 0 => {
                let mut parts = Vec::new();
                for (at, start) in (0..file.bytes).step_by(usize::try_from(size).unwrap_or(usize::MAX)).enumerate() {
                    let part_number = at + 1;
                    let href = upload.header.get(&part_number.to_string()).and_then(Value::as_str).unwrap_or_default();
                    let bytes = size.min(file.bytes - start);
                    let answer = self.put(address(href)?, part(start, bytes)).await?;
                    let etag =
                        answer.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok()).ok_or_else(strange)?;
                    parts.push(json!({"partNumber": part_number, "etag": etag}));
                    advance(bytes);
                }
                let body = json!({"oid": file.sha256, "parts": parts});
                let request = Request::send(address(&upload.href)?, Body::Text(LFS, body.to_string().into()));
                stored(&self.http.ask(&request).await?)?;
            }
            _ => {
                self.put(address(&upload.href)?, part(0, file.bytes)).await?;
                advance(file.bytes);
            }
        }
        if let Some(verify) = verify {
            let body = json!({"oid": file.sha256, "size": file.bytes});
            let answer = self.send(address(&verify.href)?, Body::Text(LFS, body.to_string().into())).await?;
            self.may_write(name, answer)?;
        }
        Ok(())
    }

    /// Sends a part to the storage, whose address contains the permission.
    async fn put(&self, href: Url, part: Part) -> Result<Answer> {
        let answer = self.http.ask(&Request::send(href, Body::Part(part))).await?;
        stored(&answer)?;
        Ok(answer)
    }

    /// Sends a commit once.
    ///
    /// # Errors
    /// `FailedPrecondition` without the right to write; `ResourceExhausted` for a quota; `InvalidArgument` for files that the
    /// Hub refuses.
    pub async fn commit(&self, commit: NewCommit<'_>) -> Result<Committed> {
        let name = &commit.parent.name;
        let url = self.api(name, &["commit", commit.branch])?;
        let request = Request::send(url, Body::Text(LINES, commit.lines().into()));
        let request = request.by(self.access.credentials.as_ref());
        let answer = match self.http.ask_once(&request).await {
            Ok(answer) => answer,
            Err(Failure { error, delay: Some(delay) }) => return Ok(Committed::Unknown { error, delay }),
            Err(failure) => return Err(failure.error),
        };
        match answer.status {
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(Committed::Outdated),
            _ => {
                let CommitAnswer { oid } = parse(&self.may_write(name, answer)?)?;
                Ok(Committed::Done(Revision { name: name.clone(), sha: oid }))
            }
        }
    }

    async fn send(&self, url: Url, body: Body) -> Result<Answer> {
        self.http.ask(&Request::send(url, body).by(self.access.credentials.as_ref())).await
    }

    /// Turns refusals of a write into errors that say what to do.
    fn may_write(&self, name: &str, answer: Answer) -> Result<Answer> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        let said = said(&answer);
        Err(match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.access.credentials.is_none() => {
                Error::precondition(format!("start the server with HF_TOKEN, which may write to \"{name}\""))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                Error::precondition(format!("the account of HF_TOKEN may not write to \"{name}\": {said}"))
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                Error::new(ErrorKind::ResourceExhausted, format!("the Hub refuses a request for \"{name}\": {said}"))
            }
            status if status.is_client_error() => {
                Error::invalid(format!("the Hub refuses a request for \"{name}\": {said}"))
            }
            status => Error::new(
                ErrorKind::Unavailable,
                format!("the Hub rejects a request for \"{name}\" (HTTP {})", status.as_u16()),
            ),
        })
    }
}

// === impl NewCommit ===

impl NewCommit<'_> {
    /// The body of the request: a line for the message, and one for each change.
    fn lines(&self) -> String {
        let header = json!({
            "summary": self.title, "description": self.description, "parentCommit": self.parent.sha,
        });
        let mut lines = vec![json!({"key": "header", "value": header})];
        lines.extend(self.files.iter().map(|file| match &file.content {
            NewContent::Text(text) => {
                let content = BASE64_STANDARD.encode(text);
                json!({"key": "file", "value": {"path": file.path, "content": content, "encoding": "base64"}})
            }
            NewContent::File(_) => {
                let NewFile { path, sha256, bytes, .. } = file;
                json!({"key": "lfsFile", "value": {"path": path, "algo": "sha256", "oid": sha256, "size": bytes}})
            }
        }));
        lines.extend(self.removed.iter().map(|path| json!({"key": "deletedFile", "value": {"path": path}})));
        lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
    }
}

fn split(name: &str) -> Result<(&str, &str)> {
    name.split_once('/').ok_or_else(|| Error::invalid(format!("\"{name}\" is not OWNER/NAME")))
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn stored(answer: &Answer) -> Result<()> {
    if answer.status.is_success() {
        return Ok(());
    }
    let status = answer.status.as_u16();
    Err(Error::new(ErrorKind::Unavailable, format!("the storage of the Hub rejects it (HTTP {status})")))
}

fn address(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|_| strange())
}

fn strange() -> Error {
    Error::new(ErrorKind::Unavailable, "the Hub does not say where the parts of a file are stored")
}

/// The text of a refusal.
fn said(answer: &Answer) -> String {
    let text = serde_json::from_slice::<Value>(&answer.body).ok();
    let text = text.as_ref().and_then(|text| text["error"].as_str()).unwrap_or_default();
    let text: String = text.chars().take(500).collect();
    if text.is_empty() { format!("HTTP {}", answer.status.as_u16()) } else { text }
}

//! Writing to a data set on the Hub: large files go to its large file storage first (`upload.rs`), and one commit then names
//! them.
//!
//! Nothing is visible before the commit. It is sent once: whether one whose answer was lost took effect is for the caller to
//! find out.

use std::{path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{HuggingFace, Revision, parse};
use crate::{
    error::{Error, ErrorKind, Result},
    hub::{
        failure::Failure,
        http::Answer,
        request::{Body, Request},
    },
};

/// The most files of large file storage that the Hub takes in a commit.
pub const MAX_COMMITTED: usize = 25_000;
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

    pub(super) async fn send(&self, url: Url, body: Body) -> Result<Answer> {
        self.http.ask(&Request::send(url, body).by(self.access.credentials.as_ref())).await
    }

    /// Turns refusals of a write into errors that say what to do.
    pub(super) fn may_write(&self, name: &str, answer: Answer) -> Result<Answer> {
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

/// The owner, and the name without it.
pub(super) fn split(name: &str) -> Result<(&str, &str)> {
    name.split_once('/').ok_or_else(|| Error::invalid(format!("\"{name}\" is not OWNER/NAME")))
}

/// The text of a refusal.
fn said(answer: &Answer) -> String {
    let text = serde_json::from_slice::<Value>(&answer.body).ok();
    let text = text.as_ref().and_then(|text| text["error"].as_str()).unwrap_or_default();
    let text: String = text.chars().take(500).collect();
    if text.is_empty() { format!("HTTP {}", answer.status.as_u16()) } else { text }
}

//! Uploads to the large file storage of a data set, in the way that the server chooses for each batch.
//!
//! ```text
//! LFS batch (what is missing, and how) ─▶ PUT, or PUT of parts ─▶ verify
//!                                      ╰▶ by Xet (`xet.rs`)
//! ```
//!
//! Objects that are stored are not uploaded again.

use std::path::Path;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    HuggingFace, parse,
    write::{NewContent, NewFile, split},
};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    hub::{
        http::Answer,
        request::{Body, Part, Request},
    },
};

/// The most files or objects of a request.
const AT_ONCE: usize = 256;
/// How many files are sent at a time.
const UPLOADS: usize = 5;
/// The ways to send files.
const BASIC: &str = "basic";
const MULTIPART: &str = "multipart";
const XET: &str = "xet";
const LFS: &str = "application/vnd.git-lfs+json";

#[derive(Deserialize)]
struct Batch {
    /// The way that the server chose among those that were offered; by default the first.
    transfer: Option<String>,
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
    #[serde(default)]
    href: String,
    #[serde(default)]
    header: serde_json::Map<String, Value>,
}

/// A file that the storage lacks, and where it is to be sent.
struct Missing {
    file: NewFile,
    upload: Action,
    verify: Option<Action>,
}

// === impl HuggingFace ===

impl HuggingFace {
    /// Uploads the content of files to the large file storage of a data set, unless it is there, in the way that the server
    /// chooses. `spool` is a folder for temporary files, and `advance` is told the number of bytes of what is there now.
    ///
    /// # Errors
    /// `FailedPrecondition` without the right to write; `ResourceExhausted` for a quota; `Unsupported` for a way that is
    /// unknown here; `Unavailable`.
    pub async fn upload(
        &self,
        name: &str,
        branch: &str,
        files: &[NewFile],
        spool: &Path,
        advance: impl Fn(u64) + Sync,
    ) -> Result<()> {
        for some in files.chunks(AT_ONCE) {
            let Batch { transfer, objects } = self.batch(name, branch, some).await?;
            let transfer = transfer.as_deref().unwrap_or(BASIC);
            let missing = objects.into_iter().filter_map(|object| Missing::of(object, some).transpose());
            let missing = missing.collect::<Result<Vec<_>>>()?;
            let all: u64 = some.iter().map(|file| file.bytes).sum();
            advance(all.saturating_sub(missing.iter().map(|missing| missing.file.bytes).sum()));
            match transfer {
                BASIC | MULTIPART => {
                    let advance = &advance;
                    let uploads = stream::iter(missing).map(|missing| self.upload_one(name, missing, advance));
                    uploads.buffer_unordered(UPLOADS).try_collect::<()>().await?;
                }
                XET => {
                    let files: Vec<_> = missing.into_iter().map(|missing| missing.file).collect();
                    let upload = self.upload_by_xet(name, branch, &files, spool, &advance);
                    upload.await.context(|| format!("upload files to \"{name}\""))?;
                }
                other => {
                    let other: String = other.chars().take(50).collect();
                    return Err(Error::unsupported(format!(
                        "the Hub demands uploads by \"{other}\", which is not offered"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Asks which files are missing, and how they are to be sent.
    async fn batch(&self, name: &str, branch: &str, files: &[NewFile]) -> Result<Batch> {
        let objects: Vec<_> = files.iter().map(|file| json!({"oid": file.sha256, "size": file.bytes})).collect();
        let body = json!({
            "operation": "upload", "transfers": [BASIC, MULTIPART, XET], "hash_algo": "sha256",
            "ref": {"name": format!("refs/heads/{branch}")}, "objects": objects,
        });
        let (owner, own) = split(name)?;
        let url = self.url(&["datasets", owner, &format!("{own}.git"), "info", "lfs", "objects", "batch"])?;
        let answer = self.send(url, Body::Text(LFS, body.to_string().into())).await?;
        parse(&self.may_write(name, answer)?)
    }

    async fn upload_one(&self, name: &str, missing: Missing, advance: &(impl Fn(u64) + Sync)) -> Result<()> {
        let path = &missing.file.path;
        self.upload_by_lfs(name, &missing, advance).await.context(|| format!("upload \"{path}\""))
    }

    async fn upload_by_lfs(&self, name: &str, missing: &Missing, advance: &(impl Fn(u64) + Sync)) -> Result<()> {
        let Missing { file, upload, verify } = missing;
        let NewContent::File(path) = &file.content else { return Err(Error::internal("a text is no large file")) };
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
}

// === impl Missing ===

impl Missing {
    /// What is to be done for one of `files`; `None` if it is stored already, which an object without actions says.
    fn of(object: Object, files: &[NewFile]) -> Result<Option<Self>> {
        let Some(file) = files.iter().find(|file| file.sha256 == object.oid) else { return Ok(None) };
        if let Some(error) = object.error {
            let message = format!("upload \"{}\": the Hub refuses it: {}", file.path, error.message);
            return Err(Error::new(ErrorKind::ResourceExhausted, message));
        }
        let Some(Actions { upload: Some(upload), verify }) = object.actions else { return Ok(None) };
        Ok(Some(Self { file: file.clone(), upload, verify }))
    }
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

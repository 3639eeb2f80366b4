//! Uploads by Xet, the storage of the Hub that keeps equal parts of files once.
//!
//! ```text
//! token (Hub) ─▶ files in chunks by their content ─▶ blocks of chunks that the storage lacks ─▶ what the files consist of
//! ```
//!
//! The crate of the Hub does that, because chunks and hashes must be the Hub's. Its tasks outlive the future that waits for
//! them, and read files in between, so that each upload has a runtime of its own, which ends with it. The crate takes
//! no settings from the environment here, writes into the folder that it is given only, and reports to nobody.
//!
//! A large file is stored when its turn ends, small ones together: what was stored, an interrupted upload has not to repeat.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use reqwest::header::{self, HeaderMap, HeaderValue};
use serde::Deserialize;
use tokio::{
    runtime::{Builder, Runtime},
    time::interval,
};
use url::Url;
use xet::{
    XetError,
    xet_session::{Sha256Policy, XetConfig, XetSession, XetSessionBuilder, XetUploadCommit},
};

use super::{
    HuggingFace, parse,
    write::{NewContent, NewFile},
};
use crate::{
    error::{Context, Error, ErrorKind, Result},
    hub::http::PROGRAM,
};

/// Files up to this size are read several at a time, larger ones one by one, because each fills blocks in memory.
const SMALL: u64 = 8 << 20;
/// How many small files are read at a time.
const READS: usize = 5;
/// How many blocks, of at most 64 MiB each, are sent at a time.
const SENDS: usize = 3;
/// How often a request is repeated, and the first delay, which is doubled.
const REPEATS: usize = 4;
const BACKOFF: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(30);
/// How often progress is told.
const TICK: Duration = Duration::from_millis(200);
const THREADS: usize = 2;

/// Where the storage is, and what opens it until when.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Access {
    cas_url: String,
    access_token: String,
    exp: u64,
}

/// How to ask for the next token, after the first has expired.
#[derive(Clone)]
struct Renewal {
    url: Url,
    headers: HeaderMap,
}

/// The tasks of an upload. They end when it is dropped.
struct Tasks(Option<Runtime>);

// === impl HuggingFace ===

impl HuggingFace {
    /// Uploads files that the storage lacks. `spool` is a folder for what the upload has to note.
    ///
    /// # Errors
    /// `FailedPrecondition` without the right to write; `Unavailable`.
    pub(super) async fn upload_by_xet(
        &self,
        name: &str,
        branch: &str,
        files: &[NewFile],
        spool: &Path,
        advance: &(impl Fn(u64) + Sync),
    ) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let (access, renewal) = self.access(name, branch).await?;
        let files = files.iter().map(Upload::of).collect::<Result<Vec<_>>>()?;
        let notes = tempfile::Builder::new().prefix("xet-").tempdir_in(spool)?;
        let tasks = Tasks::start()?;
        let session = tasks.session(notes.path())?;
        for group in groups(files) {
            let commit = tasks.run(open(session.clone(), access.clone(), renewal.clone())).await?;
            tasks.follow(commit, group, advance).await?;
        }
        Ok(())
    }

    /// Asks for the permission to write to the storage.
    async fn access(&self, name: &str, branch: &str) -> Result<(Access, Renewal)> {
        let url = self.api(name, &["xet-write-token", branch])?;
        let answer = self.may_write(name, self.ask(url.clone()).await?)?;
        let access: Access = parse(&answer)?;
        // The crate would take other schemes for folders of this machine.
        let storage = Url::parse(&access.cas_url).ok();
        if !storage.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some()) {
            return Err(Error::new(ErrorKind::Unavailable, "the Hub does not say where its storage is"));
        }
        let mut headers = HeaderMap::new();
        if let Some(credentials) = &self.access.credentials {
            headers.insert(header::AUTHORIZATION, credentials.value());
        }
        Ok((access, Renewal { url, headers }))
    }
}

// === upload ===

/// A file to be sent.
struct Upload {
    file: PathBuf,
    bytes: u64,
    sha256: String,
}

impl Upload {
    fn of(file: &NewFile) -> Result<Self> {
        let NewContent::File(path) = &file.content else { return Err(Error::internal("a text is no large file")) };
        Ok(Self { file: path.clone(), bytes: file.bytes, sha256: file.sha256.clone() })
    }
}

/// Large files alone, and the small ones together.
fn groups(files: Vec<Upload>) -> Vec<Vec<Upload>> {
    let (large, small): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.bytes > SMALL);
    large.into_iter().map(|file| vec![file]).chain([small]).filter(|group| !group.is_empty()).collect()
}

async fn open(session: XetSession, access: Access, renewal: Renewal) -> Result<XetUploadCommit, XetError> {
    let headers = HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_static(PROGRAM))]);
    let commit = session.new_upload_commit()?.with_endpoint(access.cas_url).with_custom_headers(headers);
    let commit = commit.with_token_info(access.access_token, access.exp);
    commit.with_token_refresh_url(renewal.url, renewal.headers).build().await
}

async fn send(commit: XetUploadCommit, files: Vec<Upload>) -> Result<(), XetError> {
    for Upload { file, sha256, .. } in files {
        commit.upload_from_path(file, Sha256Policy::from_hex(&sha256)).await?;
    }
    commit.commit().await.map(|_| ())
}

fn settings() -> XetConfig {
    // Unlike `new`, it takes nothing from environment variables.
    let mut settings = XetConfig::default();
    settings.telemetry.enabled = false;
    settings.data.max_concurrent_file_ingestion = READS;
    settings.client.ac_max_upload_concurrency = SENDS;
    settings.client.retry_max_attempts = REPEATS;
    settings.client.retry_base_delay = BACKOFF;
    settings.client.connect_timeout = CONNECT;
    settings
}

// === impl Tasks ===

impl Tasks {
    fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("xet").enable_all().build();
        Ok(Self(Some(runtime.context(|| "start an upload by Xet")?)))
    }

    /// Uploads of these tasks, which note in a folder what they sent.
    fn session(&self, notes: &Path) -> Result<XetSession> {
        let session = XetSessionBuilder::new_with_config(settings()).with_cache_dir(notes);
        let handle = self.0.as_ref().map(|runtime| runtime.handle().clone());
        handle.into_iter().fold(session, XetSessionBuilder::with_tokio_handle).build().map_err(fault)
    }

    /// Sends files, and tells how far it is.
    async fn follow(&self, commit: XetUploadCommit, files: Vec<Upload>, advance: &(impl Fn(u64) + Sync)) -> Result<()> {
        let all = files.iter().map(|file| file.bytes).sum();
        let mut sent = pin!(self.run(send(commit.clone(), files)));
        let mut ticks = interval(TICK);
        let mut told = 0;
        loop {
            let (done, ends) = tokio::select! {
                outcome = &mut sent => outcome.map(|()| (all, true))?,
                _ = ticks.tick() => (commit.progress().total_bytes_completed.clamp(told, all), false),
            };
            advance(done - told);
            told = done;
            if ends {
                return Ok(());
            }
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, XetError>> + Send + 'static,
    ) -> Result<T> {
        let Some(runtime) = &self.0 else { return Err(Error::cancelled()) };
        match runtime.spawn(work).await {
            Ok(outcome) => outcome.map_err(fault),
            Err(err) => Err(Error::internal("upload by Xet").with_source(err)),
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

// === errors ===

/// The error of this crate; the text of the other one contains addresses, and stays its source.
fn fault(err: XetError) -> Error {
    let unavailable = |text: &str| Error::new(ErrorKind::Unavailable, format!("the storage of the Hub {text}"));
    let error = match &err {
        XetError::Authentication(_) => Error::precondition(DENIED),
        XetError::Network(text) => match status(text) {
            Some(status @ (401 | 403)) => Error::precondition(format!("{DENIED} (HTTP {status})")),
            Some(status) => unavailable(&format!("rejects it (HTTP {status})")),
            None => unavailable("cannot be reached, or the connection to it failed: try again later"),
        },
        XetError::ServerError(text) => {
            let status = status(text).map_or_else(String::new, |status| format!(" (HTTP {status})"));
            unavailable(&format!("failed at every attempt: try again later{status}"))
        }
        XetError::RateLimited(_) => unavailable("has too many requests: try again later (HTTP 429)"),
        XetError::Timeout(_) => unavailable("does not answer: try again later"),
        XetError::NotFound(_) | XetError::DataIntegrity(_) => unavailable("gave an answer that makes no sense"),
        XetError::UserCancelled(_) | XetError::Cancelled(_) => Error::cancelled(),
        _ => Error::internal("upload by Xet"),
    };
    error.with_source(err)
}

const DENIED: &str =
    "the storage of the Hub denies access: check that the account of HF_TOKEN may write to the data set";

/// The status in a text such as `HTTP status client error (403 Forbidden)`, which is all that the crate tells of it.
fn status(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("HTTP status ")?;
    let (_, rest) = rest.split_once('(')?;
    rest.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let check = |err: XetError, kind: ErrorKind, words: &str| {
            let error = fault(err);
            assert_eq!(error.kind(), kind, "{}", error.message());
            assert!(error.message().contains(words), "{}", error.message());
            assert!(!error.message().contains("secret"), "{}", error.message());
        };
        let answer =
            |status: &str| format!("Request error: HTTP status client error ({status}), domain: http://secret/");
        check(XetError::Network(answer("403 Forbidden")), ErrorKind::FailedPrecondition, "HF_TOKEN");
        check(XetError::Network(answer("401 Unauthorized")), ErrorKind::FailedPrecondition, "HTTP 401");
        check(XetError::Network(answer("400 Bad Request")), ErrorKind::Unavailable, "HTTP 400");
        check(XetError::Network("error trying to connect to secret".to_owned()), ErrorKind::Unavailable, "again");
        check(XetError::ServerError(answer("503 Service Unavailable")), ErrorKind::Unavailable, "HTTP 503");
        check(XetError::RateLimited(answer("429 Too Many Requests")), ErrorKind::Unavailable, "429");
        check(XetError::Authentication("secret".to_owned()), ErrorKind::FailedPrecondition, "HF_TOKEN");
        check(XetError::Cancelled("secret".to_owned()), ErrorKind::Cancelled, "cancelled");
        check(XetError::Internal("secret".to_owned()), ErrorKind::Internal, "Xet");
    }

    #[test]
    fn large_files_are_sent_alone() {
        let file = |bytes| Upload { file: PathBuf::new(), bytes, sha256: String::new() };
        let sizes = |files: &[u64]| -> Vec<Vec<u64>> {
            let groups = groups(files.iter().copied().map(file).collect());
            groups.iter().map(|group| group.iter().map(|file| file.bytes).collect()).collect()
        };
        assert_eq!(sizes(&[1, SMALL + 1, SMALL, SMALL + 2]), [vec![SMALL + 1], vec![SMALL + 2], vec![1, SMALL]]);
        assert_eq!(sizes(&[SMALL + 1]), [[SMALL + 1]]);
    }

    #[test]
    fn nothing_is_reported_and_memory_is_bounded() {
        let settings = settings();
        assert!(!settings.telemetry.enabled);
        assert_eq!(settings.client.ac_max_upload_concurrency, SENDS);
        assert!(settings.client.ac_initial_upload_concurrency <= SENDS);
    }
}

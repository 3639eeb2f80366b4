//! HTTP requests that are repeated after failures.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use percent_encoding::percent_decode_str;
use reqwest::{
    Client, ClientBuilder, StatusCode,
    header::HeaderMap,
    redirect::{Attempt, Policy},
};
use url::Url;

use super::{
    address::{self, PublicResolver, REFUSED},
    failure::{Failure, PRIVATE},
    request::{Body, Request, SILENCE},
};
use crate::error::{Context, Error, Result};

/// How often a request is sent before its last failure is reported. Progress starts the count again.
const ATTEMPTS: u32 = 5;
/// How often a request is sent at all.
const MAX_ATTEMPTS: u32 = 100;
/// The delay before the second attempt; doubled for each following one.
const BACKOFF: Duration = Duration::from_millis(250);
const MAX_REDIRECTS: usize = 10;
/// The longest answer that is held in memory: a page of a list of files.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// What requests say of their sender.
pub(super) const PROGRAM: &str = concat!("merganser/", env!("CARGO_PKG_VERSION"));

/// Which hosts may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Hosts with public addresses, by HTTPS: for URLs of clients.
    Public,
    /// All hosts, also by plain HTTP: for addresses that the operator configured.
    Everywhere,
}

/// An HTTP client.
#[derive(Clone, Debug)]
pub struct Http {
    pub(super) client: Client,
    /// The one for parts of files, which are sent for longer than an answer may take.
    sender: Client,
    reach: Reach,
}

/// An answer that fits into memory.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

// === impl Http ===

impl Http {
    /// A client; it makes no requests yet.
    ///
    /// # Errors
    /// `FailedPrecondition` if the certificates of the system cannot be read.
    pub fn new(reach: Reach) -> Result<Self> {
        // An already installed provider is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |client: ClientBuilder| {
            let client = client
                .user_agent(PROGRAM)
                .connect_timeout(SILENCE)
                // The URL of a page that redirects may contain a key.
                .referer(false)
                .redirect(Policy::custom(move |attempt| follow(attempt, reach)));
            let client = match reach {
                // A proxy would resolve names itself.
                Reach::Public => client.no_proxy().dns_resolver(Arc::new(PublicResolver)),
                Reach::Everywhere => client,
            };
            client.build().map_err(|err| Error::precondition("set up HTTP").with_source(err))
        };
        let (client, sender) = (build(Client::builder().read_timeout(SILENCE))?, build(Client::builder())?);
        Ok(Self { client, sender, reach })
    }

    /// Checks that a URL may be fetched.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL that contains a password, or that may not be reached.
    pub(super) fn check(&self, url: &Url) -> Result<()> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid("a URL must not contain a user or a password"));
        }
        if may_be_reached(url, self.reach) {
            return Ok(());
        }
        let shown = shown(url);
        Err(match url.scheme() {
            "https" => Error::invalid(format!("download \"{shown}\": {PRIVATE}")),
            _ => Error::invalid(format!("\"{shown}\" would be fetched without encryption: use https://")),
        })
    }

    /// The answer to a request, whatever its status; failures of the server and of the connection are retried.
    ///
    /// # Errors
    /// `Unavailable` if all attempts failed; `InvalidArgument` for an answer above 64 MiB.
    pub(super) async fn ask(&self, request: &Request) -> Result<Answer> {
        let mut retry = Retry::default();
        loop {
            match self.ask_once(request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    retry.after(failure, false).await.context(|| format!("ask \"{}\"", shown(&request.url)))?;
                }
            }
        }
    }

    /// As [`ask`](Self::ask), but nothing is retried.
    pub(super) async fn ask_once(&self, request: &Request) -> Result<Answer, Failure> {
        // The limit of silence includes the time that a body takes; those of files have one of their own.
        let client = if matches!(request.body, Some(Body::Part(_))) { &self.sender } else { &self.client };
        let sent = request.build(client).send().await;
        let response = sent.map_err(|err| Failure::of_transport(&err))?;
        let (status, headers) = (response.status(), response.headers().clone());
        if !status.is_success() {
            let failure = Failure::of_status(&response);
            if failure.delay.is_some() {
                return Err(failure);
            }
        }
        let mut body = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(|err| Failure::of_transport(&err))?);
            if body.len() > MAX_ANSWER_BYTES {
                return Err(Failure::last(Error::invalid("the answer is larger than 64 MiB")));
            }
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

/// The attempts of a request.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failed: u32,
    all: u32,
}

// === impl Retry ===

impl Retry {
    /// Waits until the next attempt may begin; `advanced` says whether the failed one brought a part of the answer.
    ///
    /// # Errors
    /// That of the failure, if it is final.
    pub async fn after(&mut self, failure: Failure, advanced: bool) -> Result<()> {
        self.failed = if advanced { 1 } else { self.failed + 1 };
        self.all += 1;
        let may_repeat = self.failed < ATTEMPTS && self.all < MAX_ATTEMPTS;
        let Some(delay) = failure.delay.filter(|_| may_repeat) else { return Err(failure.error) };
        tracing::debug!(attempt = self.failed, cause = %failure.error, "a request is repeated");
        tokio::time::sleep(delay.max(BACKOFF * 2_u32.pow(self.failed - 1))).await;
        Ok(())
    }
}

fn follow(attempt: Attempt<'_>, reach: Reach) -> reqwest::redirect::Action {
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error("too many redirects");
    }
    if may_be_reached(attempt.url(), reach) { attempt.follow() } else { attempt.error(REFUSED) }
}

fn may_be_reached(url: &Url, reach: Reach) -> bool {
    match reach {
        Reach::Everywhere => matches!(url.scheme(), "http" | "https") && url.host().is_some(),
        Reach::Public => url.scheme() == "https" && address::may_be_public(url),
    }
}

/// A URL without its query, which may contain a key.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// The name of the file at a URL: the last part of its path.
pub fn file_name(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back().filter(|last| !last.is_empty())?;
    Some(percent_decode_str(last).decode_utf8_lossy().into_owned())
}

//! Downloads over HTTP.

use std::{error::Error as _, path::Path, sync::Arc, time::Duration};

use futures::StreamExt;
use percent_encoding::percent_decode_str;
use reqwest::{
    Client, Response, StatusCode,
    header::{self, HeaderMap},
    redirect::{Attempt, Policy},
};
use tokio::io::AsyncWriteExt;
use url::Url;

use super::address::{self, PublicResolver, REFUSED};
use crate::error::{Error, ErrorKind, Result};

/// How often a request is sent before its last failure is reported. Progress starts the count again.
const ATTEMPTS: u32 = 5;
/// How often a download is resumed.
const MAX_RESUMES: u32 = 100;
/// The delay before the second attempt; doubled for each following one.
const BACKOFF: Duration = Duration::from_millis(250);
/// The longest delay that a server may ask for with Retry-After.
const MAX_DELAY: Duration = Duration::from_mins(1);
/// How long a connection may take, and how long nothing may arrive on it.
const SILENCE: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 10;
const PROGRAM: &str = concat!("merganser/", env!("CARGO_PKG_VERSION"));

/// The message for a host that may not be reached.
const PRIVATE: &str = "the host has a loopback, link-local or private address, or is reached without encryption; the \
                       operator may allow that with --allow-private-sources";

/// Which hosts may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Hosts with public addresses, by HTTPS.
    Public,
    /// All hosts, also by plain HTTP.
    Everywhere,
}

/// An HTTP client for URLs that clients of this server name.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    reach: Reach,
}

/// Why an attempt failed, and when the next one may begin.
struct Failure {
    error: Error,
    /// `None` if it would fail again.
    delay: Option<Duration>,
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
        let mut client = Client::builder()
            .user_agent(PROGRAM)
            .connect_timeout(SILENCE)
            .read_timeout(SILENCE)
            // The URL of a page that redirects may contain a key.
            .referer(false)
            .redirect(Policy::custom(move |attempt| follow(attempt, reach)));
        if reach == Reach::Public {
            // A proxy would resolve names itself.
            client = client.no_proxy().dns_resolver(Arc::new(PublicResolver));
        }
        let client = client.build().map_err(|err| Error::precondition("set up HTTP").with_source(err))?;
        Ok(Self { client, reach })
    }

    /// Parses a URL and checks that it may be fetched.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL that is none, that contains a password, or that may not be reached.
    pub fn check(&self, url: &Url) -> Result<()> {
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

    /// Downloads `url` to `file`, and tells `advance` the number of further bytes, and the size if it is known. A download
    /// that is cut is resumed.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` for a URL that needs a login; `InvalidArgument` for one that may not be reached;
    /// `Unavailable` if all attempts failed.
    pub async fn download(
        &self,
        url: &Url,
        file: &Path,
        mut advance: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<()> {
        self.check(url)?;
        let mut part = Part { file: tokio::fs::File::create(file).await?, bytes: 0, validator: None };
        let mut attempt = 0;
        for _ in 0..MAX_RESUMES {
            let before = part.bytes;
            let Err(failure) = self.attempt(url, &mut part, &mut advance).await else {
                return Ok(());
            };
            attempt = if part.bytes > before { 1 } else { attempt + 1 };
            let Some(delay) = failure.delay.filter(|_| attempt < ATTEMPTS) else {
                return Err(failure.error.context(format_args!("download \"{}\"", shown(url))));
            };
            tracing::debug!(attempt, cause = %failure.error, "a download is repeated");
            tokio::time::sleep(delay.max(BACKOFF * 2_u32.pow(attempt - 1))).await;
        }
        let text = format!("download \"{}\": the connection was cut {MAX_RESUMES} times", shown(url));
        Err(Error::new(ErrorKind::Unavailable, text))
    }

    /// Fetches what is missing of a file.
    async fn attempt(
        &self,
        url: &Url,
        part: &mut Part,
        advance: &mut (impl FnMut(u64, Option<u64>) + Send),
    ) -> Result<(), Failure> {
        let mut request = self.client.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if let (1.., Some(validator)) = (part.bytes, &part.validator) {
            let range = format!("bytes={}-", part.bytes);
            request = request.header(header::RANGE, range).header(header::IF_RANGE, validator);
        }
        let response = request.send().await.map_err(|err| of_transport(&err))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // The file has another size now.
            part.validator = None;
            return Err(Failure::again("the rest of the file is not there".to_owned()));
        }
        let response = check_status(response)?;
        let size = part.begin(&response).await?;
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|err| of_transport(&err))?;
            part.file.write_all(&chunk).await.map_err(|err| Failure::last(err.into()))?;
            part.bytes += chunk.len() as u64;
            advance(chunk.len() as u64, size);
        }
        part.file.flush().await.map_err(|err| Failure::last(err.into()))?;
        match size {
            Some(size) if size != part.bytes => {
                Err(Failure::again(format!("the file ends after {} of {size} bytes", part.bytes)))
            }
            _ => Ok(()),
        }
    }
}

/// The part of a file that was downloaded.
struct Part {
    file: tokio::fs::File,
    bytes: u64,
    /// The entity tag or the time of modification: what is fetched later must be of the same file.
    validator: Option<String>,
}

// === impl Part ===

impl Part {
    /// Continues with the body of a response, or starts again; gives the size of the whole file.
    async fn begin(&mut self, response: &Response) -> Result<Option<u64>, Failure> {
        let headers = response.headers();
        if response.status() == StatusCode::PARTIAL_CONTENT {
            return match content_range(headers) {
                Some((start, size)) if start == self.bytes => Ok(size),
                _ => {
                    self.validator = None;
                    Err(Failure::again("the server sent another part of the file".to_owned()))
                }
            };
        }
        self.restart().await.map_err(|err| Failure::last(err.into()))?;
        self.validator = validator(headers);
        Ok(response.content_length())
    }

    async fn restart(&mut self) -> std::io::Result<()> {
        self.bytes = 0;
        self.file.set_len(0).await?;
        tokio::io::AsyncSeekExt::rewind(&mut self.file).await.map(|_| ())
    }
}

/// The first byte of a partial response, and the size of the whole file, if the server knows it.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (bytes, size) = range.strip_prefix("bytes ")?.split_once('/')?;
    Some((bytes.split_once('-')?.0.parse().ok()?, size.parse().ok()))
}

/// A strong entity tag, or else the time of modification.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    text(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(header::LAST_MODIFIED))
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

fn check_status(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status == StatusCode::OK || status == StatusCode::PARTIAL_CONTENT {
        return Ok(response);
    }
    let error = |kind, text: &str| Error::new(kind, format!("{text} (HTTP {})", status.as_u16()));
    Err(match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Failure::last(error(ErrorKind::NotFound, "there is no such file")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Failure::last(error(ErrorKind::FailedPrecondition, "the server requires a login, or denies access"))
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Failure {
            error: error(ErrorKind::Unavailable, "the server has too many requests: try again later"),
            delay: Some(retry_after(response.headers())),
        },
        status if status.is_server_error() => Failure {
            error: error(ErrorKind::Unavailable, "the server failed at every attempt: try again later"),
            delay: Some(retry_after(response.headers())),
        },
        _ => Failure::last(error(ErrorKind::InvalidArgument, "the server rejects the request")),
    })
}

/// The delay that a server asks for, in seconds; other forms are ignored.
fn retry_after(headers: &HeaderMap) -> Duration {
    let text = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = text.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    seconds.unwrap_or_default().min(MAX_DELAY)
}

/// An error without a response. Its own text contains the URL, and with it perhaps a key.
fn of_transport(err: &reqwest::Error) -> Failure {
    if causes(err).any(|cause| cause.to_string().contains(REFUSED)) {
        return Failure::last(Error::invalid(PRIVATE));
    }
    if err.is_redirect() {
        return Failure::last(Error::invalid("the server redirects without end"));
    }
    let text = if err.is_timeout() { "the server does not answer" } else { "the connection failed" };
    let last = causes(err).last();
    Failure::again(last.map_or_else(|| text.to_owned(), |last| format!("{text}: {last}")))
}

fn causes(err: &reqwest::Error) -> impl Iterator<Item = &dyn std::error::Error> {
    std::iter::successors(err.source(), |cause: &&dyn std::error::Error| (*cause).source())
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

// === impl Failure ===

impl Failure {
    fn last(error: Error) -> Self {
        Self { error, delay: None }
    }

    fn again(text: String) -> Self {
        Self { error: Error::new(ErrorKind::Unavailable, text), delay: Some(Duration::ZERO) }
    }
}

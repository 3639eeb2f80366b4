//! Requests that can be repeated.

use std::{fmt, io::SeekFrom, path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::TryStreamExt;
use reqwest::{Client, Method, RequestBuilder, header, header::HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use url::Url;

/// How long a connection may take, and how long nothing may arrive on it.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// How many bytes are sent in a second at least.
const SLOWEST: u64 = 64 << 10;

/// What proves who asks: the value of the header `Authorization`. It is not sent to hosts that a server redirects to.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials(HeaderValue);

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Where to.
    pub url: Url,
    /// Who asks.
    pub credentials: Option<Credentials>,
    /// What is sent, which decides the method.
    pub body: Option<Body>,
}

/// What a request sends.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// A POST of JSON.
    Json(Value),
    /// A POST of a text of a media type, which is the type of the answer, too.
    Text(&'static str, Bytes),
    /// A PUT of a part of a file.
    Part(Part),
}

/// A part of a file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// The file.
    pub file: PathBuf,
    /// Where the part begins.
    pub start: u64,
    /// Its length.
    pub bytes: u64,
}

// === impl Credentials ===

impl Credentials {
    /// A token; `None` if it contains characters that no token has.
    pub fn bearer(token: &str) -> Option<Self> {
        Self::new(format!("Bearer {token}"))
    }

    /// A user and a key.
    pub fn basic(user: &str, key: &str) -> Option<Self> {
        Self::new(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{key}"))))
    }

    /// The value of the header.
    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    fn new(text: String) -> Option<Self> {
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(Self(value))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

// === impl Request ===

impl Request {
    /// A GET.
    pub fn get(url: Url) -> Self {
        Self { url, credentials: None, body: None }
    }

    /// A request that sends something.
    pub fn send(url: Url, body: Body) -> Self {
        Self { url, credentials: None, body: Some(body) }
    }

    /// The same request in someone's name.
    pub fn by(self, credentials: Option<&Credentials>) -> Self {
        Self { credentials: credentials.cloned(), ..self }
    }

    /// What `client` sends: bodies are wanted as they are stored, so that ranges and sizes fit.
    pub fn build(&self, client: &Client) -> RequestBuilder {
        let method = self.body.as_ref().map_or(Method::GET, Body::method);
        let request = client.request(method, self.url.clone()).header(header::ACCEPT_ENCODING, "identity");
        let request = match &self.body {
            Some(body) => body.add_to(request),
            None => request,
        };
        match &self.credentials {
            Some(credentials) => request.header(header::AUTHORIZATION, credentials.0.clone()),
            None => request,
        }
    }
}

// === impl Body ===

impl Body {
    fn method(&self) -> Method {
        match self {
            Self::Json(_) | Self::Text(..) => Method::POST,
            Self::Part(_) => Method::PUT,
        }
    }

    fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Json(value) => request.header(header::CONTENT_TYPE, "application/json").body(value.to_string()),
            Self::Text(media_type, text) => {
                let request = request.header(header::CONTENT_TYPE, *media_type).header(header::ACCEPT, *media_type);
                request.body(text.clone())
            }
            Self::Part(part) => {
                request.timeout(part.patience()).header(header::CONTENT_LENGTH, part.bytes).body(part.read())
            }
        }
    }
}

// === impl Part ===

impl Part {
    /// How long its request may take.
    fn patience(&self) -> Duration {
        SILENCE + Duration::from_secs(self.bytes / SLOWEST)
    }

    /// The bytes, which are read while they are sent.
    fn read(&self) -> reqwest::Body {
        let Self { file, start, bytes } = self.clone();
        let opened = async move {
            let mut file = tokio::fs::File::open(file).await?;
            file.seek(SeekFrom::Start(start)).await?;
            Ok::<_, std::io::Error>(ReaderStream::with_capacity(file.take(bytes), 1 << 18))
        };
        reqwest::Body::wrap_stream(futures::stream::once(opened).try_flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_parts_may_take_longer() {
        let patience = |bytes| Part { file: PathBuf::new(), start: 0, bytes }.patience();
        assert_eq!(patience(1), SILENCE);
        assert_eq!(patience(500 << 20), SILENCE + Duration::from_secs(8_000));
    }

    #[test]
    fn credentials_are_not_shown() {
        let credentials = Credentials::bearer("hf_secret").unwrap();
        assert!(
            !format!("{:?}", Request::get("https://x/y".parse().unwrap()).by(Some(&credentials))).contains("secret")
        );
        assert_eq!(Credentials::bearer("a\nb"), None);
        assert_eq!(Credentials::basic("u", "k").unwrap().0, "Basic dTpr");
    }
}

//! Requests that can be repeated.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Client, RequestBuilder, header, header::HeaderValue};
use serde_json::Value;
use url::Url;

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
    /// A JSON body, which makes it a POST.
    pub body: Option<Value>,
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

    /// The same request in someone's name.
    pub fn by(self, credentials: Option<&Credentials>) -> Self {
        Self { credentials: credentials.cloned(), ..self }
    }

    /// What `client` sends: bodies are wanted as they are stored, so that ranges and sizes fit.
    pub fn build(&self, client: &Client) -> RequestBuilder {
        let url = self.url.clone();
        let request = match &self.body {
            Some(body) => {
                let body = body.to_string();
                client.post(url).header(header::CONTENT_TYPE, "application/json").body(body)
            }
            None => client.get(url),
        };
        let request = request.header(header::ACCEPT_ENCODING, "identity");
        match &self.credentials {
            Some(credentials) => request.header(header::AUTHORIZATION, credentials.0.clone()),
            None => request,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! Why an attempt failed, and when the next one may begin.

use std::{error::Error as _, time::Duration};

use reqwest::{
    Response, StatusCode,
    header::{self, HeaderMap},
};

use super::address::REFUSED;
use crate::error::{Error, ErrorKind};

/// The longest delay that a server may ask for with Retry-After.
const MAX_DELAY: Duration = Duration::from_mins(1);

/// The message for a host that may not be reached.
pub(super) const PRIVATE: &str = "the host has a loopback, link-local or private address, or is reached without \
                                  encryption; the operator may allow that with --allow-private-sources";

/// Why an attempt failed.
pub(super) struct Failure {
    pub error: Error,
    /// When to try again; `None` if it would fail again.
    pub delay: Option<Duration>,
}

// === impl Failure ===

impl Failure {
    /// One that would be repeated.
    pub fn last(error: Error) -> Self {
        Self { error, delay: None }
    }

    /// One that may pass.
    pub fn again(text: String) -> Self {
        Self { error: Error::new(ErrorKind::Unavailable, text), delay: Some(Duration::ZERO) }
    }

    /// That of a response which is not a success.
    pub fn of_status(response: &Response) -> Self {
        let status = response.status();
        let error = |kind, text: &str| Error::new(kind, format!("{text} (HTTP {})", status.as_u16()));
        let again =
            |text| Self { error: error(ErrorKind::Unavailable, text), delay: Some(retry_after(response.headers())) };
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::last(error(ErrorKind::NotFound, "there is no such file")),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Self::last(error(ErrorKind::FailedPrecondition, "the server requires a login, or denies access"))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                again("the server has too many requests: try again later")
            }
            status if status.is_server_error() => again("the server failed at every attempt: try again later"),
            _ => Self::last(error(ErrorKind::InvalidArgument, "the server rejects the request")),
        }
    }

    /// That of a request without a response. Its own text contains the URL, and with it perhaps a key.
    pub fn of_transport(err: &reqwest::Error) -> Self {
        if causes(err).any(|cause| cause.to_string().contains(REFUSED)) {
            return Self::last(Error::invalid(PRIVATE));
        }
        if err.is_redirect() {
            return Self::last(Error::invalid("the server redirects without end"));
        }
        let text = if err.is_timeout() { "the server does not answer" } else { "the connection failed" };
        let last = causes(err).last();
        Self::again(last.map_or_else(|| text.to_owned(), |last| format!("{text}: {last}")))
    }
}

impl From<std::io::Error> for Failure {
    fn from(err: std::io::Error) -> Self {
        Self::last(err.into())
    }
}

/// The delay that a server asks for, in seconds; other forms are ignored.
fn retry_after(headers: &HeaderMap) -> Duration {
    let text = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = text.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    seconds.unwrap_or_default().min(MAX_DELAY)
}

fn causes(err: &reqwest::Error) -> impl Iterator<Item = &dyn std::error::Error> {
    std::iter::successors(err.source(), |cause: &&dyn std::error::Error| (*cause).source())
}

//! Files at URLs that clients name.

use std::path::Path;

use url::Url;

use super::{download::Downloaded, http::Http, request::Request};
use crate::error::Result;

// === impl Http ===

impl Http {
    /// Downloads the file at `url`. See [`Downloaded`] for `known`.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` for a URL that needs a login; `InvalidArgument` for one that may not be reached;
    /// `Unavailable` if all attempts failed.
    pub async fn fetch(
        &self,
        url: &Url,
        to: &Path,
        known: Option<&str>,
        advance: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Downloaded> {
        self.download(&Request::get(url.clone()), to, known, advance).await
    }
}

//! Data sets on Kaggle, by both generations of its interface:
//!
//! * `GET /api/v1/datasets/{view,download}/<owner>/<slug>` with user and key,
//! * `POST /v1/datasets.DatasetApiService/{GetDataset,DownloadDataset}` with a token.
//!
//! Public data sets need neither. A download is redirected to a signed link of a store, which states an MD5.

use std::{borrow::Cow, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    checksum,
    download::{Downloaded, spoiled},
    http::{Answer, Http, Reach},
    request::{Body, Credentials, Request},
};
use crate::error::{Error, ErrorKind, Result};

/// The address of the interface with user and key.
const KAGGLE: &str = "https://www.kaggle.com";
/// The address of the interface with tokens.
const KAGGLE_SERVICE: &str = "https://api.kaggle.com";

/// How to reach Kaggle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KaggleAccess {
    /// The address of the older interface, without a slash at its end.
    pub endpoint: Cow<'static, str>,
    /// That of the newer one.
    pub service: Cow<'static, str>,
    /// For private data sets.
    pub credentials: Option<Credentials>,
}

/// Kaggle.
#[derive(Clone, Debug)]
pub struct Kaggle {
    http: Http,
    access: KaggleAccess,
}

/// A generation of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    Rest,
    Service,
}

/// A version of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KaggleVersion {
    /// `owner/slug`.
    pub name: String,
    /// From 1 on.
    pub number: u64,
    /// The generation of the interface that knows it.
    generation: Generation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct View {
    current_version_number: Option<u64>,
}

// === impl KaggleAccess ===

impl KaggleAccess {
    /// The public service, without credentials.
    pub const PUBLIC: Self =
        Self { endpoint: Cow::Borrowed(KAGGLE), service: Cow::Borrowed(KAGGLE_SERVICE), credentials: None };
}

// === impl Kaggle ===

impl Kaggle {
    /// A client; it makes no requests yet.
    ///
    /// # Errors
    /// `FailedPrecondition` if the certificates of the system cannot be read.
    pub fn new(access: KaggleAccess) -> Result<Self> {
        Ok(Self { http: Http::new(Reach::Everywhere)?, access })
    }

    /// The current version of the data set `name`, or the one with this number, which is not checked here. The older
    /// interface is asked where the newer one does not know it.
    ///
    /// # Errors
    /// `NotFound` if it does not exist; `FailedPrecondition` if access is denied; `Unavailable`.
    pub async fn version(&self, name: &str, number: Option<u64>) -> Result<KaggleVersion> {
        let mut refused = None;
        for generation in [Generation::Service, Generation::Rest] {
            let request = self.request(name, generation, "GetDataset", "view", None)?;
            let answer = self.http.ask(&request).await?;
            let view = serde_json::from_slice::<View>(&answer.body).ok().filter(|_| answer.status.is_success());
            if let Some(number) = view.and_then(|view| number.or(view.current_version_number)) {
                return Ok(KaggleVersion { name: name.to_owned(), number, generation });
            }
            refused = Some(answer);
        }
        Err(refused.map_or_else(|| Error::internal("Kaggle was not asked"), |answer| self.refusal(name, &answer)))
    }

    /// Downloads a version as one archive, and checks its MD5 if the store states it.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be had, or if what arrives does not have its checksum; `NotFound` if it is gone.
    pub async fn download(
        &self,
        version: &KaggleVersion,
        to: &Path,
        advance: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<()> {
        let KaggleVersion { name, number, generation } = version;
        let request = self.request(name, *generation, "DownloadDataset", "download", Some(*number))?;
        let Downloaded::File { md5: Some(stated), .. } = self.http.download(&request, to, None, advance).await? else {
            return Ok(());
        };
        if BASE64_STANDARD.encode(checksum::of(to, Md5::new()).await?) == stated {
            return Ok(());
        }
        tokio::fs::remove_file(to).await?;
        Err(spoiled(name))
    }

    fn request(
        &self,
        name: &str,
        generation: Generation,
        method: &str,
        call: &str,
        version: Option<u64>,
    ) -> Result<Request> {
        let (owner, slug) = name.split_once('/').ok_or_else(|| Error::invalid("a data set of Kaggle is OWNER/SLUG"))?;
        let (mut url, body) = match generation {
            Generation::Service => {
                let mut body = json!({"ownerSlug": owner, "datasetSlug": slug});
                if let Some(version) = version {
                    body["datasetVersionNumber"] = Value::from(version);
                }
                (
                    join(&self.access.service, &format!("v1/datasets.DatasetApiService/{method}"))?,
                    Some(Body::Json(body)),
                )
            }
            Generation::Rest => (join(&self.access.endpoint, &format!("api/v1/datasets/{call}/{owner}/{slug}"))?, None),
        };
        if let (None, Some(version)) = (&body, version) {
            url.query_pairs_mut().append_pair("datasetVersionNumber", &version.to_string());
        }
        Ok(Request { url, credentials: self.access.credentials.clone(), body })
    }

    /// An error that says what to do.
    fn refusal(&self, name: &str, answer: &Answer) -> Error {
        const VARIABLES: &str = "KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY";
        let has_credentials = self.access.credentials.is_some();
        match answer.status {
            StatusCode::UNAUTHORIZED if has_credentials => {
                Error::precondition(format!("Kaggle does not accept the credentials of {VARIABLES}"))
            }
            StatusCode::NOT_FOUND => Error::not_found(format!("the data set \"{name}\" does not exist on Kaggle")),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::precondition(format!(
                "Kaggle denies access to the data set \"{name}\": start the server with {VARIABLES} of an account that may \
                 read it"
            )),
            status => Error::new(
                ErrorKind::Unavailable,
                format!("Kaggle rejects a request for \"{name}\" (HTTP {})", status.as_u16()),
            ),
        }
    }
}

fn join(base: &str, path: &str) -> Result<Url> {
    Url::parse(&format!("{base}/{path}"))
        .map_err(|err| Error::invalid("the address of Kaggle is not a URL").with_source(err))
}

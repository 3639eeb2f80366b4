//! A bucket of an S3-compatible store: one configuration for both object_store and DuckDB.

use std::{fmt, fs, path::PathBuf, time::Duration};

use object_store::{
    BackoffConfig, Certificate, ClientOptions, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
    prefix::PrefixStore,
};

use crate::{
    error::{Context, Error, Result},
    quote::literal,
};

/// The template of the SQL that configures DuckDB.
const SETUP: &str = include_str!("../../sql/04_object_store.sql");

/// The number of retries of a request without a response, or with a server error.
const RETRIES: u32 = 3;
/// The delay before the first retry; doubled for each following one.
const INITIAL_BACKOFF: Duration = Duration::from_millis(250);
/// The maximum delay.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// The prefix of the names of test objects, also in the glob by which DuckDB tests its connection to the store.
pub(super) const PROBE: &str = "merganser-probe-";

/// The default region, also for stores that have none.
pub const DEFAULT_REGION: &str = "us-east-1";

/// The credentials and the address of a store. `Debug` hides the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The id of the access key.
    pub key_id: String,
    /// The secret access key.
    pub secret_key: String,
    /// The session token of temporary credentials.
    pub session_token: Option<String>,
    /// The region of the bucket.
    pub region: String,
    /// The endpoint of a store other than Amazon S3.
    pub endpoint: Option<Endpoint>,
    /// A file of trusted CA certificates in PEM format; `None` for those of the system.
    pub ca_bundle: Option<PathBuf>,
}

/// The address of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST` or `HOST:PORT`.
    address: String,
    tls: bool,
}

/// A bucket and a prefix in an S3-compatible store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// The prefix of all keys, without leading and trailing slashes; may be empty.
    pub prefix: String,
    /// Credentials and address.
    pub access: Access,
    /// The timeout of a request, retries included.
    pub timeout: Duration,
}

// === impl Endpoint ===

impl Endpoint {
    /// Parses `http://HOST:PORT` or `https://HOST`, without a path or a user.
    pub fn parse(uri: &str) -> Option<Self> {
        let (tls, address) = match uri.strip_prefix("https://") {
            Some(address) => (true, address),
            None => (false, uri.strip_prefix("http://")?),
        };
        let address = address.trim_end_matches('/');
        let sound = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        (!address.is_empty() && address.chars().all(sound)).then(|| Self { address: address.to_owned(), tls })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address)
    }
}

// === impl S3 ===

impl S3 {
    /// The URI of the prefix, with a trailing slash.
    pub(super) fn root(&self) -> String {
        let Self { bucket, prefix, .. } = self;
        if prefix.is_empty() { format!("s3://{bucket}/") } else { format!("s3://{bucket}/{prefix}/") }
    }

    /// The timeout of each attempt of a request.
    fn attempt_timeout(&self) -> Duration {
        Duration::from_secs((self.timeout / (RETRIES + 1)).as_secs().max(1))
    }

    /// Builds the store of object_store.
    ///
    /// # Errors
    /// `FailedPrecondition` for unreadable certificates.
    pub(super) fn store(&self) -> Result<PrefixStore<AmazonS3>> {
        let (access, attempt) = (&self.access, self.attempt_timeout());
        let plain = access.endpoint.as_ref().is_some_and(|endpoint| !endpoint.tls);
        let mut client =
            ClientOptions::new().with_allow_http(plain).with_timeout(attempt).with_connect_timeout(attempt);
        if let Some(file) = &access.ca_bundle {
            let doing = || format!("read certificates \"{}\"", file.display());
            let certificates = Certificate::from_pem_bundle(&fs::read(file).context(doing)?).context(doing)?;
            client = certificates.into_iter().fold(client, ClientOptions::with_root_certificate);
        }
        let backoff = BackoffConfig { init_backoff: INITIAL_BACKOFF, max_backoff: MAX_BACKOFF, base: 2.0 };
        let retry =
            RetryConfig { backoff, max_retries: RETRIES as usize, retry_timeout: self.timeout.saturating_sub(attempt) };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&access.region)
            .with_access_key_id(&access.key_id)
            .with_secret_access_key(&access.secret_key)
            .with_virtual_hosted_style_request(false)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(token) = &access.session_token {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = &access.endpoint {
            builder = builder.with_endpoint(endpoint.to_string());
        }
        install_tls();
        let store = builder.build().map_err(|err| Error::precondition(err.to_string()).context("set up S3"))?;
        Ok(PrefixStore::new(store, Path::from(self.prefix.as_str())))
    }

    /// The SQL that configures DuckDB for the store. It contains the keys.
    pub(super) fn setup(&self) -> String {
        let Access { key_id, secret_key, session_token, region, endpoint, ca_bundle } = &self.access;
        let mut secret = format!(
            "KEY_ID {}, SECRET {}, REGION {}, URL_STYLE 'path', SCOPE {}",
            literal(key_id),
            literal(secret_key),
            literal(region),
            literal(&self.root()),
        );
        if let Some(token) = session_token {
            secret.push_str(&format!(", SESSION_TOKEN {}", literal(token)));
        }
        if let Some(Endpoint { address, tls }) = endpoint {
            secret.push_str(&format!(", ENDPOINT {}, USE_SSL {tls}", literal(address)));
        }
        let ca_bundle = ca_bundle.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        SETUP
            .replace("{{timeout_seconds}}", &self.attempt_timeout().as_secs().to_string())
            .replace("{{retries}}", &RETRIES.to_string())
            .replace("{{wait_millis}}", &INITIAL_BACKOFF.as_millis().to_string())
            .replace("{{ca_bundle}}", &literal(&ca_bundle))
            .replace("{{probe}}", &literal(&format!("{}{PROBE}*", self.root())))
            .replace("{{secret}}", &secret)
    }
}

/// Installs the default TLS provider of the process, unless there is one.
fn install_tls() {
    // An already installed provider is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

// === impl Access ===

impl Access {
    /// No credentials and no address.
    pub const NONE: Self = Self {
        key_id: String::new(),
        secret_key: String::new(),
        session_token: None,
        region: String::new(),
        endpoint: None,
        ca_bundle: None,
    };
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, endpoint, ca_bundle, .. } = self;
        f.debug_struct("Access")
            .field("region", region)
            .field("endpoint", endpoint)
            .field("ca_bundle", ca_bundle)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(prefix: &str) -> S3 {
        let access = Access {
            key_id: "KEY'ID".into(),
            secret_key: "hunter2".into(),
            session_token: Some("token2".into()),
            region: "eu-west-1".into(),
            endpoint: Endpoint::parse("http://store.example.com:9000/"),
            ca_bundle: None,
        };
        S3 { bucket: "lake-1".into(), prefix: prefix.into(), access, timeout: Duration::from_mins(1) }
    }

    #[test]
    fn both_clients_get_the_same_configuration() {
        let setup = s3("a/b").setup();
        let secret = "(TYPE s3, PROVIDER config, KEY_ID 'KEY''ID', SECRET 'hunter2', REGION 'eu-west-1', URL_STYLE 'path', \
                      SCOPE 's3://lake-1/a/b/', SESSION_TOKEN 'token2', ENDPOINT 'store.example.com:9000', USE_SSL false)";
        assert!(setup.contains(secret), "{setup}");
        assert!(setup.contains("http_timeout = 15") && setup.contains("http_retries = 3"), "{setup}");
        assert!(!setup.contains("{{"), "{setup}");
        let store = s3("a/b").store().unwrap();
        assert_eq!(store.to_string(), "PrefixObjectStore(a/b)");
    }

    #[test]
    fn debug_output_hides_keys() {
        let shown = format!("{:?}", s3(""));
        assert!(shown.contains("lake-1") && !shown.contains("hunter2") && !shown.contains("token2"), "{shown}");
    }

    #[test]
    fn a_prefix_may_be_empty() {
        assert_eq!(s3("").root(), "s3://lake-1/");
        assert_eq!(s3("a").root(), "s3://lake-1/a/");
    }

    #[test]
    fn an_endpoint_is_a_scheme_and_an_address() {
        let parse = |uri| Endpoint::parse(uri).map(|endpoint| endpoint.to_string());
        for uri in ["http://127.0.0.1:9000", "https://[::1]:9000", "https://s3.eu-west-1.amazonaws.com"] {
            assert_eq!(parse(uri).as_deref(), Some(uri));
        }
        assert_eq!(parse("http://minio:9000/").as_deref(), Some("http://minio:9000"));
        for uri in ["", "minio:9000", "http://", "ftp://a", "http://a/b", "http://u:p@a", "http://a?b", "http://a b"] {
            assert_eq!(parse(uri), None, "{uri}");
        }
    }
}

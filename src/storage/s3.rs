//! A bucket of an S3-compatible store: one description, from which both object_store and DuckDB are set up.

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

/// How DuckDB is set up, with places to fill in.
const SETUP: &str = include_str!("../../sql/04_object_store.sql");

/// How often a request is repeated that got no answer, or one that says that the store has trouble.
const RETRIES: u32 = 3;
/// How long is waited before the first time; before each other one twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Where the buckets of Amazon are taken to be, and what other stores are told.
pub const DEFAULT_REGION: &str = "us-east-1";

/// Who may use a store, and where it is. `Debug` hides the keys.
#[derive(Clone, PartialEq, Eq)]
pub struct Access {
    /// The name of the key.
    pub key_id: String,
    /// The key.
    pub secret_key: String,
    /// What makes a temporary key valid.
    pub session_token: Option<String>,
    /// The region of the bucket.
    pub region: String,
    /// Where the store is, unless it is Amazon's.
    pub endpoint: Option<Endpoint>,
    /// The certificates, as PEM, that the store's is trusted by; `None`: those of the system.
    pub ca_bundle: Option<PathBuf>,
}

/// The address of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `HOST` or `HOST:PORT`.
    address: String,
    tls: bool,
}

/// A bucket, what its keys start with, and the way there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// What every key starts with, without slashes at its ends; may be empty.
    pub prefix: String,
    /// Who may use it.
    pub access: Access,
    /// How long a request may take, with its repetitions.
    pub timeout: Duration,
}

// === impl Endpoint ===

impl Endpoint {
    /// Reads `http://HOST:PORT` or `https://HOST`; a path or a user is none.
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
    /// The URI of everything that is kept there; it ends with a slash.
    pub(super) fn root(&self) -> String {
        let Self { bucket, prefix, .. } = self;
        if prefix.is_empty() { format!("s3://{bucket}/") } else { format!("s3://{bucket}/{prefix}/") }
    }

    /// How long each try of a request may take.
    fn attempt_timeout(&self) -> Duration {
        Duration::from_secs((self.timeout / (RETRIES + 1)).as_secs().max(1))
    }

    /// The store for object_store.
    ///
    /// # Errors
    /// `FailedPrecondition` for certificates that cannot be read.
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
        let backoff = BackoffConfig { init_backoff: FIRST_WAIT, max_backoff: LONGEST_WAIT, base: 2.0 };
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

    /// The SQL after which DuckDB reads and writes the store. It holds the keys.
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
            .replace("{{wait_millis}}", &FIRST_WAIT.as_millis().to_string())
            .replace("{{ca_bundle}}", &literal(&ca_bundle))
            .replace("{{probe}}", &literal(&format!("{}{}*", self.root(), super::probe::NAME)))
            .replace("{{secret}}", &secret)
    }
}

/// Gives TLS clients of this process a provider, unless they have one.
fn install_tls() {
    // Another one that was first is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

// === impl Access ===

impl Access {
    /// That of nobody to nowhere.
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
    fn both_clients_are_told_the_same() {
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
    fn keys_are_shown_to_nobody() {
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

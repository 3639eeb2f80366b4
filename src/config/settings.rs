//! The settings of the server: parsed, validated, and with defaults.
//!
//! A field is `None` if its default depends on the machine; it is determined where the setting is used.

use std::{fmt, num::NonZeroUsize, path::PathBuf, time::Duration};

use crate::{
    auth::Credentials,
    hub::{HubAccess, KaggleAccess},
    lake::catalog::Catalog,
    storage::Access,
};

/// The settings of the server. `Default` returns the defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory of the catalog file, of staging files and, by default, of the store.
    pub home: PathBuf,
    /// The address to listen on, not resolved.
    pub listen: HostPort,
    /// The TLS certificate with its chain; set if and only if `tls_key` is.
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate.
    pub tls_key: Option<PathBuf>,
    /// The CA certificates for client certificates; `None` if clients need none.
    pub tls_client_ca: Option<PathBuf>,
    /// The address for health and metrics, not resolved; `None` if neither is served.
    pub http: Option<HostPort>,
    /// Users and tokens, from the file only. If empty, all clients are accepted, on loopback addresses only.
    pub credentials: Credentials,
    /// The DuckLake catalog; `None` for a DuckDB file in the home directory.
    pub catalog: Option<Catalog>,
    /// The location of the data.
    pub storage: Storage,
    /// Credentials and address of S3, from the AWS variables only; without keys if they are absent or invalid.
    pub s3_access: Access,
    /// Address and token of Hugging Face, from its variables only.
    pub hugging_face: HubAccess,
    /// Addresses and credentials of Kaggle, from its variables only.
    pub kaggle: KaggleAccess,
    /// The timeout of a request to S3, retries included.
    pub storage_timeout: Duration,
    /// Whether ingest may read from loopback, link-local and private addresses, and over plain HTTP.
    pub allow_private_sources: bool,
    /// The directory of the DuckDB extensions; `None` to find it next to the program.
    pub extensions: Option<PathBuf>,
    /// The directory of the medallion's SQL files; `None` for the built-in models.
    pub models: Option<PathBuf>,
    /// The memory limit of DuckDB; `None` for 60 % of the machine's memory.
    pub memory_limit_bytes: Option<u64>,
    /// The number of DuckDB threads; `None` for one per core.
    pub threads: Option<NonZeroUsize>,
    /// The maximum number of statements that run or wait to be fetched.
    pub max_connections: usize,
    /// Whether the threads that compute a result also convert it.
    pub collect_results: bool,
    /// The time that running streams have to finish at shutdown.
    pub grace: Duration,
    /// The time after which unfetched results are dropped.
    pub result_ttl: Duration,
    /// The time limit of a statement; zero for no limit.
    pub query_timeout: Duration,
    /// The time without calls after which a session ends.
    pub session_idle: Duration,
    /// The maximum lifetime of a session.
    pub session_max_age: Duration,
    /// The maximum number of sessions.
    pub max_sessions: usize,
    /// The maximum number of sessions per user.
    pub max_sessions_per_user: usize,
    /// The interval at which the server maintains the lake; zero for never.
    pub maintain_every: Duration,
    /// The age at which scheduled maintenance expires snapshots; `None` for never.
    pub maintain_expire_days: Option<u16>,
    /// The number of backups to keep when a new one is taken; zero keeps all.
    pub backup_keep: u64,
    /// The log filter, in the directive syntax of `tracing`.
    pub log: String,
}

/// A host and a port, not resolved. Displays IPv6 addresses in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A host name or an address; IPv6 addresses without brackets.
    pub host: String,
    /// The port; 0 selects a free one.
    pub port: u16,
}

/// The location of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// A directory; relative paths are not resolved.
    Local(PathBuf),
    /// An S3 bucket; credentials are read from the standard AWS variables.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The prefix of all keys, without leading and trailing slashes; may be empty.
        prefix: String,
    },
}

// === impl Settings ===

impl Settings {
    /// The initial state, before the defaults of the table are set; the value of settings without a default.
    pub(super) const UNSET: Self = Self {
        home: PathBuf::new(),
        listen: HostPort { host: String::new(), port: 0 },
        tls_cert: None,
        tls_key: None,
        tls_client_ca: None,
        http: None,
        credentials: Credentials::NONE,
        catalog: None,
        storage: Storage::Local(PathBuf::new()),
        s3_access: Access::NONE,
        hugging_face: HubAccess::PUBLIC,
        kaggle: KaggleAccess::PUBLIC,
        storage_timeout: Duration::ZERO,
        allow_private_sources: false,
        extensions: None,
        models: None,
        memory_limit_bytes: None,
        threads: None,
        max_connections: 0,
        collect_results: false,
        grace: Duration::ZERO,
        result_ttl: Duration::ZERO,
        query_timeout: Duration::ZERO,
        session_idle: Duration::ZERO,
        session_max_age: Duration::ZERO,
        max_sessions: 0,
        max_sessions_per_user: 0,
        maintain_every: Duration::ZERO,
        maintain_expire_days: None,
        backup_keep: 0,
        log: String::new(),
    };
}

// === impl HostPort ===

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

//! The settings as the server uses them: parsed, checked, with the defaults in place.
//!
//! A field is `None` where only the machine knows the answer; whoever uses it asks the machine.

use std::{fmt, num::NonZeroUsize, path::PathBuf, time::Duration};

use crate::{auth::Credentials, lake::catalog::Catalog, storage::Access};

/// What the server was told. Its `Default` is the configuration of a server that was told nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory that holds the catalog file, staging and (by default) the store.
    pub home: PathBuf,
    /// The address to serve on, not resolved.
    pub listen: HostPort,
    /// The certificate (chain) to serve TLS with; set if and only if `tls_key` is.
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate.
    pub tls_key: Option<PathBuf>,
    /// The authority whose certificate every client must show; `None`: clients show none.
    pub tls_client_ca: Option<PathBuf>,
    /// The address for health and metrics, not resolved; `None`: neither is served.
    pub http: Option<HostPort>,
    /// Who may connect; from the file alone. Nobody named: everybody, and loopback addresses only.
    pub credentials: Credentials,
    /// Where `DuckLake` keeps its catalog; `None`: a `DuckDB` file in the home directory.
    pub catalog: Option<Catalog>,
    /// Where the data lies.
    pub storage: Storage,
    /// How a storage on S3 is reached; from the AWS variables alone.
    pub s3_access: Access,
    /// How long a request to S3 may take, with its repetitions.
    pub storage_timeout: Duration,
    /// The directory with `DuckDB`'s extensions; `None`: found beside the program.
    pub extensions: Option<PathBuf>,
    /// The directory with the medallion's SQL files; `None`: the built-in ones.
    pub models: Option<PathBuf>,
    /// The memory that `DuckDB` may use; `None`: 60 % of the machine's.
    pub memory_limit_bytes: Option<u64>,
    /// The threads that `DuckDB` may use; `None`: one a core.
    pub threads: Option<NonZeroUsize>,
    /// How many statements may run or wait to be fetched at once.
    pub max_connections: usize,
    /// How long running streams may finish at shutdown.
    pub grace: Duration,
    /// How long a result that nobody fetches is kept.
    pub result_ttl: Duration,
    /// How long a statement may take; zero is no limit.
    pub query_timeout: Duration,
    /// After how long without a call a session ends.
    pub session_idle: Duration,
    /// After how long a session ends in any case.
    pub session_max_age: Duration,
    /// How many sessions there may be.
    pub max_sessions: usize,
    /// How many sessions one user may have.
    pub max_sessions_per_user: usize,
    /// How often the server maintains the lake by itself; zero is never.
    pub maintain_every: Duration,
    /// How old snapshots may get then; `None`: none expires.
    pub maintain_expire_days: Option<u16>,
    /// How many backups stay when another one is taken; zero keeps all.
    pub backup_keep: u64,
    /// The log filter, in the directive form of `tracing`.
    pub log: String,
}

/// A host and a port, not resolved. Prints as it is written, IPv6 addresses in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address; IPv6 addresses without their brackets, as resolvers take them.
    pub host: String,
    /// The port; 0 picks a free one.
    pub port: u16,
}

/// Where the data lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// This directory; a relative one stays relative.
    Local(PathBuf),
    /// An S3 bucket; credentials come from the standard AWS variables.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// What every key starts with, without slashes at its ends; may be empty.
        prefix: String,
    },
}

// === impl Settings ===

impl Settings {
    /// The state before the table's defaults are set. What has no default keeps its value from here.
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
        storage_timeout: Duration::ZERO,
        extensions: None,
        models: None,
        memory_limit_bytes: None,
        threads: None,
        max_connections: 0,
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

impl Default for Settings {
    fn default() -> Self {
        super::resolve(&[], &mut Vec::new())
    }
}

// === impl HostPort ===

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

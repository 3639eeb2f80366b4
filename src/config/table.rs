//! The table of settings: each is defined here, once, and its flag, variable and TOML key follow from its key.
//!
//! A new setting is a row here, a field of [`Settings`] and a paragraph of `reference.toml`; a test compares the three.

use std::time::Duration;

use super::{env, settings::Settings, value};

/// One setting: what it is called, what it is for and what it is without being told.
#[derive(Debug)]
pub struct Setting {
    /// The TOML key; flag and variable are made of it.
    pub key: &'static str,
    /// What stands for the value in the help.
    pub placeholder: &'static str,
    /// What it is, in one line.
    pub help: &'static str,
    /// What holds when nobody says anything.
    pub default: Fallback,
    /// Parses a text and puts the value into its field.
    set: fn(&mut Settings, &str) -> Result<(), String>,
}

/// What holds when nobody says anything.
#[derive(Debug)]
pub enum Fallback {
    /// This text, as if it had been written; `<home>` in it stands for the home directory.
    Text(&'static str),
    /// What this sentence says; whoever uses the setting finds it out.
    Described(&'static str),
}

/// The place of the home directory in the text of a default.
const HOME: &str = "<home>";

/// All settings, in the order of the help. `home` is first, because defaults refer to it.
pub static TABLE: [Setting; 25] = [
    Setting {
        key: "home",
        placeholder: "DIR",
        help: "Directory that holds the catalog file, staging and, unless told otherwise, the store",
        default: Fallback::Text("./lakehouse"),
        set: |settings, text| value::directory(text).map(|home| settings.home = home),
    },
    Setting {
        key: "listen",
        placeholder: "HOST:PORT",
        help: "Address to serve on; port 0 picks a free one, IPv6 addresses stand in brackets",
        default: Fallback::Text("127.0.0.1:31337"),
        set: |settings, text| value::host_port(text).map(|listen| settings.listen = listen),
    },
    Setting {
        key: "tls_cert",
        placeholder: "FILE",
        help: "Certificate to serve TLS with, as PEM, with its chain; needs tls_key",
        default: Fallback::Described("no TLS"),
        set: |settings, text| value::file(text).map(|cert| settings.tls_cert = Some(cert)),
    },
    Setting {
        key: "tls_key",
        placeholder: "FILE",
        help: "Private key of the certificate, as PEM",
        default: Fallback::Described("no TLS"),
        set: |settings, text| value::file(text).map(|key| settings.tls_key = Some(key)),
    },
    Setting {
        key: "tls_client_ca",
        placeholder: "FILE",
        help: "Certificates, as PEM, one of which must have signed every client's (mutual TLS); needs tls_cert",
        default: Fallback::Described("clients show no certificate"),
        set: |settings, text| value::file(text).map(|ca| settings.tls_client_ca = Some(ca)),
    },
    Setting {
        key: "http",
        placeholder: "HOST:PORT",
        help: "Address of /healthz, /readyz and /metrics, without credentials or TLS",
        default: Fallback::Described("not served"),
        set: |settings, text| value::host_port(text).map(|http| settings.http = Some(http)),
    },
    Setting {
        key: "catalog",
        placeholder: "URI",
        help: "DuckLake catalog: a path, duckdb:PATH, sqlite:PATH or postgres://USER@HOST/DATABASE",
        default: Fallback::Described("a DuckDB file in the home directory"),
        set: |settings, text| value::catalog(text).map(|catalog| settings.catalog = Some(catalog)),
    },
    Setting {
        key: "storage",
        placeholder: "URI",
        help: "Where the data lies: a path, file:///PATH or s3://BUCKET/PREFIX with the standard AWS variables",
        default: Fallback::Text("<home>/store"),
        set: |settings, text| value::storage(text).map(|storage| settings.storage = storage),
    },
    Setting {
        key: "storage_timeout_seconds",
        placeholder: "SECONDS",
        help: "How long a request to S3 may take with its repetitions, 4 to 3600",
        default: Fallback::Text("60"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 4..=3600)
                .map(|seconds| settings.storage_timeout = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "extensions",
        placeholder: "DIR",
        help: "Directory with the DuckDB extensions",
        default: Fallback::Described("found beside the program"),
        set: |settings, text| value::directory(text).map(|extensions| settings.extensions = Some(extensions)),
    },
    Setting {
        key: "models",
        placeholder: "DIR",
        help: "Directory with the SQL files of the medallion",
        default: Fallback::Described("the built-in ones"),
        set: |settings, text| value::directory(text).map(|models| settings.models = Some(models)),
    },
    Setting {
        key: "memory_limit",
        placeholder: "SIZE",
        help: "Memory that DuckDB may use, such as 8GB (1000s) or 8GiB (1024s)",
        default: Fallback::Described("60 % of the machine's memory"),
        set: |settings, text| value::bytes(text).map(|bytes| settings.memory_limit_bytes = Some(bytes)),
    },
    Setting {
        key: "threads",
        placeholder: "N",
        help: "Threads that DuckDB may use, at least 1",
        default: Fallback::Described("one a core"),
        set: |settings, text| value::at_least_one(text).map(|threads| settings.threads = Some(threads)),
    },
    Setting {
        key: "max_connections",
        placeholder: "N",
        help: "How many statements may run or wait to be fetched at once, 1 to 1024",
        default: Fallback::Text("64"),
        set: |settings, text| {
            value::whole_number(text, "a whole number", 1..=1024).map(|count| settings.max_connections = count)
        },
    },
    Setting {
        key: "grace_seconds",
        placeholder: "SECONDS",
        help: "How long running streams may finish at shutdown, 0 to 3600",
        default: Fallback::Text("30"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 0..=3600)
                .map(|seconds| settings.grace = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "result_ttl_seconds",
        placeholder: "SECONDS",
        help: "How long a result that nobody fetches is kept, 1 to 86400",
        default: Fallback::Text("300"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 1..=86_400)
                .map(|seconds| settings.result_ttl = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "query_timeout_seconds",
        placeholder: "SECONDS",
        help: "How long a statement may take until its last row is fetched, 0 to 604800; 0 is no limit",
        default: Fallback::Text("0"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 0..=604_800)
                .map(|seconds| settings.query_timeout = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "session_idle_seconds",
        placeholder: "SECONDS",
        help: "After how long without a call a session ends, 1 to 604800",
        default: Fallback::Text("28800"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 1..=604_800)
                .map(|seconds| settings.session_idle = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "session_max_seconds",
        placeholder: "SECONDS",
        help: "After how long a session ends in any case, 1 to 31536000",
        default: Fallback::Text("604800"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 1..=31_536_000)
                .map(|seconds| settings.session_max_age = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "max_sessions",
        placeholder: "N",
        help: "How many sessions there may be, 1 to 1000000",
        default: Fallback::Text("10000"),
        set: |settings, text| {
            value::whole_number(text, "a whole number", 1..=1_000_000).map(|count| settings.max_sessions = count)
        },
    },
    Setting {
        key: "max_sessions_per_user",
        placeholder: "N",
        help: "How many sessions one user may have, 1 to 1000000",
        default: Fallback::Text("1000"),
        set: |settings, text| {
            value::whole_number(text, "a whole number", 1..=1_000_000)
                .map(|count| settings.max_sessions_per_user = count)
        },
    },
    Setting {
        key: "maintain_every_seconds",
        placeholder: "SECONDS",
        help: "How often the server maintains the lake by itself, 0 to 31536000; 0 is never",
        default: Fallback::Text("0"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 0..=31_536_000)
                .map(|seconds| settings.maintain_every = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "maintain_expire_days",
        placeholder: "DAYS",
        help: "How old snapshots may get where the server maintains the lake by itself, 1 to 36500; tagged ones stay",
        default: Fallback::Described("none expires"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of days", 1..=36_500)
                .map(|days: u16| settings.maintain_expire_days = Some(days))
        },
    },
    Setting {
        key: "backup_keep",
        placeholder: "N",
        help: "How many backups stay when another one is taken, 0 to 1000000; 0 keeps all",
        default: Fallback::Text("0"),
        set: |settings, text| {
            value::whole_number(text, "a whole number", 0..=1_000_000).map(|count| settings.backup_keep = count)
        },
    },
    Setting {
        key: "log",
        placeholder: "FILTER",
        help: "What is logged, as tracing directives: info or warn,merganser=debug",
        default: Fallback::Text("info"),
        set: |settings, text| value::log_filter(text).map(|log| settings.log = log),
    },
];

// === impl Setting ===

impl Setting {
    /// The name of its flag, without the dashes in front.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The name of its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", env::PREFIX, self.key.to_uppercase())
    }

    /// Parses `text` into the setting's field.
    ///
    /// # Errors
    /// What was expected instead; the field stays as it was.
    pub(super) fn set(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        (self.set)(settings, text)
    }

    /// Sets the default. The texts of the table are right, which a test checks, so there is no fault to report.
    pub(super) fn fall_back(&self, settings: &mut Settings) {
        if let Fallback::Text(text) = self.default {
            let home = settings.home.to_string_lossy();
            let text = text.replace(HOME, home.trim_end_matches('/'));
            _ = self.set(settings, &text);
        }
    }
}

// === impl Fallback ===

impl Fallback {
    /// What the help shows.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Self::Text(text) | Self::Described(text) => text,
        }
    }
}

//! The table of settings: each is defined once, and its flag, variable and TOML key are derived from its key.
//!
//! A new setting is an entry here, a field of [`Settings`] and a paragraph of `reference.toml`; a test compares the three.

use std::time::Duration;

use super::{fault::Fault, settings::Settings, source::Source, value};

/// The prefix of all variables of this program, followed by the setting's key in upper case.
pub(super) const PREFIX: &str = "MERGANSER_";

/// A setting: its name, its help and its default.
#[derive(Debug)]
pub struct Setting {
    /// The TOML key, from which flag and variable are derived.
    pub key: &'static str,
    /// The placeholder for the value in the help.
    pub placeholder: &'static str,
    /// The description, in one line.
    pub help: &'static str,
    /// The default.
    pub default: DefaultValue,
    /// Parses a text and puts the value into its field.
    set: fn(&mut Settings, &str) -> Result<(), String>,
}

/// The default of a setting.
#[derive(Debug)]
pub enum DefaultValue {
    /// This text, as if it were configured; `<home>` is replaced by the home directory.
    Text(&'static str),
    /// A default that is determined where the setting is used; the text describes it.
    Described(&'static str),
}

/// The placeholder for the home directory in defaults.
const HOME: &str = "<home>";

/// All settings, in the order of the help. `home` is first, because defaults refer to it.
pub static TABLE: [Setting; 27] = [
    Setting {
        key: "home",
        placeholder: "DIR",
        help: "Directory of the catalog file, of staging files and, by default, of the store",
        default: DefaultValue::Text("./lakehouse"),
        set: |settings, text| value::directory(text).map(|home| settings.home = home),
    },
    Setting {
        key: "listen",
        placeholder: "HOST:PORT",
        help: "Address to listen on; port 0 selects a free one; non-loopback addresses require users or tokens in the \
               configuration file",
        default: DefaultValue::Text("127.0.0.1:31337"),
        set: |settings, text| value::host_port(text).map(|listen| settings.listen = listen),
    },
    Setting {
        key: "tls_cert",
        placeholder: "FILE",
        help: "TLS certificate with its chain, in PEM format; requires --tls-key",
        default: DefaultValue::Described("no TLS"),
        set: |settings, text| value::file(text).map(|cert| settings.tls_cert = Some(cert)),
    },
    Setting {
        key: "tls_key",
        placeholder: "FILE",
        help: "Private key of the certificate, in PEM format",
        default: DefaultValue::Described("no TLS"),
        set: |settings, text| value::file(text).map(|key| settings.tls_key = Some(key)),
    },
    Setting {
        key: "tls_client_ca",
        placeholder: "FILE",
        help: "CA certificates for client certificates (mutual TLS), in PEM format; requires --tls-cert",
        default: DefaultValue::Described("clients need no certificate"),
        set: |settings, text| value::file(text).map(|ca| settings.tls_client_ca = Some(ca)),
    },
    Setting {
        key: "http",
        placeholder: "HOST:PORT",
        help: "Address of /healthz, /readyz and /metrics, without credentials or TLS",
        default: DefaultValue::Described("not served"),
        set: |settings, text| value::host_port(text).map(|http| settings.http = Some(http)),
    },
    Setting {
        key: "catalog",
        placeholder: "URI",
        help: "DuckLake catalog: a path, duckdb:PATH, sqlite:PATH or postgres://USER@HOST/DATABASE",
        default: DefaultValue::Described("a DuckDB file in the home directory"),
        set: |settings, text| value::catalog(text).map(|catalog| settings.catalog = Some(catalog)),
    },
    Setting {
        key: "storage",
        placeholder: "URI",
        help: "Location of the data: a path, file:///PATH or s3://BUCKET/PREFIX with the standard AWS variables",
        default: DefaultValue::Text("<home>/store"),
        set: |settings, text| value::storage(text).map(|storage| settings.storage = storage),
    },
    Setting {
        key: "storage_timeout_seconds",
        placeholder: "SECONDS",
        help: "Timeout of a request to S3, retries included, 4 to 3600",
        default: DefaultValue::Text("60"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 4..=3600)
                .map(|seconds| settings.storage_timeout = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "allow_private_sources",
        placeholder: "BOOL",
        help: "Whether ingest may read URLs of loopback, link-local and private addresses, and of plain HTTP",
        default: DefaultValue::Text("false"),
        set: |settings, text| value::boolean(text).map(|allow| settings.allow_private_sources = allow),
    },
    Setting {
        key: "extensions",
        placeholder: "DIR",
        help: "Directory of the DuckDB extensions",
        default: DefaultValue::Described("found next to the program"),
        set: |settings, text| value::directory(text).map(|extensions| settings.extensions = Some(extensions)),
    },
    Setting {
        key: "models",
        placeholder: "DIR",
        help: "Directory of SQL model files",
        default: DefaultValue::Described("the built-in models"),
        set: |settings, text| value::directory(text).map(|models| settings.models = Some(models)),
    },
    Setting {
        key: "memory_limit",
        placeholder: "SIZE",
        help: "Memory limit of DuckDB, such as 8GB (powers of 1000) or 8GiB (powers of 1024)",
        default: DefaultValue::Described("60 % of the machine's memory"),
        set: |settings, text| value::bytes(text).map(|bytes| settings.memory_limit_bytes = Some(bytes)),
    },
    Setting {
        key: "threads",
        placeholder: "N",
        help: "Number of DuckDB threads, at least 1",
        default: DefaultValue::Described("one per core"),
        set: |settings, text| value::at_least_one(text).map(|threads| settings.threads = Some(threads)),
    },
    Setting {
        key: "collect_results",
        placeholder: "BOOL",
        help: "Whether the threads that compute a result also convert it; if not, one thread reads DuckDB's slower stream",
        default: DefaultValue::Text("true"),
        set: |settings, text| value::boolean(text).map(|collect| settings.collect_results = collect),
    },
    Setting {
        key: "max_connections",
        placeholder: "N",
        help: "Maximum number of DuckDB connections for statements, results, transactions and TEMP objects, 1 to 1024",
        default: DefaultValue::Text("64"),
        set: |settings, text| {
            value::whole_number(text, "a whole number", 1..=1024).map(|count| settings.max_connections = count)
        },
    },
    Setting {
        key: "grace_seconds",
        placeholder: "SECONDS",
        help: "Time that running streams have to finish at shutdown, 0 to 3600",
        default: DefaultValue::Text("30"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 0..=3600)
                .map(|seconds| settings.grace = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "result_ttl_seconds",
        placeholder: "SECONDS",
        help: "Time after which unfetched results are dropped, 1 to 86400",
        default: DefaultValue::Text("300"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 1..=86_400)
                .map(|seconds| settings.result_ttl = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "query_timeout_seconds",
        placeholder: "SECONDS",
        help: "Time limit of a statement, until its last row is fetched, 0 to 604800; 0 for no limit",
        default: DefaultValue::Text("0"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 0..=604_800)
                .map(|seconds| settings.query_timeout = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "session_idle_seconds",
        placeholder: "SECONDS",
        help: "Time without calls after which a session ends, 1 to 604800",
        default: DefaultValue::Text("28800"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 1..=604_800)
                .map(|seconds| settings.session_idle = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "session_max_seconds",
        placeholder: "SECONDS",
        help: "Maximum lifetime of a session, 1 to 31536000",
        default: DefaultValue::Text("604800"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 1..=31_536_000)
                .map(|seconds| settings.session_max_age = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "max_sessions",
        placeholder: "N",
        help: "Maximum number of sessions, 1 to 1000000",
        default: DefaultValue::Text("10000"),
        set: |settings, text| {
            value::whole_number(text, "a whole number", 1..=1_000_000).map(|count| settings.max_sessions = count)
        },
    },
    Setting {
        key: "max_sessions_per_user",
        placeholder: "N",
        help: "Maximum number of sessions per user, 1 to 1000000",
        default: DefaultValue::Text("1000"),
        set: |settings, text| {
            value::whole_number(text, "a whole number", 1..=1_000_000)
                .map(|count| settings.max_sessions_per_user = count)
        },
    },
    Setting {
        key: "maintain_every_seconds",
        placeholder: "SECONDS",
        help: "Interval at which the server maintains the lake, 0 to 31536000; 0 for never",
        default: DefaultValue::Text("0"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of seconds", 0..=31_536_000)
                .map(|seconds| settings.maintain_every = Duration::from_secs(seconds))
        },
    },
    Setting {
        key: "maintain_expire_days",
        placeholder: "DAYS",
        help: "Age at which scheduled maintenance expires snapshots, 1 to 36500; tagged ones are kept",
        default: DefaultValue::Described("never"),
        set: |settings, text| {
            value::whole_number(text, "a whole number of days", 1..=36_500)
                .map(|days: u16| settings.maintain_expire_days = Some(days))
        },
    },
    Setting {
        key: "backup_keep",
        placeholder: "N",
        help: "Number of backups to keep when a new one is taken, 0 to 1000000; 0 keeps all",
        default: DefaultValue::Text("0"),
        set: |settings, text| {
            value::whole_number(text, "a whole number", 0..=1_000_000).map(|count| settings.backup_keep = count)
        },
    },
    Setting {
        key: "log",
        placeholder: "FILTER",
        help: "Log filter in tracing directives, such as info or warn,merganser=debug",
        default: DefaultValue::Text("info"),
        set: |settings, text| value::log_filter(text).map(|log| settings.log = log),
    },
];

/// Sets every setting of the table: first its default, then the values of `sources`, of which the last one wins.
pub(super) fn resolve(sources: &[Source], faults: &mut Vec<Fault>) -> Settings {
    let mut settings = Settings::UNSET;
    for setting in &TABLE {
        setting.set_default(&mut settings);
        for given in sources.iter().filter_map(|source| source.get(setting.key)) {
            if let Err(message) = setting.set(&mut settings, &given.text) {
                faults.push(Fault::about(setting.key, given.origin.clone(), message));
            }
        }
    }
    settings
}

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
        format!("{PREFIX}{}", self.key.to_uppercase())
    }

    /// Parses `text` into the setting's field.
    ///
    /// # Errors
    /// A text with the expected form; the field is unchanged then.
    pub(super) fn set(&self, settings: &mut Settings, text: &str) -> Result<(), String> {
        (self.set)(settings, text)
    }

    /// Sets the default. The defaults of the table are valid, which a test checks.
    pub(super) fn set_default(&self, settings: &mut Settings) {
        if let DefaultValue::Text(text) = self.default {
            let home = settings.home.to_string_lossy();
            let text = text.replace(HOME, home.trim_end_matches('/'));
            _ = self.set(settings, &text);
        }
    }
}

// === impl DefaultValue ===

impl DefaultValue {
    /// The text in the help.
    #[must_use]
    pub fn text(&self) -> &'static str {
        match self {
            Self::Text(text) | Self::Described(text) => text,
        }
    }
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        resolve(&[], &mut Vec::new())
    }
}

//! The options of a session: the default schema, the statement timeout, the encoding of results, and the settings of
//! DuckDB that affect only this session.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    engine::{BatchLimits, TIME_ZONE},
    lake,
    quote::{identifier, literal},
};

/// Settings of DuckDB that a session may change: they are local to a connection and affect no file, no network and no
/// limit of the server. Each was verified to be local.
const SETTINGS: &[&str] = &[
    "arrow_lossless_conversion",
    "calendar",
    "enable_progress_bar",
    "enable_progress_bar_print",
    "errors_as_json",
    "explain_output",
    "ieee_floating_point_ops",
    "integer_division",
    "lambda_syntax",
    "late_materialization_max_rows",
    "merge_join_threshold",
    "order_by_non_integer_literal",
    "ordered_aggregate_threshold",
    "perfect_ht_threshold",
    "pivot_limit",
    "preserve_identifier_case",
    "progress_bar_time",
    "scalar_subquery_error_on_multiple_rows",
    "search_path",
    "timezone",
];

/// The default schema, unless it is set.
const DEFAULT_SCHEMA: &str = "main";
/// The default maximum size of a message: the smallest limit of clients is 4 MiB.
pub const MESSAGE_BYTES: usize = 2 << 20;
/// The default size of batches.
const DEFAULT_BATCH_BYTES: usize = 1 << 20;
/// The default maximum number of rows in a batch.
const DEFAULT_BATCH_ROWS: usize = 1 << 16;
/// The maximum number of rows in a batch that a client may set.
const MAX_BATCH_ROWS: i64 = 1 << 20;
/// The maximum size of a batch in bytes that a client may set.
const MAX_BATCH_BYTES: i64 = 64 << 20;

/// The maximum length of a commit message.
const MAX_MESSAGE_BYTES: usize = 1 << 10;

/// The compression of results in transit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// None.
    #[default]
    None,
    /// LZ4 frames: cheap.
    Lz4,
    /// Zstandard: small.
    Zstd,
}

/// The value of an option, in one of the protocol's types.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// A string.
    Text(String),
    /// A Boolean.
    Flag(bool),
    /// An integer.
    Whole(i64),
    /// A floating-point number.
    Number(f64),
    /// A list of strings.
    List(Vec<String>),
}

/// Why an option was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionFault {
    /// There is no such option.
    Name,
    /// It cannot have this value.
    Value,
}

/// The options of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    schema: Option<String>,
    /// The name of the snapshot to which it is pinned.
    snapshot: Option<String>,
    timeout: Option<Duration>,
    batch_rows: Option<usize>,
    batch_bytes: Option<usize>,
    compression: Compression,
    /// The message of commits.
    commit_message: Option<String>,
    /// Values of settings of DuckDB, as SQL literals.
    settings: BTreeMap<String, OptionValue>,
}

// === impl Options ===

impl Options {
    /// Sets the option `name`; without a value, resets it. DuckDB validates the value only when it runs
    /// [`script`](Self::script).
    ///
    /// # Errors
    /// Whether the name or the value is wrong.
    pub fn set(&mut self, name: &str, value: Option<OptionValue>) -> Result<(), OptionFault> {
        use OptionValue::{Flag, List, Number, Text, Whole};
        let lower = name.to_ascii_lowercase();
        match (lower.as_str(), value) {
            // There is one catalog; clients set it because they have to set something.
            ("catalog", Some(Text(catalog))) if catalog == lake::CATALOG => {}
            ("catalog", None) => {}
            ("schema", Some(Text(schema))) => self.schema = (schema != DEFAULT_SCHEMA).then_some(schema),
            ("schema", None) => self.schema = None,
            ("snapshot", None) => self.snapshot = None,
            ("snapshot", Some(Text(name))) => self.snapshot = (!name.is_empty()).then_some(name),
            ("snapshot", Some(Whole(version))) => self.snapshot = Some(version.to_string()),
            ("timeout", None) => self.timeout = None,
            ("timeout", Some(value)) => self.timeout = timeout(&value)?,
            ("batch_rows", None) => self.batch_rows = None,
            ("batch_rows", Some(value)) => self.batch_rows = Some(size(&value, MAX_BATCH_ROWS)?),
            ("batch_bytes", None) => self.batch_bytes = None,
            ("batch_bytes", Some(value)) => self.batch_bytes = Some(size(&value, MAX_BATCH_BYTES)?),
            ("compression", None) => self.compression = Compression::None,
            ("compression", Some(Text(codec))) => {
                self.compression = Compression::named(&codec).ok_or(OptionFault::Value)?;
            }
            ("commit_message", None) => self.commit_message = None,
            ("commit_message", Some(Text(message))) if message.len() <= MAX_MESSAGE_BYTES => {
                self.commit_message = (!message.is_empty()).then_some(message);
            }
            ("catalog" | "schema" | "snapshot" | "compression" | "commit_message", Some(_)) => {
                return Err(OptionFault::Value);
            }
            (setting, None) if SETTINGS.contains(&setting) => _ = self.settings.remove(setting),
            (setting, Some(List(_))) if SETTINGS.contains(&setting) => return Err(OptionFault::Value),
            (setting, Some(value @ (Text(_) | Flag(_) | Whole(_) | Number(_)))) if SETTINGS.contains(&setting) => {
                self.settings.insert(lower, value);
            }
            _ => return Err(OptionFault::Name),
        }
        Ok(())
    }

    /// All options that have a value, including the defaults of catalog and schema.
    pub fn all(&self) -> BTreeMap<String, OptionValue> {
        use OptionValue::{Number, Text, Whole};
        let size = |size: usize| Whole(i64::try_from(size).unwrap_or(i64::MAX));
        let mut all = self.settings.clone();
        all.insert("catalog".into(), Text(lake::CATALOG.into()));
        all.insert("schema".into(), Text(self.schema.clone().unwrap_or_else(|| DEFAULT_SCHEMA.into())));
        all.extend(self.snapshot.clone().map(|name| ("snapshot".into(), Text(name))));
        all.extend(self.timeout.map(|timeout| ("timeout".into(), Number(timeout.as_secs_f64()))));
        all.extend(self.batch_rows.map(|rows| ("batch_rows".into(), size(rows))));
        all.extend(self.batch_bytes.map(|bytes| ("batch_bytes".into(), size(bytes))));
        all.extend(self.commit_message.clone().map(|message| ("commit_message".into(), Text(message))));
        if self.compression != Compression::None {
            all.insert("compression".into(), Text(self.compression.name().into()));
        }
        all
    }

    /// The name of the snapshot to which the session is pinned.
    pub fn snapshot(&self) -> Option<&str> {
        self.snapshot.as_deref()
    }

    /// Pins the session to the snapshot that `name` refers to.
    pub(super) fn pin(&mut self, name: &str) {
        self.snapshot = Some(name.to_owned());
    }

    /// The message of commits, if the session sets it.
    pub fn commit_message(&self) -> Option<&str> {
        self.commit_message.as_deref()
    }

    /// The maximum duration of a statement.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The size of batches.
    pub fn batch_limits(&self) -> BatchLimits {
        BatchLimits {
            bytes: self.batch_bytes.unwrap_or(DEFAULT_BATCH_BYTES),
            rows: self.batch_rows.unwrap_or(DEFAULT_BATCH_ROWS),
        }
    }

    /// The maximum size of a message with rows in bytes, unless a single row is larger: clients that set larger batches
    /// can receive them.
    pub fn message_bytes(&self) -> usize {
        self.batch_bytes.unwrap_or(0).max(MESSAGE_BYTES)
    }

    /// The compression of results.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The statements that set up a new connection; `None` if it needs none.
    pub fn script(&self) -> Option<String> {
        let schema = self.schema.as_ref().map(|_| "schema");
        let names = schema.into_iter().chain(self.settings.keys().map(String::as_str));
        let script: String = names.map(|name| self.change(name)).collect();
        (!script.is_empty()).then_some(script)
    }

    /// The statement that applies a change of the option `name` to a connection; empty if it does not affect it.
    pub fn change(&self, name: &str) -> String {
        let name = name.to_ascii_lowercase();
        if name == "schema" {
            let schema = self.schema.as_deref().unwrap_or(DEFAULT_SCHEMA);
            return format!("USE {}.{};", identifier(lake::CATALOG), identifier(schema));
        }
        match self.settings.get(&name) {
            Some(value) => format!("SET SESSION {name} = {};", value.sql()),
            // RESET would return to the zone of the machine.
            None if name == "timezone" => format!("SET SESSION {name} = '{TIME_ZONE}';"),
            None if SETTINGS.contains(&name.as_str()) => format!("RESET SESSION {name};"),
            None => String::new(),
        }
    }
}

/// A timeout in seconds; 0 for none.
fn timeout(value: &OptionValue) -> Result<Option<Duration>, OptionFault> {
    let seconds = match value {
        OptionValue::Whole(seconds) => seconds.to_string().parse(),
        OptionValue::Number(seconds) => Ok(*seconds),
        OptionValue::Text(text) => text.parse::<f64>(),
        OptionValue::Flag(_) | OptionValue::List(_) => return Err(OptionFault::Value),
    };
    let timeout = seconds.ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    timeout.map(|timeout| (!timeout.is_zero()).then_some(timeout)).ok_or(OptionFault::Value)
}

fn size(value: &OptionValue, max: i64) -> Result<usize, OptionFault> {
    let number = match value {
        OptionValue::Whole(number) => *number,
        OptionValue::Text(text) => text.parse().map_err(|_| OptionFault::Value)?,
        OptionValue::Flag(_) | OptionValue::Number(_) | OptionValue::List(_) => return Err(OptionFault::Value),
    };
    usize::try_from(number).ok().filter(|_| (1..=max).contains(&number)).ok_or(OptionFault::Value)
}

// === impl OptionValue ===

impl OptionValue {
    fn sql(&self) -> String {
        match self {
            Self::Text(text) => literal(text),
            Self::Flag(flag) => flag.to_string(),
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
            Self::List(texts) => literal(&texts.join(",")),
        }
    }
}

// === impl Compression ===

impl Compression {
    fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Lz4, Self::Zstd].into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

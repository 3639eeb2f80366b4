//! Unparsed values of settings, by key, each with its origin.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The origin of a value. Ordered as faults are reported: the file by line, variables, flags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The configuration file.
    File {
        /// The path of the file, as it was specified.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The environment variable with this name.
    Variable(String),
    /// The flag of the setting with this key.
    Flag(&'static str),
}

/// A value and its origin. No `Debug`, because it can contain a password.
pub(super) struct Given {
    /// The unparsed value.
    pub(super) text: String,
    /// Its origin.
    pub(super) origin: Origin,
}

/// The values of a source, by key of the setting.
pub(super) type Source = BTreeMap<&'static str, Given>;

// === impl Origin ===

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(key) => write!(f, "--{}", key.replace('_', "-")),
        }
    }
}

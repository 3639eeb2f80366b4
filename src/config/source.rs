//! What was written, before anyone says what it means: texts by key, each with the place it stands at.

use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The place where a setting was written. Ordered as faults are reported: file by line, variables, flags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The configuration file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The environment variable of this name.
    Variable(String),
    /// The flag of the setting with this key.
    Flag(&'static str),
}

/// One text and its origin. No `Debug`: the text can hold a password.
pub(super) struct Given {
    /// The text as it was written.
    pub(super) text: String,
    /// Where it was written.
    pub(super) origin: Origin,
}

/// What one source says, by key of the setting.
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

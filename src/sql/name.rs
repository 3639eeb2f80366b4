//! Names of objects in the catalog.

use std::fmt;

use crate::quote::identifier;

/// The name of a table, a view or another object, as written in a statement: catalog, schema and name, or fewer of
/// them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Vec<String>);

// === impl Name ===

impl Name {
    /// A name of these parts, at least one, without quotes.
    pub(super) fn new(parts: Vec<String>) -> Self {
        Self(parts)
    }

    /// Its parts, without quotes.
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// The last part, in lower case, as DuckDB compares names.
    pub fn last(&self) -> String {
        self.0.last().map(|part| part.to_lowercase()).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.0.iter().map(|part| identifier(part)).collect();
        f.write_str(&parts.join("."))
    }
}

//! A section of a model file: a model, or a source that models read.

use std::fmt;

use super::Check;
use crate::{lake, quote::identifier};

/// The layers of tables, in the order in which data passes through them.
pub const LAYERS: [&str; 3] = ["raw", "silver", "gold"];

/// A model, or a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The layer, one of [`LAYERS`].
    pub layer: String,
    /// The table within the layer.
    pub table: String,
    /// The header without its checks.
    pub description: String,
    /// The SELECT; `None` for a source.
    pub query: Option<String>,
    /// Whether it is a source that need not be in the lake.
    pub is_optional: bool,
    /// The checks of the table.
    pub checks: Vec<Check>,
    /// The position of the head.
    pub origin: Origin,
}

/// A line of a model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

// === impl Model ===

impl Model {
    /// `layer.table`, for messages.
    pub fn name(&self) -> String {
        format!("{}.{}", self.layer, self.table)
    }

    /// The qualified name of the table in SQL.
    pub fn sql_name(&self) -> String {
        format!("{}.{}.{}", lake::CATALOG, identifier(&self.layer), identifier(&self.table))
    }

    /// Whether the table is delivered by ingest instead of created by a query.
    pub fn is_source(&self) -> bool {
        self.query.is_none()
    }
}

// === impl Origin ===

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

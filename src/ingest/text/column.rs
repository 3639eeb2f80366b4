//! Columns, and the SQL that makes their values of staged rows.

use crate::quote::{identifier, literal};

/// Types that every value has for which they were found.
const CERTAIN: [&str; 5] = ["VARCHAR", "JSON", "BOOLEAN", "BIGINT", "DOUBLE"];

/// A column of the table.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub name: String,
    /// Its type in SQL.
    pub data_type: String,
    /// Whether the type was not found in the values but demanded.
    pub is_demanded: bool,
    pub source: Source,
}

/// The place of a column's values in a staged row.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The text with this number.
    Text { index: usize },
    /// The part of the text "0", which is JSON, at a JSON pointer.
    Json { pointer: String },
}

// === impl Column ===

impl Column {
    /// The value in SQL.
    pub fn value(&self) -> String {
        match &self.source {
            Source::Text { .. } if self.data_type == "VARCHAR" => self.text(),
            // An empty text in quotes is a missing value of any other type.
            Source::Text { .. } => format!("TRY_CAST(nullif({}, '') AS {})", self.text(), self.data_type),
            Source::Json { pointer } if pointer.is_empty() => "typed".to_owned(),
            Source::Json { .. } => format!("typed.{}", identifier(&self.name)),
        }
    }

    /// Its text in SQL.
    pub fn text(&self) -> String {
        match &self.source {
            Source::Text { index } => identifier(&index.to_string()),
            Source::Json { pointer } => format!("system.main.json_extract_string(\"0\"::JSON, {})", literal(pointer)),
        }
    }

    /// Whether the value has not the type, in SQL; `None` if that cannot be.
    pub fn misfit(&self) -> Option<String> {
        let has_text = match &self.source {
            Source::Text { .. } if self.data_type == "VARCHAR" => return None,
            Source::Text { .. } => format!("{} <> ''", self.text()),
            Source::Json { .. } if CERTAIN.contains(&self.data_type.as_str()) && !self.is_demanded => return None,
            Source::Json { .. } => format!("{} IS NOT NULL", self.text()),
        };
        Some(format!("{has_text} AND {} IS NULL", self.value()))
    }
}

//! The columns of a query and their types.

use std::collections::BTreeMap;

use super::super::load::{self, Column};
use crate::{engine::Connection, error::Result};

const INTEGERS: [&str; 10] =
    ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"];

/// The types of columns, as DuckDB writes them, by name.
#[derive(Clone, Debug)]
pub(super) struct Columns(BTreeMap<String, String>);

// === impl Columns ===

impl Columns {
    /// Those of `query`.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn of(connection: &Connection, query: &str) -> Result<Self> {
        let columns = load::describe(connection, query)?.into_iter();
        Ok(Self(columns.map(|Column { column_name, column_type }| (column_name, column_type)).collect()))
    }

    /// The columns with the types of their elements; `None` if they are not all lists.
    pub fn elements(self) -> Option<Self> {
        let element = |(name, data_type): (String, String)| Some((name, data_type.strip_suffix("[]")?.to_owned()));
        self.0.into_iter().map(element).collect::<Option<_>>().map(Self)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether there are only columns with these names.
    pub fn are_among<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> bool {
        let names: Vec<_> = names.into_iter().collect();
        self.0.keys().all(|name| names.contains(&name.as_str()))
    }

    /// The type of a column; empty if there is no such column.
    pub fn data_type(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The first of `names` that is a column.
    pub fn first_of(&self, names: &[&'static str]) -> Option<&'static str> {
        names.iter().find(|name| self.has(name)).copied()
    }
}

pub(super) fn is_integer(data_type: &str) -> bool {
    INTEGERS.contains(&data_type)
}

pub(super) fn is_number(data_type: &str) -> bool {
    is_integer(data_type) || ["FLOAT", "DOUBLE"].contains(&data_type) || data_type.starts_with("DECIMAL(")
}

pub(super) fn is_text(data_type: &str) -> bool {
    data_type == "VARCHAR"
}

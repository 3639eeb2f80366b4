//! The types in which the lake stores the columns of a query: see `docs/types.md`.
//!
//! Statements that create tables of the lake apply the same rule by themselves (`crates/planner`). This is for queries
//! whose rows are staged, or compared with those of a table.

use serde::Deserialize;

use crate::{
    engine::Connection,
    error::Result,
    quote::{identifier, literal},
};

#[derive(Deserialize)]
struct Column {
    name: String,
    #[serde(rename = "type")]
    data_type: String,
}

#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "type")]
    data_type: String,
}

/// `query` with casts of the columns whose values are stored in another type; `None` if there are none.
///
/// # Errors
/// `InvalidArgument` for a column that cannot be stored; errors of DuckDB.
pub fn stored(connection: &Connection, query: &str) -> Result<Option<String>> {
    let sql = format!("SELECT column_name AS name, column_type AS type FROM (DESCRIBE {query})");
    let mut casts = Vec::new();
    for Column { name, data_type } in connection.records::<Column>(&sql, &[])? {
        let sql = format!("SELECT merganser_stored_type({}, {}) AS type", literal(&data_type), literal(&name));
        let stored: Stored = connection.record(&sql, &[])?;
        if stored.data_type != data_type {
            let name = identifier(&name);
            casts.push(format!("{name}::{} AS {name}", stored.data_type));
        }
    }
    let query = || format!("SELECT * REPLACE ({}) FROM ({query})", casts.join(", "));
    Ok((!casts.is_empty()).then(query))
}

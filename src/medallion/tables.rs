//! The tables that a query names, from DuckDB's own parse of it.
//!
//! Nothing is bound, so that nothing needs to exist: a model may read what another one creates later in the run.
//! (`duckdb_get_table_names` does bind, against tables without columns, and returns nothing at all for a query with
//! USING, AT or a window over what it cannot resolve.)

use serde::Deserialize;

use crate::{
    engine::{Connection, Value},
    error::{Error, Result},
    lake,
};

/// The syntax tree as JSON; DuckDB returns an object with the error instead of failing.
const TREE: &str = "json_serialize_sql(?::VARCHAR, skip_null := true, skip_empty := true)";

/// The tables of the lake that `query` names with their schema, as `schema.table` in lower case. Unqualified names
/// refer to common table expressions, or to tables that belong to no layer.
///
/// # Errors
/// `InvalidArgument` if it is not exactly one SELECT.
pub(super) fn tables(connection: &Connection, query: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Parsed {
        fault: Option<String>,
        statements: Option<u64>,
    }
    #[derive(Deserialize)]
    struct Table {
        catalog: Option<String>,
        name: String,
    }
    let sql = format!(
        "SELECT tree->>'error_message' AS fault, system.main.json_array_length(tree, '$.statements') AS statements \
         FROM (SELECT {TREE} AS tree)",
    );
    let parsed: Parsed = connection.record(&sql, &[Value::varchar(query)])?;
    match parsed {
        Parsed { fault: Some(fault), .. } => return Err(Error::invalid(fault)),
        Parsed { statements: Some(1), .. } => {}
        Parsed { statements, .. } => {
            let n = statements.unwrap_or_default();
            return Err(Error::invalid(format!("expected one SELECT, got {n} statements")));
        }
    }
    let sql = format!(
        "SELECT system.main.any_value(text) FILTER (key = 'catalog_name') AS catalog, \
                system.main.lower(system.main.any_value(text) FILTER (key = 'schema_name') || '.' || \
                      system.main.any_value(text) FILTER (key = 'table_name')) AS name \
         FROM (SELECT parent, key, system.main.json_extract_string(atom, '$') AS text \
               FROM (SELECT {TREE} AS tree), json_tree(tree)) \
         GROUP BY parent \
         HAVING system.main.bool_or(key = 'type' AND text = 'BASE_TABLE') AND name IS NOT NULL \
         ORDER BY name",
    );
    let tables: Vec<Table> = connection.records(&sql, &[Value::varchar(query)])?;
    let in_lake = |table: &Table| table.catalog.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(lake::CATALOG));
    Ok(tables.into_iter().filter(in_lake).map(|table| table.name).collect())
}

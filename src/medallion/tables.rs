//! The tables that a query names, from DuckDB's own parse of it.
//!
//! Nothing is bound, so that nothing needs to exist: a model may read what another one creates later in the run.
//! (`duckdb_get_table_names` does bind, against tables without columns, and returns nothing at all for a query with
//! USING, AT or a window over what it cannot resolve.)

use serde::Deserialize;
use serde_json::Value as Json;

use crate::{
    engine::{Connection, Value},
    error::{Error, Result},
    lake,
};

/// The tables of the lake that `query` names with their schema, as `schema.table` in lower case. Unqualified names
/// refer to common table expressions, or to tables that belong to no layer.
///
/// # Errors
/// `InvalidArgument` if it is not exactly one SELECT.
pub(super) fn tables(connection: &Connection, query: &str) -> Result<Vec<String>> {
    let tree = syntax_tree(connection, query)?;
    let mut tables = Vec::new();
    collect(&tree, &mut tables);
    tables.sort();
    tables.dedup();
    Ok(tables)
}

/// DuckDB's syntax tree of the only statement. For what it cannot parse, it returns an object with the error instead of failing.
fn syntax_tree(connection: &Connection, query: &str) -> Result<Json> {
    #[derive(Deserialize)]
    struct Text {
        tree: String,
    }
    #[derive(Deserialize)]
    struct Parsed {
        error_message: Option<String>,
        #[serde(default)]
        statements: Vec<Json>,
    }
    let sql = "SELECT json_serialize_sql(?::VARCHAR, skip_null := true, skip_empty := true)::VARCHAR AS tree";
    let text: Text = connection.record(sql, &[Value::varchar(query)])?;
    let mut json = serde_json::Deserializer::from_str(&text.tree);
    // The tree is several times as deep as the expressions, whose depth DuckDB limits.
    json.disable_recursion_limit();
    let parsed =
        Parsed::deserialize(&mut json).map_err(|err| Error::internal("read a syntax tree").with_source(err))?;
    match (parsed.error_message, <[Json; 1]>::try_from(parsed.statements)) {
        (Some(fault), _) => Err(Error::invalid(fault)),
        (None, Ok([statement])) => Ok(statement),
        (None, Err(statements)) => {
            Err(Error::invalid(format!("expected one SELECT, got {} statements", statements.len())))
        }
    }
}

/// Adds the tables of the lake that are named below `node`.
fn collect(node: &Json, tables: &mut Vec<String>) {
    match node {
        Json::Object(fields) => {
            let text = |name: &str| fields.get(name).and_then(Json::as_str);
            if let (Some("BASE_TABLE"), Some(schema), Some(table)) =
                (text("type"), text("schema_name"), text("table_name"))
                && text("catalog_name").is_none_or(|name| name.eq_ignore_ascii_case(lake::CATALOG))
            {
                tables.push(format!("{schema}.{table}").to_lowercase());
            }
            fields.values().for_each(|field| collect(field, tables));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, tables)),
        _ => {}
    }
}

//! Listing the catalog: schemas, tables, views and their columns.
//!
//! Temporary tables are not listed: they belong to one connection and are visible in its session only.

mod pattern;
pub mod types;

use std::collections::HashMap;

use arrow::datatypes::FieldRef;
use serde::Deserialize;

use crate::{engine::Connection, error::Result};

/// Selects schemas and tables by patterns, as in `LIKE`: `%` matches any text, `_` one character, and `\` escapes the next
/// character. A name that equals the pattern literally matches too, and is listed first.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The pattern for schemas; `None` matches all.
    pub schema: Option<String>,
    /// The pattern for tables and views; `None` matches all.
    pub table: Option<String>,
}

/// A table or view.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether it is a table or a view.
    pub kind: TableKind,
    /// Its columns; empty if they were not requested.
    pub columns: Vec<Column>,
}

/// A column of a table or view.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name, type and nullability as in the result of a SELECT, except that columns declared NOT NULL are not nullable.
    pub field: FieldRef,
    /// The type as DuckDB writes it.
    pub type_name: String,
    /// The comment set by COMMENT ON.
    pub comment: Option<String>,
}

/// The kind of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TableKind {
    /// A base table.
    #[serde(rename = "TABLE")]
    Table,
    /// A view.
    #[serde(rename = "VIEW")]
    View,
}

#[derive(Deserialize)]
struct TableRow {
    schema_name: String,
    table_name: String,
    kind: TableKind,
    columns: Option<Vec<ColumnRow>>,
}

#[derive(Deserialize)]
struct ColumnRow {
    column_name: String,
    data_type: String,
    is_nullable: bool,
    comment: Option<String>,
}

/// The schemas that match `filter`.
///
/// # Errors
/// Errors of DuckDB.
pub fn schemas(connection: &Connection, filter: &Filter) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct SchemaRow {
        schema_name: String,
    }
    let sql = "SELECT schema_name FROM system.main.duckdb_schemas() WHERE database_name = 'lake' \
               AND ($1 IS NULL OR schema_name = $1 OR regexp_full_match(schema_name, $2)) \
               ORDER BY schema_name IS DISTINCT FROM $1, schema_name";
    let rows = connection.records::<SchemaRow>(sql, &pattern::parameters(filter.schema.as_deref()))?;
    Ok(rows.into_iter().map(|row| row.schema_name).collect())
}

/// The tables and views that match `filter`, with their columns if `include_columns`. Runs a single query.
///
/// # Errors
/// Errors of DuckDB.
pub fn tables(connection: &Connection, filter: &Filter, include_columns: bool) -> Result<Vec<Table>> {
    let rows = rows(connection, filter, include_columns)?;
    let columns = rows.iter().flat_map(|row| row.columns.iter().flatten());
    let types = types::fields(connection, columns.map(|column| column.data_type.as_str()))?;
    let table = |row: TableRow| Table {
        schema: row.schema_name,
        name: row.table_name,
        kind: row.kind,
        columns: row.columns.unwrap_or_default().into_iter().map(|column| column.typed(&types)).collect(),
    };
    Ok(rows.into_iter().map(table).collect())
}

/// Tables are derived from their columns: `duckdb_tables()` counts the rows of each, which takes seconds for thousands of
/// tables. A table has at least one column; a view has none if what it selects from does not exist any more.
fn rows(connection: &Connection, filter: &Filter, include_columns: bool) -> Result<Vec<TableRow>> {
    let columns = "list({column_name: column_name, data_type: data_type, is_nullable: is_nullable, comment: comment} \
                   ORDER BY column_index)";
    let columns = if include_columns { columns } else { "NULL" };
    let matches = "database_name = 'lake' \
                    AND ($1 IS NULL OR schema_name = $1 OR regexp_full_match(schema_name, $2)) \
                    AND ($3 IS NULL OR table_name = $3 OR regexp_full_match(table_name, $4))";
    let sql = format!(
        "SELECT schema_name, table_name, coalesce(kind, 'TABLE') AS kind, columns FROM (\
         SELECT schema_name, table_name, {columns} AS columns FROM system.main.duckdb_columns() WHERE {matches} \
         GROUP BY schema_name, table_name) FULL JOIN (\
         SELECT schema_name, view_name AS table_name, 'VIEW' AS kind FROM system.main.duckdb_views() WHERE {matches}) \
         USING (schema_name, table_name) \
         ORDER BY table_name IS DISTINCT FROM $3, schema_name IS DISTINCT FROM $1, schema_name, table_name"
    );
    let [schema, schema_regex] = pattern::parameters(filter.schema.as_deref());
    let [table, table_regex] = pattern::parameters(filter.table.as_deref());
    connection.records(&sql, &[schema, schema_regex, table, table_regex])
}

/// The keywords of DuckDB's parser, in alphabetical order.
///
/// # Errors
/// Errors of DuckDB.
pub fn keywords(connection: &Connection) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct KeywordRow {
        keyword_name: String,
    }
    let rows = connection
        .records::<KeywordRow>("SELECT DISTINCT keyword_name FROM system.main.duckdb_keywords() ORDER BY 1", &[])?;
    Ok(rows.into_iter().map(|row| row.keyword_name).collect())
}

// === impl TableKind ===

impl TableKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Table, Self::View];

    /// The name in Flight SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::View => "VIEW",
        }
    }
}

// === impl ColumnRow ===

impl ColumnRow {
    fn typed(self, types: &HashMap<String, FieldRef>) -> Column {
        let field = types.get(&self.data_type).cloned().unwrap_or_else(types::unreadable);
        let field = (*field).clone().with_name(self.column_name).with_nullable(self.is_nullable);
        Column { field: field.into(), type_name: self.data_type, comment: self.comment }
    }
}

//! What the lake holds now: schemas, tables, views and their columns.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field, FieldRef};
use serde::Deserialize;

use crate::{
    engine::Connection,
    error::{Error, Result},
};

/// A table or view.
#[derive(Clone, Debug)]
pub struct Table {
    /// The schema that it is in.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// Its columns; empty when they were not asked for.
    pub columns: Vec<FieldRef>,
}

/// What a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TableKind {
    /// A table with rows of its own.
    #[serde(rename = "TABLE")]
    Table,
    /// A query under a name.
    #[serde(rename = "VIEW")]
    View,
}

#[derive(Deserialize)]
struct TableRow {
    schema_name: String,
    table_name: String,
    kind: TableKind,
}

#[derive(Deserialize)]
struct ColumnRow {
    schema_name: String,
    table_name: String,
    column_name: String,
    data_type: String,
    is_nullable: bool,
}

// === impl TableKind ===

impl TableKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Table, Self::View];

    /// The name that Flight SQL clients know it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::View => "VIEW",
        }
    }
}

/// The schemas of the lake.
///
/// # Errors
/// What DuckDB says.
pub fn schemas(connection: &Connection) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Row {
        schema_name: String,
    }
    let sql = "SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'lake' ORDER BY 1";
    Ok(connection.records::<Row>(sql, &[])?.into_iter().map(|row| row.schema_name).collect())
}

/// The tables and views of the lake, with their columns when `include_columns`.
///
/// # Errors
/// What DuckDB says.
pub fn tables(connection: &Connection, include_columns: bool) -> Result<Vec<Table>> {
    let sql = "SELECT schema_name, table_name, 'TABLE' AS kind FROM duckdb_tables() WHERE database_name = 'lake' \
               UNION ALL SELECT schema_name, view_name, 'VIEW' FROM duckdb_views() \
               WHERE database_name = 'lake' AND NOT internal ORDER BY 1, 2";
    let mut columns = if include_columns { columns(connection)? } else { HashMap::new() };
    let rows: Vec<TableRow> = connection.records(sql, &[])?;
    let tables = rows.into_iter().map(|TableRow { schema_name: schema, table_name: name, kind }| {
        let columns = columns.remove(&(schema.clone(), name.clone())).unwrap_or_default();
        Table { schema, name, kind, columns }
    });
    Ok(tables.collect())
}

/// The columns of all tables, by schema and table.
fn columns(connection: &Connection) -> Result<HashMap<(String, String), Vec<FieldRef>>> {
    let sql = "SELECT schema_name, table_name, column_name, data_type, is_nullable FROM duckdb_columns() \
               WHERE database_name = 'lake' AND NOT internal ORDER BY schema_name, table_name, column_index";
    let rows: Vec<ColumnRow> = connection.records(sql, &[])?;
    let types = arrow_types(connection, rows.iter().map(|row| row.data_type.as_str()))?;
    let mut columns = HashMap::<_, Vec<FieldRef>>::new();
    for row in rows {
        let kind = types.get(&row.data_type).cloned().unwrap_or(DataType::Null);
        let field = Field::new(row.column_name, kind, row.is_nullable);
        columns.entry((row.schema_name, row.table_name)).or_default().push(field.into());
    }
    Ok(columns)
}

/// What DuckDB's types are in Arrow: all of them prepared as the columns of one statement, which is not run.
fn arrow_types<'a>(connection: &Connection, types: impl Iterator<Item = &'a str>) -> Result<HashMap<String, DataType>> {
    let mut types: Vec<_> = types.collect();
    types.sort_unstable();
    types.dedup();
    if types.is_empty() {
        return Ok(HashMap::new());
    }
    let columns: Vec<_> = types.iter().map(|kind| format!("NULL::{kind}")).collect();
    let schema = connection.prepare(&format!("SELECT {}", columns.join(", ")))?.result_schema()?;
    let schema = schema.ok_or_else(|| Error::internal("the lake's types have no Arrow form"))?;
    Ok(types.iter().zip(schema.fields()).map(|(kind, field)| ((*kind).to_owned(), field.data_type().clone())).collect())
}

//! GetTables: sorted by schema and name, except that tables whose names equal the patterns are first, because clients
//! request a table by a pattern and take the first row or the first batch.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BinaryArray, RecordBatch, StringArray},
    datatypes::{Field, Schema, SchemaRef},
    ipc::writer::IpcWriteOptions,
};
use arrow_flight::{IpcMessage, SchemaAsIpc, sql::CommandGetTables};

use super::super::authenticate::Caller;
use super::{catalogs::is_lake, column, fault::encode};
use crate::{
    error::Result,
    lake,
    lake::listing::{self, Table, TableKind},
    query::Queries,
};

/// The columns.
pub fn schema(command: &CommandGetTables) -> SchemaRef {
    command.clone().into_builder().schema()
}

/// The tables and views of the lake. Their columns, if requested, are read in one query and not one by one.
pub async fn rows(queries: &Queries, caller: &Caller, command: CommandGetTables) -> Result<RecordBatch> {
    let (columns, include_schema) = (schema(&command), command.include_schema);
    if !is_lake(command.catalog.as_deref()) {
        return Ok(RecordBatch::new_empty(columns));
    }
    let filter = listing::Filter { schema: command.db_schema_filter_pattern, table: command.table_name_filter_pattern };
    let find = move |connection: &_| listing::tables(connection, &filter, include_schema);
    let mut tables = queries.inspect(&caller.session, find).await?;
    let types = command.table_types;
    tables.retain(|table| types.is_empty() || types.iter().any(|name| is_type(name, table.kind.name())));
    batch(columns, &tables, include_schema)
}

/// Whether a client asks for the table type `kind` as `name`, which Arrow's own clients write in lower case.
fn is_type(name: &str, kind: &str) -> bool {
    let name = if name.eq_ignore_ascii_case("BASE TABLE") { "TABLE" } else { name };
    name.eq_ignore_ascii_case(kind)
}

fn batch(columns: SchemaRef, tables: &[Table], include_schema: bool) -> Result<RecordBatch> {
    let text = |of: fn(&Table) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(tables.iter().map(of))) };
    let mut arrays =
        vec![text(|_| lake::CATALOG), text(|table| &table.schema), text(|table| &table.name), text(|t| t.kind.name())];
    if include_schema {
        let schemas = tables.iter().map(encoded_schema).collect::<Result<Vec<_>>>()?;
        arrays.push(Arc::new(BinaryArray::from_iter_values(schemas)));
    }
    RecordBatch::try_new(columns, arrays).map_err(encode)
}

/// The columns of a table as an encapsulated IPC message, which is what the drivers read.
fn encoded_schema(table: &Table) -> Result<Vec<u8>> {
    let fields: Vec<_> = table.columns.iter().map(|column| field(table, column)).collect();
    let options = IpcWriteOptions::default();
    let message = IpcMessage::try_from(SchemaAsIpc::new(&Schema::new(fields), &options)).map_err(encode)?;
    Ok(message.0.to_vec())
}

fn field(table: &Table, column: &listing::Column) -> Field {
    let mut field = column::describe(&column.field, &column.type_name);
    let facts = [
        ("CATALOG_NAME", Some(lake::CATALOG)),
        ("DB_SCHEMA_NAME", Some(table.schema.as_str())),
        ("TABLE_NAME", Some(table.name.as_str())),
        ("IS_READ_ONLY", Some(if table.kind == TableKind::View { "1" } else { "0" })),
        ("REMARKS", column.comment.as_deref()),
    ];
    let facts = facts.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
    field.metadata_mut().extend(facts.map(|(name, value)| (column::key(name), value)));
    field
}

//! The metadata commands: each returns its rows as one batch, from which GetFlightInfo and GetSchema take the columns.

mod catalogs;
pub mod column;
mod fault;
mod keys;
mod schemas;
mod sql_info;
mod table_types;
mod tables;
mod type_info;
mod types;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::sql::Command;

use super::authenticate::Caller;
use crate::{error::Result, query::Queries};

/// The columns of a metadata command; `None` for any other command.
///
/// # Errors
/// Internal if the server's own data cannot be built.
pub fn schema(command: &Command) -> Result<Option<SchemaRef>> {
    Ok(Some(match command {
        Command::CommandGetCatalogs(command) => catalogs::schema(*command),
        Command::CommandGetDbSchemas(command) => schemas::schema(command),
        Command::CommandGetTables(command) => tables::schema(command),
        Command::CommandGetTableTypes(command) => table_types::schema(*command),
        Command::CommandGetPrimaryKeys(_) => keys::primary_schema(),
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => keys::foreign_schema(),
        Command::CommandGetXdbcTypeInfo(_) => type_info::schema(),
        Command::CommandGetSqlInfo(_) => sql_info::schema(),
        _ => return Ok(None),
    }))
}

/// The rows of a metadata command, as visible in the caller's session; `None` for any other command.
///
/// # Errors
/// Errors of DuckDB.
pub async fn rows(queries: &Queries, caller: &Caller, command: Command) -> Result<Option<RecordBatch>> {
    Ok(Some(match command {
        Command::CommandGetCatalogs(command) => catalogs::rows(command)?,
        Command::CommandGetDbSchemas(command) => schemas::rows(queries, caller, command).await?,
        Command::CommandGetTables(command) => tables::rows(queries, caller, command).await?,
        Command::CommandGetTableTypes(command) => table_types::rows(command)?,
        Command::CommandGetPrimaryKeys(_) => RecordBatch::new_empty(keys::primary_schema()),
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => RecordBatch::new_empty(keys::foreign_schema()),
        Command::CommandGetXdbcTypeInfo(command) => type_info::rows(command)?,
        Command::CommandGetSqlInfo(command) => sql_info::rows(queries, caller, &command).await?,
        _ => return Ok(None),
    }))
}

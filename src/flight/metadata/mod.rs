//! The metadata commands: each gives its rows as one batch, from which GetFlightInfo and GetSchema take the columns.

mod catalogs;
mod sql_info;
mod tables;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::sql::Command;

use crate::{
    error::{Error, Result},
    session::Sessions,
};

/// The columns of a metadata command; `None` for a command that is none.
///
/// # Errors
/// Internal when the server's own data cannot be built.
pub fn schema(command: &Command) -> Result<Option<SchemaRef>> {
    Ok(match command {
        Command::CommandGetCatalogs(command) => Some((*command).into_builder().schema()),
        Command::CommandGetDbSchemas(command) => Some(command.clone().into_builder().schema()),
        Command::CommandGetTables(command) => Some(command.clone().into_builder().schema()),
        Command::CommandGetTableTypes(command) => Some((*command).into_builder().schema()),
        Command::CommandGetSqlInfo(_) => Some(sql_info::schema()?),
        _ => None,
    })
}

/// The rows of a metadata command; `None` for a command that is none.
///
/// # Errors
/// What DuckDB says.
pub async fn rows(sessions: &Sessions, command: Command) -> Result<Option<RecordBatch>> {
    Ok(Some(match command {
        Command::CommandGetCatalogs(command) => catalogs::catalogs(command)?,
        Command::CommandGetDbSchemas(command) => catalogs::schemas(sessions, command).await?,
        Command::CommandGetTables(command) => tables::tables(sessions, command).await?,
        Command::CommandGetTableTypes(command) => tables::table_types(command)?,
        Command::CommandGetSqlInfo(command) => sql_info::rows(command)?,
        _ => return Ok(None),
    }))
}

/// The failure to build the rows of an answer.
fn encode(err: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("encode metadata").with_source(err)
}

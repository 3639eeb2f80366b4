//! GetSqlInfo: the properties and capabilities of the server.

mod functions;
mod union;
mod values;

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow_flight::sql::{CommandGetSqlInfo, SqlInfo};

pub use self::union::schema;
use self::{
    union::Found,
    values::{VALUES, Value},
};
use super::super::authenticate::Caller;
use super::fault;
use crate::{error::Result, lake::listing, query::Queries};

/// The requested values, each once; all of them if none was specified. Codes that are unknown to the server are
/// omitted.
pub async fn rows(queries: &Queries, caller: &Caller, command: &CommandGetSqlInfo) -> Result<RecordBatch> {
    let is_asked = |info: SqlInfo| command.info.is_empty() || command.info.contains(&(info as u32));
    // DuckDB returns its keywords; nothing else needs a connection, and every client requests something when it
    // connects.
    let keywords = if is_asked(SqlInfo::SqlKeywords) {
        queries.inspect(&caller.session, listing::keywords).await?
    } else {
        Vec::new()
    };
    let asked = || VALUES.iter().filter(|(info, _)| is_asked(*info));
    let codes: UInt32Array = asked().map(|(info, _)| *info as u32).collect();
    let values: Vec<&Value> = asked().map(|(_, value)| value).collect();
    let found = Found {
        keywords,
        statement_timeout: caller.session.options().timeout().or(queries.query_timeout()),
        transaction_timeout: Some(queries.sessions().limits().idle_timeout),
    };
    let values = union::encode(&values, &found)?;
    RecordBatch::try_new(schema(), vec![Arc::new(codes), Arc::new(values)]).map_err(fault::encode)
}

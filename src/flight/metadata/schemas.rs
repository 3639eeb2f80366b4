//! GetDbSchemas: sorted by name, except that a schema whose name equals the pattern is first.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::SchemaRef,
};
use arrow_flight::sql::CommandGetDbSchemas;

use super::super::authenticate::Caller;
use super::{catalogs::is_lake, fault::encode};
use crate::{error::Result, lake, lake::listing, query::Queries};

/// The columns.
pub fn schema(command: &CommandGetDbSchemas) -> SchemaRef {
    command.clone().into_builder().schema()
}

/// The schemas of the lake.
pub async fn rows(queries: &Queries, caller: &Caller, command: CommandGetDbSchemas) -> Result<RecordBatch> {
    let columns = schema(&command);
    if !is_lake(command.catalog.as_deref()) {
        return Ok(RecordBatch::new_empty(columns));
    }
    let filter = listing::Filter { schema: command.db_schema_filter_pattern, table: None };
    let names = queries.inspect(&caller.session, move |connection| listing::schemas(connection, &filter)).await?;
    let catalogs: ArrayRef = Arc::new(StringArray::from(vec![lake::CATALOG; names.len()]));
    RecordBatch::try_new(columns, vec![catalogs, Arc::new(StringArray::from(names))]).map_err(encode)
}

//! GetCatalogs: clients see only the lake, not the engine's own databases.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::sql::CommandGetCatalogs;

use super::fault::encode;
use crate::{error::Result, lake};

/// The columns.
pub fn schema(command: CommandGetCatalogs) -> SchemaRef {
    command.into_builder().schema()
}

/// The catalogs.
pub fn rows(command: CommandGetCatalogs) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    builder.append(lake::CATALOG);
    builder.build().map_err(encode)
}

/// Whether a command's catalog filter includes the lake: no filter means all catalogs, an empty one objects without a
/// catalog.
pub fn is_lake(catalog: Option<&str>) -> bool {
    catalog.is_none_or(|catalog| catalog == lake::CATALOG)
}

//! GetTableTypes.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::sql::CommandGetTableTypes;

use super::fault::encode;
use crate::{error::Result, lake::listing::TableKind};

/// The columns.
pub fn schema(command: CommandGetTableTypes) -> SchemaRef {
    command.into_builder().schema()
}

/// The types that tables have.
pub fn rows(command: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    for kind in TableKind::ALL {
        builder.append(kind.name());
    }
    builder.build().map_err(encode)
}

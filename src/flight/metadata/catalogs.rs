//! GetCatalogs and GetDbSchemas: what clients may see is the lake alone, not the engine's own databases.

use arrow::array::RecordBatch;
use arrow_flight::sql::{CommandGetCatalogs, CommandGetDbSchemas};

use super::encode;
use crate::{error::Result, lake, session::Sessions};

/// The catalogs.
pub fn catalogs(command: CommandGetCatalogs) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    builder.append(lake::CATALOG);
    builder.build().map_err(encode)
}

/// The schemas of the lake.
pub async fn schemas(sessions: &Sessions, command: CommandGetDbSchemas) -> Result<RecordBatch> {
    let names = sessions.engine().run(lake::inventory::schemas).await?;
    let mut builder = command.into_builder();
    for name in names {
        builder.append(lake::CATALOG, name);
    }
    builder.build().map_err(encode)
}

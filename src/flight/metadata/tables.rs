//! GetTables and GetTableTypes.

use arrow::{array::RecordBatch, datatypes::Schema};
use arrow_flight::sql::{CommandGetTableTypes, CommandGetTables};

use super::encode;
use crate::{error::Result, lake, session::Sessions};

/// The tables and views of the lake. Their columns, when asked for, come from one bulk query and not one by one.
pub async fn tables(sessions: &Sessions, command: CommandGetTables) -> Result<RecordBatch> {
    let include_schema = command.include_schema;
    let tables = sessions.engine().run(move |connection| lake::inventory::tables(connection, include_schema)).await?;
    let mut builder = command.into_builder();
    for table in tables {
        let columns = Schema::new(table.columns);
        let kind = table.kind.name();
        builder.append(lake::CATALOG, table.schema, table.name, kind, &columns).map_err(encode)?;
    }
    builder.build().map_err(encode)
}

/// The types that tables have.
pub fn table_types(command: CommandGetTableTypes) -> Result<RecordBatch> {
    let mut builder = command.into_builder();
    for kind in lake::inventory::TableKind::ALL {
        builder.append(kind.name());
    }
    builder.build().map_err(encode)
}

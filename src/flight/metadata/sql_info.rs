//! GetSqlInfo: what the server is and can do. Flat data.

use std::sync::LazyLock;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::sql::{
    CommandGetSqlInfo, SqlInfo, SqlSupportedTransaction,
    metadata::{SqlInfoData, SqlInfoDataBuilder},
};

use crate::{
    engine::DUCKDB_VERSION,
    error::{Error, Result},
};

static INFO: LazyLock<Option<SqlInfoData>> = LazyLock::new(|| build().build().ok());

fn build() -> SqlInfoDataBuilder {
    let mut info = SqlInfoDataBuilder::new();
    info.append(SqlInfo::FlightSqlServerName, env!("CARGO_PKG_NAME"));
    // Clients of the DuckDB family recognise the server by this form.
    info.append(SqlInfo::FlightSqlServerVersion, format!("duckdb {DUCKDB_VERSION}").as_str());
    info.append(SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    info.append(SqlInfo::FlightSqlServerReadOnly, false);
    info.append(SqlInfo::FlightSqlServerSql, true);
    info.append(SqlInfo::FlightSqlServerSubstrait, false);
    info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::Transaction as i32);
    info.append(SqlInfo::FlightSqlServerCancel, false);
    info.append(SqlInfo::SqlDdlCatalog, false);
    info.append(SqlInfo::SqlDdlSchema, true);
    info.append(SqlInfo::SqlDdlTable, true);
    // Names keep the case that they were written in and are compared without it.
    info.append(SqlInfo::SqlIdentifierCase, 3_i32);
    info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    info.append(SqlInfo::SqlQuotedIdentifierCase, 3_i32);
    info.append(SqlInfo::SqlSchemaTerm, "schema");
    info.append(SqlInfo::SqlCatalogTerm, "catalog");
    info.append(SqlInfo::SqlTransactionsSupported, true);
    info
}

fn info() -> Result<&'static SqlInfoData> {
    INFO.as_ref().ok_or_else(|| Error::internal("build SqlInfo"))
}

/// The columns.
pub fn schema() -> Result<SchemaRef> {
    info().map(SqlInfoData::schema)
}

/// The rows that were asked for; all of them when none was named.
pub fn rows(command: CommandGetSqlInfo) -> Result<RecordBatch> {
    let rows = command.into_builder(info()?).build();
    rows.map_err(super::encode)
}

//! Macros, which cannot be brought back: DuckLake does not keep all that CREATE MACRO needs.

use serde::Deserialize;

use super::Scope;
use crate::{
    engine::Connection,
    error::{Error, Result},
    ids::SnapshotId,
    lake::{METADATA, state::visible},
    quote::literal,
};

/// Makes sure that both snapshots have the same macros in the schemas that are meant.
///
/// # Errors
/// `FailedPrecondition` that names those that differ.
pub(super) fn check(connection: &Connection, scope: Scope<'_>, from: SnapshotId, to: SnapshotId) -> Result<()> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
    }
    let in_scope = match scope {
        Scope::Table { .. } => return Ok(()),
        Scope::Schema(schema) => format!("lower(s.schema_name) = lower({})", literal(schema)),
        Scope::Lake => "true".to_owned(),
    };
    let macros = |at: SnapshotId| {
        format!(
            "SELECT s.schema_name || '.' || m.macro_name AS name, i.dialect, i.sql, i.type, \
             (SELECT list([parameter_name, parameter_type, default_value, default_value_type] ORDER BY column_id) \
              FROM {METADATA}.ducklake_macro_parameters p \
              WHERE p.macro_id = i.macro_id AND p.impl_id = i.impl_id) AS parameters \
             FROM {METADATA}.ducklake_macro m JOIN {METADATA}.ducklake_macro_impl i USING (macro_id) \
             JOIN {METADATA}.ducklake_schema s USING (schema_id) WHERE {in_scope} AND {} AND {}",
            visible("m", at),
            visible("s", at)
        )
    };
    let (then, now) = (macros(to), macros(from));
    let sql = format!(
        "SELECT DISTINCT name FROM (({then} EXCEPT ALL {now}) UNION ALL ({now} EXCEPT ALL {then})) ORDER BY name"
    );
    let differing: Vec<Row> = connection.records(&sql, &[])?;
    if differing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = differing.into_iter().map(|row| row.name).collect();
    Err(Error::precondition(format!(
        "these macros differ, and macros cannot be brought back: {}; make them as they were, or drop them, first",
        names.join(", ")
    )))
}

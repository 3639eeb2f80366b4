//! `diff`: compares two snapshots.

use super::{Actions, Events, events, target};
use crate::{
    context::Principal,
    engine::Connection,
    error::Result,
    lake::{
        diff::{Change, Diff, Difference, SchemaChange, TableDifference, diff, rows_query},
        table::TableRef,
    },
    proto::{DiffRequest, DiffResult, diff_result, to_any},
};

/// Starts the job.
pub fn call(actions: &Actions, principal: &Principal, request: DiffRequest) -> Result<Events> {
    let cancel_on_disconnect = request.cancel_on_disconnect;
    let request = validate(request).map_err(|err| err.context("call diff"))?;
    let engine = actions.lake.engine().clone();
    let job = actions.jobs.start("diff", principal, None, move |progress| async move {
        let shown = progress.clone();
        let work = move |connection: &Connection| {
            shown.phase("compare", "tables", None);
            let difference = diff(connection, &request, &mut |done, total| shown.set(done as u64, total as u64))?;
            Ok(to_any("DiffResult", &result(difference)))
        };
        progress.unless_cancelled(engine.run(work)).await
    })?;
    Ok(events::follow(job, cancel_on_disconnect))
}

/// The query for the rows of a table that differ.
pub async fn rows(actions: &Actions, request: DiffRequest) -> Result<String> {
    let request = validate(request).map_err(|err| err.context("read the rows of diff"))?;
    actions.lake.engine().run(move |connection: &Connection| rows_query(connection, &request)).await
}

fn validate(request: DiffRequest) -> Result<Diff> {
    Ok(Diff {
        table: request.table.as_deref().map(TableRef::parse).transpose()?,
        from: target::read("from", request.from)?,
        to: target::read("to", request.to)?,
    })
}

fn result(difference: Difference) -> DiffResult {
    DiffResult {
        from: difference.from.0,
        to: difference.to.0,
        tables: difference.tables.into_iter().map(table).collect(),
    }
}

fn table(found: TableDifference) -> diff_result::Table {
    let change = match found.change {
        Change::Created => "created",
        Change::Dropped => "dropped",
        Change::Replaced => "replaced",
        Change::Changed => "changed",
        Change::Unchanged => "unchanged",
    };
    diff_result::Table {
        table: found.table,
        renamed_from: found.renamed_from,
        change: change.to_owned(),
        rows_inserted: found.rows.inserted,
        rows_deleted: found.rows.deleted,
        rows_updated: found.rows.updated,
        schema_changes: found.schema_changes.into_iter().map(schema_change).collect(),
        sql: found.sql,
    }
}

fn schema_change(found: SchemaChange) -> diff_result::SchemaChange {
    diff_result::SchemaChange { change: found.change.to_owned(), column: found.column, from: found.from, to: found.to }
}

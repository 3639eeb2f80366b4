//! `diff`: compares two snapshots.

use super::{
    action::{self, Action, Call, JobContext, Services},
    events::Events,
};
use crate::{
    engine::Connection,
    error::Result,
    lake::{
        diff::{self, Difference, SchemaChange, TableDifference},
        table::TableRef,
    },
    proto::{DiffRequest, DiffResult, diff_result},
};

/// The action.
#[derive(Debug)]
pub struct Diff(diff::Diff);

// === impl Diff ===

impl Action for Diff {
    const NAME: &'static str = "diff";
    const WRITES: bool = false;
    type Request = DiffRequest;
    type Response = DiffResult;

    fn validate(request: DiffRequest) -> Result<Self> {
        Ok(Self(diff::Diff {
            table: request.table.as_deref().map(TableRef::parse).transpose()?,
            from: action::snapshot("from", request.from)?,
            to: action::snapshot("to", request.to)?,
        }))
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.compare(job))
    }
}

impl Diff {
    async fn compare(self, job: JobContext) -> Result<DiffResult> {
        let shown = job.progress.clone();
        let work = move |connection: &Connection| {
            shown.phase("compare", "tables", None);
            let mut progress = |done, total| shown.set(done as u64, total as u64);
            // In one transaction, so that both snapshots are of one state of the catalog.
            connection.transaction(|connection| diff::diff(connection, &self.0, &mut progress)).map(result)
        };
        job.progress.unless_cancelled(job.services.lake.engine().run(work)).await
    }

    /// The query for the rows of a table that differ.
    pub(super) async fn rows(self, services: &Services) -> Result<String> {
        services.lake.engine().run(move |connection: &Connection| diff::rows_query(connection, &self.0)).await
    }
}

fn result(difference: Difference) -> DiffResult {
    DiffResult {
        from: difference.from.0,
        to: difference.to.0,
        tables: difference.tables.into_iter().map(table).collect(),
    }
}

fn table(found: TableDifference) -> diff_result::Table {
    diff_result::Table {
        table: found.table,
        renamed_from: found.renamed_from,
        change: found.change.into(),
        rows_inserted: found.rows.inserted,
        rows_deleted: found.rows.deleted,
        rows_updated: found.rows.updated,
        schema_changes: found.schema_changes.into_iter().map(schema_change).collect(),
        sql: found.sql,
    }
}

fn schema_change(found: SchemaChange) -> diff_result::SchemaChange {
    diff_result::SchemaChange { change: found.change.into(), column: found.column, from: found.from, to: found.to }
}

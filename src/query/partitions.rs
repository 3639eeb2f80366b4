//! A partitioned scan: a whole table in several partitions, for clients that read several streams at once.
//!
//! `SELECT a, b FROM t` is replaced by statements on the same snapshot, one per partition, whose concatenated rows are
//! those of the statement: a partition is some files of the table or, if it has a single one, some rows of the file.
//! The throughput is then not limited by a single stream of the engine or the network. Only statements that read a
//! whole table are partitioned: with a WHERE clause there may be few rows, and a connection per partition would cost
//! more than it gains.

use std::sync::Arc;

use super::{
    execute,
    shared::Shared,
    statement::{Outcome, Statement},
};
use crate::{
    engine::Connection,
    error::Result,
    ids::SnapshotId,
    lake::{
        CATALOG,
        files::{self, FILE_INDEX, FILE_ROW_NUMBER, Files},
    },
    session::Session,
    sql::{self, ParsedStatement, WholeTable},
};

/// The maximum number of partitions; more streams did not increase the throughput.
const MAX_PARTITIONS: usize = 4;
/// The minimum number of rows of a partition, roughly: below it, one stream finishes before a second one has begun.
const MIN_ROWS: u64 = 1_000_000;
/// The statements of the partitions, which read one snapshot.
struct Plan {
    snapshot: SnapshotId,
    partitions: Vec<ParsedStatement>,
}

/// Executes `statement` as one or several statements, whose concatenated rows are the result.
///
/// # Errors
/// As [`Sessions::execute`].
pub(super) async fn execute(shared: &Shared, session: &Arc<Session>, statement: Statement) -> Result<Vec<Outcome>> {
    if let Some(plan) = plan(shared, session, &statement).await?
        && let Ok(outcomes) = plan.execute(shared, session, &statement).await
    {
        return Ok(outcomes);
    }
    // Errors are reported for the client's own statement, not for a partition.
    Ok(vec![execute::execute(shared, session, statement).await?])
}

/// How to partition the statement; `None` if it cannot or need not be partitioned.
async fn plan(shared: &Shared, session: &Arc<Session>, statement: &Statement) -> Result<Option<Plan>> {
    // In a transaction there may be rows that are in no snapshot, and TEMP objects hide tables.
    let inside = session.transaction(statement.transaction)?.is_some() || session.pinned_worker().is_some();
    if inside || session.is_pinned() || statement.parameters.is_some() {
        return Ok(None);
    }
    let pool = shared.leases.lake().engine().pool_use();
    let most =
        MAX_PARTITIONS.min(shared.leases.lake().engine().threads()).min(pool.limit.saturating_sub(pool.in_use) / 2);
    if most < 2 {
        return Ok(None);
    }
    let [parsed] = statement.parsed.as_ref() else { return Ok(None) };
    let Some(table) = parsed.whole_table() else { return Ok(None) };
    if shared.small_tables.holds(&table.written) {
        return Ok(None);
    }
    let written = table.written.clone();
    let lease = shared.leases.lease_for(session).await?;
    let plan = lease.worker().run(move |connection| Plan::make(connection, &table, most)).await?;
    if plan.is_none() {
        shared.small_tables.add(written);
    }
    Ok(plan)
}

// === impl Plan ===

impl Plan {
    fn make(connection: &Connection, table: &WholeTable, most: usize) -> Result<Option<Self>> {
        let (schema, name) = match table.name.parts() {
            [catalog, schema, name] if catalog.eq_ignore_ascii_case(CATALOG) => (Some(schema.as_str()), name),
            // `lake.t` may be a table of the schema `main`.
            [schema, name] if !schema.eq_ignore_ascii_case(CATALOG) => (Some(schema.as_str()), name),
            [name] => (None, name),
            _ => return Ok(None),
        };
        let Files { snapshot, rows } = files::of(connection, schema, name)?;
        let conditions = conditions(&rows, most);
        if conditions.len() < 2 {
            return Ok(None);
        }
        let partitions =
            conditions.iter().map(|condition| partition(table, snapshot, condition)).collect::<Result<_>>()?;
        Ok(Some(Self { snapshot, partitions }))
    }

    async fn execute(&self, shared: &Shared, session: &Arc<Session>, whole: &Statement) -> Result<Vec<Outcome>> {
        let partitions = self.partitions.iter().map(|partition| whole.with(partition.clone()));
        let outcomes = partitions.map(|partition| execute::execute(shared, session, partition));
        let mut outcomes = futures::future::try_join_all(outcomes).await?;
        for outcome in &mut outcomes {
            outcome.snapshot_id = self.snapshot;
        }
        Ok(outcomes)
    }
}

fn partition(table: &WholeTable, snapshot: SnapshotId, condition: &str) -> Result<ParsedStatement> {
    let WholeTable { columns, written, alias, .. } = table;
    let alias = alias.as_deref().unwrap_or_default();
    sql::parse_one(&format!("SELECT {columns} FROM {written} {alias} AT (VERSION => {snapshot}) WHERE {condition}"))
}

/// Conditions of which each row of a table meets exactly one, in the order of its rows, with about equal numbers of
/// rows: at most `most`, at least one.
fn conditions(rows: &[u64], most: usize) -> Vec<String> {
    let total: u64 = rows.iter().sum();
    let parts = u64::try_from(most).unwrap_or(u64::MAX).min(total / MIN_ROWS).max(1);
    // The number of rows before each cut.
    let goals = (1..parts).map(|part| total / parts * part);
    let (column, mut cuts): (_, Vec<u64>) = match rows {
        [_] => (FILE_ROW_NUMBER, goals.collect()),
        _ => (FILE_INDEX, goals.map(|goal| files_before(rows, goal)).collect()),
    };
    cuts.dedup();
    // The first and the last part are open, so that all rows are included even if a count is wrong.
    let starts = std::iter::once(None).chain(cuts.iter().copied().map(Some));
    let ends = cuts.iter().copied().map(Some).chain(std::iter::once(None));
    starts.zip(ends).map(|(start, end)| condition(column, start, end)).collect()
}

/// The number of files before the file boundary that is nearest to the row `goal`, between the first and the last.
fn files_before(rows: &[u64], goal: u64) -> u64 {
    let boundaries = rows.iter().scan(0, |before, count| {
        *before += count;
        Some(*before)
    });
    let inner = 1..rows.len();
    let nearest = inner.zip(boundaries).min_by_key(|(_, before)| before.abs_diff(goal));
    nearest.map_or(0, |(files, _)| files as u64)
}

fn condition(column: &str, start: Option<u64>, end: Option<u64>) -> String {
    match (start, end) {
        (Some(start), Some(end)) => format!("{column} >= {start} AND {column} < {end}"),
        (Some(start), None) => format!("{column} >= {start}"),
        (None, Some(end)) => format!("{column} < {end}"),
        (None, None) => "true".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_about_equal_and_leave_nothing_out() {
        assert_eq!(conditions(&[], 4), ["true"]);
        assert_eq!(conditions(&[1_999_999], 4), ["true"]);
        assert_eq!(conditions(&[6_000_000], 2), ["file_row_number < 3000000", "file_row_number >= 3000000"]);
        assert_eq!(
            conditions(&[1_000_000; 6], 3),
            ["file_index < 2", "file_index >= 2 AND file_index < 4", "file_index >= 4"]
        );
        // One big file: some of the cuts coincide.
        assert_eq!(conditions(&[1, 1, 9_000_000], 4), ["file_index < 2", "file_index >= 2"]);
    }
}

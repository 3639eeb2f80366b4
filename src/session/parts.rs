//! A whole table in several parts, for clients that read several streams at once.
//!
//! `SELECT a, b FROM t` becomes statements of the same snapshot, one for each part, whose rows one behind the other are
//! those of the statement: a part is some files of the table or, where it has one, some rows of the file. Neither the
//! engine's nor the network's single stream is the limit then. Only statements that read a table from end to end are
//! taken apart: with a WHERE there may be few rows, and a connection for each part would cost more than it gives.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sqlparser::{
    ast::{Expr, Select, SelectItem, SetExpr, Statement as Parsed, TableFactor},
    dialect::DuckDbDialect,
    parser::Parser,
};

use super::{
    Session, Sessions,
    statement::{self, Outcome, Statement},
};
use crate::{
    engine::Connection,
    error::Result,
    ids::SnapshotId,
    lake::{
        CATALOG,
        files::{self, FILE_INDEX, FILE_ROW_NUMBER, Files},
    },
};

/// The most parts; more streams than this gave no more rows a second.
const MAX_PARTS: usize = 4;
/// A part has at least about so many rows: below, one stream is there before a second one has begun.
const MIN_ROWS: u64 = 1_000_000;
/// Longer statements are not looked at: they do more than name a table.
const MAX_SQL_BYTES: usize = 4 << 10;
/// How long a table is taken to be small once it was seen to be …
const SMALL_FOR: Duration = Duration::from_secs(10);
/// … and how many are remembered.
const MAX_SMALL: usize = 1024;

/// Tables that were too small for parts when somebody looked: looking takes as long as reading one of them.
#[derive(Debug, Default)]
pub(super) struct SmallTables(Mutex<HashMap<String, Instant>>);

/// A statement that reads a whole table.
#[derive(Debug, PartialEq, Eq)]
struct WholeTable {
    /// What stands between SELECT and FROM.
    columns: String,
    /// The table, as the statement names it: one to three words.
    name: Vec<String>,
    /// The same with its quotes.
    quoted: String,
    /// The name that the statement gives it, with its quotes.
    alias: Option<String>,
}

/// The statements of the parts, which read one snapshot.
struct Plan {
    snapshot: SnapshotId,
    parts: Vec<Arc<str>>,
}

/// Executes `statement` as one or several, whose rows one behind the other are the result.
///
/// # Errors
/// As [`Sessions::execute`].
pub(super) async fn execute(sessions: &Sessions, session: &Arc<Session>, statement: Statement) -> Result<Vec<Outcome>> {
    if let Some(plan) = plan(sessions, session, &statement).await?
        && let Ok(outcomes) = plan.execute(sessions, session, &statement).await
    {
        return Ok(outcomes);
    }
    // What is wrong with a part is said of the client's own words.
    Ok(vec![statement::execute(sessions, session, statement).await?])
}

/// How to take the statement apart; `None` where it cannot be or need not be.
async fn plan(sessions: &Sessions, session: &Arc<Session>, statement: &Statement) -> Result<Option<Plan>> {
    // In a transaction there may be rows that no snapshot has, and TEMP objects hide tables.
    let inside = session.transaction(statement.transaction)?.is_some() || session.home_worker().is_some();
    if inside || session.is_pinned() || statement.parameters.is_some() {
        return Ok(None);
    }
    let pool = sessions.engine().pool_use();
    let most = MAX_PARTS.min(sessions.engine().threads()).min(pool.limit.saturating_sub(pool.in_use) / 2);
    if most < 2 {
        return Ok(None);
    }
    let Some(table) = WholeTable::find(&statement.sql) else { return Ok(None) };
    if sessions.small_tables.holds(&table.quoted) {
        return Ok(None);
    }
    let quoted = table.quoted.clone();
    let lease = sessions.lease_for(session).await?;
    let plan = lease.worker().run(move |connection| table.plan(connection, most)).await?;
    if plan.is_none() {
        sessions.small_tables.add(quoted);
    }
    Ok(plan)
}

// === impl Plan ===

impl Plan {
    async fn execute(&self, sessions: &Sessions, session: &Arc<Session>, whole: &Statement) -> Result<Vec<Outcome>> {
        let parts = self.parts.iter().map(|sql| Statement { sql: Arc::clone(sql), ..whole.clone() });
        let outcomes = parts.map(|part| statement::execute(sessions, session, part));
        let mut outcomes = futures::future::try_join_all(outcomes).await?;
        for outcome in &mut outcomes {
            outcome.snapshot_id = self.snapshot;
        }
        Ok(outcomes)
    }
}

// === impl SmallTables ===

impl SmallTables {
    fn holds(&self, table: &str) -> bool {
        self.0.lock().get(table).is_some_and(|seen| seen.elapsed() < SMALL_FOR)
    }

    fn add(&self, table: String) {
        let mut all = self.0.lock();
        if all.len() >= MAX_SMALL {
            all.retain(|_, seen| seen.elapsed() < SMALL_FOR);
        }
        if all.len() < MAX_SMALL {
            all.insert(table, Instant::now());
        }
    }
}

// === impl WholeTable ===

impl WholeTable {
    /// Takes a statement apart; `None` for any other form.
    fn find(sql: &str) -> Option<Self> {
        if sql.len() > MAX_SQL_BYTES {
            return None;
        }
        let parsed = Parser::parse_sql(&DuckDbDialect {}, sql).ok()?;
        let [Parsed::Query(query)] = parsed.as_slice() else { return None };
        let SetExpr::Select(select) = query.body.as_ref() else { return None };
        let [from] = select.from.as_slice() else { return None };
        let TableFactor::Table { name, alias, .. } = &from.relation else { return None };
        let words = name.0.iter().map(|part| Some(part.as_ident()?.value.clone())).collect::<Option<Vec<_>>>()?;
        let columns = columns(select)?;
        let whole =
            Self { columns, name: words, quoted: name.to_string(), alias: alias.as_ref().map(|a| a.name.to_string()) };
        // Whatever else the statement says, it says in its text.
        whole.texts().contains(&query.to_string()).then_some(whole)
    }

    /// The ways to write the statement.
    fn texts(&self) -> Vec<String> {
        let Self { columns, quoted, alias, .. } = self;
        match alias {
            Some(alias) => {
                vec![
                    format!("SELECT {columns} FROM {quoted} AS {alias}"),
                    format!("SELECT {columns} FROM {quoted} {alias}"),
                ]
            }
            None => vec![format!("SELECT {columns} FROM {quoted}"), format!("FROM {quoted}")],
        }
    }

    fn plan(&self, connection: &Connection, most: usize) -> Result<Option<Plan>> {
        let (schema, name) = match self.name.as_slice() {
            [catalog, schema, name] if catalog.eq_ignore_ascii_case(CATALOG) => (Some(schema.as_str()), name),
            // `lake.t` may be a table of the schema `main`.
            [schema, name] if !schema.eq_ignore_ascii_case(CATALOG) => (Some(schema.as_str()), name),
            [name] => (None, name),
            _ => return Ok(None),
        };
        let Files { snapshot, rows } = files::of(connection, schema, name)?;
        let parts = conditions(&rows, most);
        let parts = parts.iter().map(|condition| self.part(snapshot, condition)).collect::<Vec<_>>();
        Ok((parts.len() > 1).then_some(Plan { snapshot, parts }))
    }

    fn part(&self, snapshot: SnapshotId, condition: &str) -> Arc<str> {
        let Self { columns, quoted, alias, .. } = self;
        let alias = alias.as_deref().unwrap_or_default();
        format!("SELECT {columns} FROM {quoted} {alias} AT (VERSION => {snapshot}) WHERE {condition}").into()
    }
}

/// The columns, when each is one of the table as it stands.
fn columns(select: &Select) -> Option<String> {
    let is_name = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let is_plain = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => is_name(expr),
        SelectItem::Wildcard(_) => item.to_string() == "*",
        _ => false,
    };
    let columns = select.projection.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    select.projection.iter().all(is_plain).then(|| if columns.is_empty() { "*".into() } else { columns })
}

/// Conditions that each row of a table meets exactly one of, in the order of its rows, and about equally many meet
/// each: at most `most`, at least one.
fn conditions(rows: &[u64], most: usize) -> Vec<String> {
    let total: u64 = rows.iter().sum();
    let parts = u64::try_from(most).unwrap_or(u64::MAX).min(total / MIN_ROWS).max(1);
    // The rows before each cut.
    let goals = (1..parts).map(|part| total / parts * part);
    let (column, mut cuts): (_, Vec<u64>) = match rows {
        [_] => (FILE_ROW_NUMBER, goals.collect()),
        _ => (FILE_INDEX, goals.map(|goal| files_before(rows, goal)).collect()),
    };
    cuts.dedup();
    // The first and the last part are open, so that all rows are there even if a count is wrong.
    let starts = std::iter::once(None).chain(cuts.iter().copied().map(Some));
    let ends = cuts.iter().copied().map(Some).chain(std::iter::once(None));
    starts.zip(ends).map(|(start, end)| condition(column, start, end)).collect()
}

/// How many files lie before the boundary that is nearest to the row `goal`, between the first and the last.
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

    fn found(sql: &str) -> Option<(String, String)> {
        WholeTable::find(sql).map(|table| (table.columns, table.quoted))
    }

    #[test]
    fn whole_tables_are_found() {
        let all = Some(("*".to_owned(), "lake.raw.t".to_owned()));
        assert_eq!(found("SELECT * FROM lake.raw.t"), all);
        assert_eq!(found("-- all of it\nselect  *\nfrom lake.raw.t ;"), all);
        assert_eq!(found("FROM lake.raw.t"), all);
        assert_eq!(found("SELECT a, \"B c\" AS d FROM t"), Some(("a, \"B c\" AS d".to_owned(), "t".to_owned())));
        assert_eq!(found("SELECT x.a FROM t x"), Some(("x.a".to_owned(), "t".to_owned())));
        assert_eq!(found("SELECT x.a FROM t AS x"), Some(("x.a".to_owned(), "t".to_owned())));
    }

    #[test]
    fn nothing_else_is() {
        for sql in [
            "SELECT * FROM t WHERE a > 1",
            "SELECT * FROM t LIMIT 5",
            "SELECT * FROM t ORDER BY a",
            "SELECT * FROM t ORDER BY ALL",
            "SELECT DISTINCT a FROM t",
            "SELECT DISTINCT ON (a) a FROM t",
            "SELECT count(*) FROM t",
            "SELECT a FROM t GROUP BY a",
            "SELECT a + 1 FROM t",
            "SELECT * EXCLUDE (a) FROM t",
            "SELECT t.* FROM t",
            "SELECT * FROM t, u",
            "SELECT * FROM t JOIN u USING (a)",
            "SELECT * FROM t AT (VERSION => 1)",
            "SELECT * FROM t USING SAMPLE 10",
            "SELECT * FROM t TABLESAMPLE reservoir(10)",
            "SELECT * FROM t QUALIFY row_number() OVER () = 1",
            "SELECT * FROM t AS x(a, b)",
            "SELECT * FROM t UNION ALL SELECT * FROM t",
            "WITH t AS (SELECT 1) SELECT * FROM t",
            "SELECT * FROM range(5)",
            "SELECT * FROM (SELECT 1)",
            "SELECT 1",
            "SELECT * FROM t; SELECT * FROM t",
            "SELECT * INTO u FROM t",
            "INSERT INTO t SELECT * FROM t",
            "SELECT * FROM t OFFSET 1",
            "SELECT * FROM t FETCH FIRST 1 ROWS ONLY",
        ] {
            assert_eq!(found(sql), None, "{sql}");
        }
    }

    #[test]
    fn parts_are_about_equal_and_leave_nothing_out() {
        assert_eq!(conditions(&[], 4), ["true"]);
        assert_eq!(conditions(&[1_999_999], 4), ["true"]);
        assert_eq!(conditions(&[6_000_000], 2), ["file_row_number < 3000000", "file_row_number >= 3000000"]);
        assert_eq!(
            conditions(&[1_000_000; 6], 3),
            ["file_index < 2", "file_index >= 2 AND file_index < 4", "file_index >= 4"]
        );
        // One big file: some of the cuts fall together.
        assert_eq!(conditions(&[1, 1, 9_000_000], 4), ["file_index < 2", "file_index >= 2"]);
    }
}

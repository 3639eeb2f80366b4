//! Feeds: how many rows of a client's stream a table holds.
//!
//! A feed is a stream of rows without an end, which a client names, and which may be cut and resumed. Each of its
//! commits notes the position that it reaches, in the snapshot's `commit_extra_info`, so that rows and position are
//! one:
//!
//! ```text
//! {"commit":"…","feeds":[{"feed":"sensor 7","schema":"main","table":"t","position":5000}]}
//! ```
//!
//! The position at a snapshot is the last one noted until then for the table that has the name there. So it follows the
//! table: renaming keeps it, a table that is created again has none, and a rollback notes the positions of the past
//! that it restores. Before snapshots expire, what they note and others need is kept in a table beside the lake.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::state::TableId;
use super::{
    METADATA,
    commit::{Retry, Transaction, Writer},
    head,
    state::visible,
};
use crate::{
    engine::{Connection, Value},
    error::{Error, Result},
    ids::SnapshotId,
};

/// The table of the positions that expired snapshots noted.
const FEEDS: &str = "__ducklake_metadata_lake.merganser_feeds";

/// The fields of a note, as JSON, with their types.
const NOTE: &str = r#"{"feed":"VARCHAR","schema":"VARCHAR","table":"VARCHAR","position":"BIGINT"}"#;

/// A feed of a table.
#[derive(Clone, Debug)]
pub struct Feed {
    name: String,
    id: TableId,
    schema: String,
    table: String,
}

/// How far a feed has got.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The number of its rows that are committed.
    pub rows: i64,
    /// The snapshot that noted it; `None` before the first, and if another program keeps its number from being known.
    pub snapshot_id: Option<SnapshotId>,
    /// The snapshot at which it was read.
    pub at: SnapshotId,
}

/// A position as a snapshot notes it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Note {
    pub feed: String,
    pub schema: String,
    pub table: String,
    pub position: i64,
}

/// The positions of a feed around a snapshot.
#[derive(Debug, Deserialize)]
pub(super) struct Past {
    pub table_id: TableId,
    pub feed: String,
    /// The position at that snapshot; `None` if it had not begun.
    pub position: Option<i64>,
    /// Whether it has moved since.
    pub moved: bool,
}

#[derive(Deserialize)]
struct Named {
    id: TableId,
    schema: String,
    table: String,
}

#[derive(Deserialize)]
struct Last {
    position: Option<i64>,
    snapshot_id: Option<SnapshotId>,
}

// === impl Feed ===

impl Feed {
    /// The feed `name` of a table that exists; the case of the table's name does not matter.
    ///
    /// # Errors
    /// `NotFound` for the table.
    pub fn find(connection: &Connection, schema: &str, table: &str, name: &str) -> Result<Self> {
        let named = find_table(connection, schema, table, head::current(connection)?)?;
        let Named { id, schema, table } = named.ok_or_else(|| no_table(schema, table))?;
        Ok(Self { name: name.to_owned(), id, schema, table })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of its table.
    pub fn table_id(&self) -> TableId {
        self.id
    }

    /// The schema and the name of its table.
    pub fn table(&self) -> (&str, &str) {
        (&self.schema, &self.table)
    }

    /// Its position.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn position(&self, connection: &Connection) -> Result<Position> {
        let at = head::current(connection)?;
        let last = self.last_note(connection, SnapshotId(-1), at)?;
        Ok(Position { rows: last.position.unwrap_or(0), snapshot_id: last.snapshot_id, at })
    }

    /// Begins a commit that moves it on from `position`: it fails if another commit has moved the feed, also one that
    /// is under way.
    ///
    /// # Errors
    /// `NotFound` and `FailedPrecondition` if the table was dropped or replaced; `FailedPrecondition` if the position
    /// is another one.
    pub fn move_on(&self, transaction: &mut Transaction<'_>, position: &Position) -> Result<()> {
        transaction.reads_and_writes(&conflict_name(self.id, &self.name))?;
        let connection = transaction.connection();
        let at = head::current(connection)?;
        let named = find_table(connection, &self.schema, &self.table, at)?;
        if named.ok_or_else(|| no_table(&self.schema, &self.table))?.id != self.id {
            let text = "the table was replaced by another one of its name: open the feed again";
            return Err(Error::precondition(text));
        }
        match self.last_note(connection, position.at, at)?.position {
            Some(rows) if rows != position.rows => Err(Error::precondition(format!(
                "a rollback or another server has moved the feed to position {rows}: open it again from there"
            ))),
            _ => Ok(()),
        }
    }

    /// Signs the commit with which it reaches `rows`.
    pub fn sign(&self, transaction: &mut Transaction<'_>, message: String, rows: i64) {
        let (feed, schema, table) = (self.name.clone(), self.schema.clone(), self.table.clone());
        let note = Note { feed, schema, table, position: rows };
        transaction.sign(message, Some(serde_json::json!({ "feeds": [note] })));
    }

    /// The last note of it after `since`, until `at`.
    fn last_note(&self, connection: &Connection, since: SnapshotId, at: SnapshotId) -> Result<Last> {
        let sql = format!(
            "WITH {}
             SELECT system.main.arg_max(position, snapshot_id) AS position,
                    system.main.max(snapshot_id) AS snapshot_id
             FROM notes WHERE feed = ? AND table_id = {} AND snapshot_id > {since} AND snapshot_id <= {at}",
            notes(&format!("c.snapshot_id > {since} AND c.snapshot_id <= {at}")),
            self.id.0
        );
        connection.record(&sql, &[Value::varchar(&self.name)])
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "feed \"{}\" into {}.{}", self.name, self.schema, self.table)
    }
}

/// The name under which the commits of a feed conflict with each other, and with rollbacks of its table.
pub(super) fn conflict_name(id: TableId, feed: &str) -> String {
    // Others compare only plain names.
    let name = feed.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join("_");
    format!("feed_{}_{name}", id.0)
}

/// The feeds of these tables, with their positions at `then`, as they are known at `now`.
pub(super) fn past(
    connection: &Connection,
    tables: &[TableId],
    then: SnapshotId,
    now: SnapshotId,
) -> Result<Vec<Past>> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let ids = tables.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "WITH {}
         SELECT table_id, feed, system.main.max(snapshot_id) > {then} AS moved,
                system.main.arg_max(position, snapshot_id) FILTER (snapshot_id <= {then}) AS position
         FROM notes WHERE table_id IN ({ids}) AND snapshot_id <= {now} GROUP BY table_id, feed ORDER BY table_id, feed",
        notes(&format!("c.snapshot_id <= {now}"))
    );
    connection.records(&sql, &[])
}

/// Keeps what the snapshots `expiring` note, as far as others need it: the last note of each feed before each snapshot
/// that stays.
///
/// # Errors
/// Errors of DuckDB.
pub(super) fn keep(writer: Writer<'_>, author: &str, expiring: &[SnapshotId]) -> Result<()> {
    let expiring = expiring.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let needed = format!(
        "WITH {}, staying AS (
             SELECT snapshot_id AS next FROM {METADATA}.ducklake_snapshot WHERE snapshot_id NOT IN ({expiring}))
         SELECT table_id, feed, system.main.max(snapshot_id) AS snapshot_id,
                system.main.arg_max(position, snapshot_id) AS position
         FROM notes ASOF JOIN staying ON next > snapshot_id
         WHERE table_id IN (SELECT table_id FROM {METADATA}.ducklake_table)
         GROUP BY table_id, feed, next",
        notes(&format!("c.snapshot_id IN ({expiring})"))
    );
    let script = [
        format!("CREATE TEMP TABLE merganser_kept_feeds AS {needed}"),
        format!("DELETE FROM {FEEDS}"),
        format!("INSERT INTO {FEEDS} FROM temp.main.merganser_kept_feeds"),
        "DROP TABLE temp.main.merganser_kept_feeds".to_owned(),
    ];
    let work = |transaction: &mut Transaction<'_>| {
        script.iter().try_for_each(|sql| transaction.connection().execute(sql, &[]).map(|_| ()))
    };
    writer.write(author, Retry::OnConflict, work).map(|_| ())
}

/// Common table expressions that end with `notes`: those of the snapshots, with alias `c`, for which `condition` holds,
/// and those that are kept of expired ones.
fn notes(condition: &str) -> String {
    let at = "noted.snapshot_id";
    let visible = |alias: &str| {
        format!("{at} >= {alias}.begin_snapshot AND ({alias}.end_snapshot IS NULL OR {at} < {alias}.end_snapshot)")
    };
    format!(
        "noted AS (
             SELECT c.snapshot_id, system.main.unnest(system.main.from_json(
                        system.main.json_extract(c.commit_extra_info, '$.feeds'), '[{NOTE}]')) AS note
             FROM {METADATA}.ducklake_snapshot_changes c
             WHERE {condition} AND c.commit_extra_info LIKE '{{\"commit\":\"%,\"feeds\":[{{%'),
         notes AS (
             SELECT t.table_id, note.feed AS feed, noted.snapshot_id, note.position AS position
             FROM noted
             JOIN {METADATA}.ducklake_schema s ON s.schema_name = note.schema AND {}
             JOIN {METADATA}.ducklake_table t ON t.schema_id = s.schema_id AND t.table_name = note.table AND {}
             UNION ALL
             SELECT table_id, feed, snapshot_id, position FROM {FEEDS})",
        visible("s"),
        visible("t")
    )
}

fn find_table(connection: &Connection, schema: &str, table: &str, at: SnapshotId) -> Result<Option<Named>> {
    let sql = format!(
        "SELECT t.table_id AS id, s.schema_name AS schema, t.table_name AS table
         FROM {METADATA}.ducklake_table t JOIN {METADATA}.ducklake_schema s USING (schema_id)
         WHERE system.main.lower(s.schema_name) = system.main.lower(?)
           AND system.main.lower(t.table_name) = system.main.lower(?) AND {} AND {}",
        visible("s", at),
        visible("t", at)
    );
    let found: Vec<Named> = connection.records(&sql, &[Value::varchar(schema), Value::varchar(table)])?;
    // DuckDB ignores the case of ASCII letters only.
    let is_called = |it: &Named| it.schema.eq_ignore_ascii_case(schema) && it.table.eq_ignore_ascii_case(table);
    Ok(found.into_iter().find(is_called))
}

fn no_table(schema: &str, table: &str) -> Error {
    Error::not_found(format!("table \"{schema}.{table}\" does not exist"))
}

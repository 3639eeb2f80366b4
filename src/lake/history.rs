//! The changes of each snapshot, by name.
//!
//! DuckLake records the changes of a snapshot with the ids of existing objects, and records a rename as a creation. Its
//! other tables contain every name with the snapshots in which it was valid; together they give the complete history.

use serde::Deserialize;

use super::{
    METADATA,
    snapshots::{self, Moment, SnapshotRef},
    table::TableRef,
    tags::TAGS,
};
use crate::{
    engine::{Connection, Value},
    error::{Error, Result},
    ids::SnapshotId,
    quote::literal,
};

/// Which snapshots are listed.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Only those that changed an object that ever had this name.
    pub table: Option<TableRef>,
    /// Only older ones.
    pub before: Option<SnapshotRef>,
    /// Only newer ones.
    pub after: Option<SnapshotRef>,
    /// The maximum number, starting with the newest.
    pub limit: u64,
}

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Its id.
    pub id: SnapshotId,
    /// When it was committed, as DuckDB writes a TIMESTAMPTZ in UTC.
    pub time: String,
    /// Its author.
    pub author: Option<String>,
    /// Its commit message.
    pub message: Option<String>,
    /// The tags on it.
    pub tags: Vec<String>,
    /// Incremented by every snapshot that changes more than rows.
    pub schema_version: i64,
    /// Its changes; created objects first.
    pub changes: Vec<Change>,
}

/// A change made by a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Change {
    /// The kind of change: `table created`, `inserted into`, …
    pub change: String,
    /// The name in the snapshot, or the last one before it.
    pub name: String,
    /// The previous name, if it was renamed.
    pub renamed_from: Option<String>,
}

/// The snapshots that match `filter`, newest first.
///
/// # Errors
/// `NotFound` for a table that never existed, and for an unknown tag; `InvalidArgument` for an invalid timestamp.
pub fn list(connection: &Connection, filter: &Filter) -> Result<Vec<Entry>> {
    let mut conditions = vec!["true".to_owned()];
    if let Some(table) = &filter.table {
        check_known(connection, table)?;
        conditions.push(
            "s.snapshot_id IN (SELECT snapshot_id FROM changes WHERE id IN (\
             SELECT id FROM objects WHERE is_relation AND system.main.lower(name) = system.main.lower($1)))"
                .to_owned(),
        );
    }
    for (bound, sign) in [(&filter.before, "<"), (&filter.after, ">")] {
        conditions.extend(bound.as_ref().map(|bound| compare(connection, sign, bound)).transpose()?);
    }
    let sql = format!(
        "WITH {}, {}
         SELECT s.snapshot_id AS id, s.snapshot_time::VARCHAR AS time, s.author, s.commit_message AS message,
                s.schema_version,
                (SELECT coalesce(system.main.list(t.name ORDER BY t.name), []) FROM {TAGS} t
                 WHERE t.snapshot_id = s.snapshot_id) AS tags,
                (SELECT coalesce(system.main.list({{change: c.change, name: c.name, renamed_from: c.renamed_from}}
                                      ORDER BY c.rank, c.name, c.change), [])
                 FROM changes c WHERE c.snapshot_id = s.snapshot_id) AS changes
         FROM lake.snapshots() s WHERE {} ORDER BY s.snapshot_id DESC LIMIT {}",
        objects(),
        changes(),
        conditions.join(" AND "),
        filter.limit
    );
    let table = filter.table.as_ref().map(|table| Value::varchar(&table.to_string()));
    connection.records(&sql, &table.into_iter().collect::<Vec<_>>())
}

fn check_known(connection: &Connection, table: &TableRef) -> Result<()> {
    #[derive(Deserialize)]
    struct Found {
        known: bool,
    }
    let sql = format!(
        "WITH {} SELECT system.main.count(*) > 0 AS known FROM objects WHERE is_relation AND system.main.lower(name) = system.main.lower($1)",
        objects()
    );
    let found: Found = connection.record(&sql, &[Value::varchar(&table.to_string())])?;
    if found.known {
        Ok(())
    } else {
        Err(Error::not_found(format!("table \"{table}\" does not exist in any snapshot")))
    }
}

/// The condition that a snapshot is on one side of `bound`, which need not exist: lists are read page by page, and
/// snapshots can expire in between.
fn compare(connection: &Connection, sign: &str, bound: &SnapshotRef) -> Result<String> {
    Ok(match snapshots::moment(connection, bound)? {
        Moment::Snapshot(id) => format!("s.snapshot_id {sign} {id}"),
        Moment::Time(time) => format!("s.snapshot_time {sign} {}::TIMESTAMPTZ", literal(&time)),
    })
}

/// All objects that ever had a name, one row per name, with the snapshots in which it was valid. Ids are unique across
/// all kinds.
fn objects() -> String {
    let in_schema = |kind: &str, name: &str| {
        let is_relation = kind != "macro";
        format!(
            "SELECT '{kind}' AS kind, {is_relation} AS is_relation, o.{kind}_id AS id,
                    s.schema_name || '.' || o.{name} AS name, o.begin_snapshot, o.end_snapshot
             FROM {METADATA}.ducklake_{kind} o JOIN {METADATA}.ducklake_schema s USING (schema_id)"
        )
    };
    format!(
        "objects AS ({} UNION ALL {} UNION ALL {} UNION ALL
         SELECT 'schema', false, schema_id, schema_name, begin_snapshot, end_snapshot FROM {METADATA}.ducklake_schema)",
        in_schema("table", "table_name"),
        in_schema("view", "view_name"),
        in_schema("macro", "macro_name")
    )
}

/// The changes of the `objects`: new names, and the changes that DuckLake recorded by id.
fn changes() -> &'static str {
    "named AS (
       SELECT *, system.main.lag(name) OVER (PARTITION BY id ORDER BY begin_snapshot) AS name_before FROM objects),
     noted AS (
       SELECT snapshot_id, entry.key AS key, system.main.unnest(entry.value) AS value
       FROM (SELECT snapshot_id, system.main.unnest(map_entries(changes)) AS entry FROM lake.snapshots())),
     changes AS (
       SELECT begin_snapshot AS snapshot_id, id, 0 AS rank, name, name_before AS renamed_from,
              kind || CASE WHEN name_before IS NULL THEN ' created' ELSE ' renamed' END AS change
       FROM named WHERE name_before IS DISTINCT FROM name
       UNION ALL
       SELECT n.snapshot_id, system.main.any_value(TRY_CAST(n.value AS BIGINT)), 1,
              coalesce(system.main.arg_max(o.name, o.begin_snapshot), 'id ' || n.value), NULL,
              CASE n.key
                WHEN 'tables_inserted_into' THEN 'inserted into'
                WHEN 'tables_deleted_from' THEN 'deleted from'
                WHEN 'merge_adjacent' THEN 'files merged'
                WHEN 'rewrite_delete' THEN 'files rewritten'
                ELSE regexp_replace(system.main.replace(n.key, '_', ' '), '^(scalar |table )?(table|view|macro|schema)s ', '\\2 ')
              END
       FROM noted n LEFT JOIN objects o ON o.id = TRY_CAST(n.value AS BIGINT)
            AND o.begin_snapshot <= n.snapshot_id AND coalesce(o.end_snapshot >= n.snapshot_id, true)
       WHERE n.key NOT LIKE '%\\_created' ESCAPE '\\'
       GROUP BY n.snapshot_id, n.key, n.value)"
}

//! Snapshots: the one that a read sees, the one that a commit created, and the one that a name refers to.

use serde::Deserialize;

pub use super::head::{current, last_committed, newest};
use super::{METADATA, tags};
use crate::{
    engine::{Connection, Value},
    error::{Error, ErrorKind, Result},
    ids::SnapshotId,
};

/// A way to name a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotRef {
    /// By its id.
    Version(SnapshotId),
    /// The newest one at or before this time, in a form that DuckDB reads as TIMESTAMPTZ.
    Timestamp(String),
    /// By a tag.
    Tag(String),
    /// Any of these: an integer is a version; anything else is a tag if it exists, or else a timestamp.
    Text(String),
}

/// The position of a name in the history of the lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// At a snapshot, which may have expired.
    Snapshot(SnapshotId),
    /// At a time, as it was written.
    Time(String),
}

#[derive(Deserialize)]
struct Row {
    id: Option<SnapshotId>,
}

/// The snapshot before `id`.
///
/// # Errors
/// `NotFound` if it is the oldest.
pub fn before(connection: &Connection, id: SnapshotId) -> Result<SnapshotId> {
    let sql =
        format!("SELECT system.main.max(snapshot_id) AS id FROM {METADATA}.ducklake_snapshot WHERE snapshot_id < ?");
    let row: Row = connection.record(&sql, &[Value::bigint(id.0)])?;
    row.id.ok_or_else(|| Error::not_found(format!("a snapshot before {id} does not exist")))
}

/// The position of `name` in the history, for comparisons.
///
/// # Errors
/// `NotFound` for an unknown tag.
pub(super) fn moment(connection: &Connection, name: &SnapshotRef) -> Result<Moment> {
    match name {
        SnapshotRef::Version(id) => Ok(Moment::Snapshot(*id)),
        SnapshotRef::Timestamp(time) => Ok(Moment::Time(time.clone())),
        SnapshotRef::Tag(_) => resolve(connection, name).map(Moment::Snapshot),
        SnapshotRef::Text(text) => {
            let number = text.trim().parse().ok().map(SnapshotId);
            let id = number.map_or_else(|| tags::find(connection, text.trim()), |id| Ok(Some(id)))?;
            Ok(id.map_or_else(|| Moment::Time(text.clone()), Moment::Snapshot))
        }
    }
}

/// The id of the snapshot that `name` refers to.
///
/// # Errors
/// `NotFound` for a version or tag that does not exist, or a time before the first snapshot; `InvalidArgument` for an
/// invalid timestamp or one in the future (for which DuckLake would silently read the newest snapshot).
pub fn resolve(connection: &Connection, name: &SnapshotRef) -> Result<SnapshotId> {
    match name {
        SnapshotRef::Version(id) => by_version(connection, *id),
        SnapshotRef::Timestamp(moment) => by_timestamp(connection, moment),
        SnapshotRef::Tag(tag) => {
            tags::find(connection, tag)?.ok_or_else(|| Error::not_found(format!("tag \"{tag}\" does not exist")))
        }
        SnapshotRef::Text(text) => by_text(connection, text.trim()),
    }
}

fn by_text(connection: &Connection, text: &str) -> Result<SnapshotId> {
    if let Ok(id) = text.parse() {
        return by_version(connection, SnapshotId(id));
    }
    if let Some(id) = tags::find(connection, text)? {
        return Ok(id);
    }
    by_timestamp(connection, text).map_err(|err| match err.kind() {
        ErrorKind::InvalidArgument if !err.message().contains("future") => Error::not_found(format!(
            "snapshot \"{text}\" does not exist: it is no tag, version or timestamp such as 2026-01-31 12:00:00"
        )),
        _ => err,
    })
}

fn by_version(connection: &Connection, id: SnapshotId) -> Result<SnapshotId> {
    // DuckLake's function would read the changes of each.
    let sql =
        format!("SELECT system.main.max(snapshot_id) AS id FROM {METADATA}.ducklake_snapshot WHERE snapshot_id = ?");
    let row: Row = connection.record(&sql, &[Value::bigint(id.0)])?;
    row.id.ok_or_else(|| Error::not_found(format!("snapshot {id} does not exist: it never did, or has expired")))
}

fn by_timestamp(connection: &Connection, moment: &str) -> Result<SnapshotId> {
    #[derive(Deserialize)]
    struct Found {
        future: bool,
        id: Option<SnapshotId>,
    }
    let sql = "SELECT ?::TIMESTAMPTZ > system.main.now() AS future, \
               (SELECT system.main.max(snapshot_id) FROM lake.snapshots() WHERE snapshot_time <= ?::TIMESTAMPTZ) AS id";
    let found: Found = connection.record(sql, &[Value::varchar(moment), Value::varchar(moment)])?;
    if found.future {
        return Err(Error::invalid(format!("the timestamp {moment} is in the future")));
    }
    found.id.ok_or_else(|| Error::not_found(format!("a snapshot at or before {moment} does not exist")))
}

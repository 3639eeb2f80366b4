//! Tags: names for snapshots. They are stored beside DuckLake's tables and create no snapshots.

use serde::{Deserialize, Serialize};

use super::commit::{Retry, Transaction, Writer};
use crate::{
    engine::{Connection, Value},
    error::{Error, ErrorKind, Result},
    ids::SnapshotId,
};

/// The table of the tags.
pub(super) const TAGS: &str = "__ducklake_metadata_lake.merganser_tags";

/// A name for a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The name: letters, digits, `.`, `_`, `-` and `/`, at most 128 characters.
    pub name: String,
    /// The snapshot that it refers to.
    pub snapshot_id: SnapshotId,
    /// The user who set it.
    pub author: String,
    /// The time it was set, as DuckDB writes a TIMESTAMPTZ in UTC.
    pub created: String,
}

/// The snapshot that `name` refers to.
///
/// # Errors
/// Errors of DuckDB.
pub fn find(connection: &Connection, name: &str) -> Result<Option<SnapshotId>> {
    Ok(list(connection)?.into_iter().find(|tag| tag.name == name).map(|tag| tag.snapshot_id))
}

/// All tags, newest snapshot first.
///
/// # Errors
/// Errors of DuckDB.
pub fn list(connection: &Connection) -> Result<Vec<Tag>> {
    let sql = format!("SELECT name, snapshot_id, author, created::VARCHAR AS created FROM {TAGS} ORDER BY 2 DESC, 1");
    connection.records(&sql, &[])
}

/// Sets a tag on the snapshot `id`; with `replace`, moves the tag if it is on another snapshot.
///
/// # Errors
/// `InvalidArgument` for an invalid name; `AlreadyExists` if the tag is on another snapshot and `replace` is not set.
/// Setting a tag to the snapshot that it is on already changes nothing.
pub fn set(writer: Writer<'_>, name: &str, id: SnapshotId, author: &str, replace: bool) -> Result<()> {
    check_name(name)?;
    let params = [Value::varchar(name), Value::bigint(id.0), Value::varchar(author)];
    let sql = match find(writer.connection(), name)? {
        Some(standing) if standing == id => return Ok(()),
        Some(_) if replace => {
            format!("UPDATE {TAGS} SET snapshot_id = $2, author = $3, created = system.main.now() WHERE name = $1")
        }
        Some(standing) => {
            let text = format!("tag \"{name}\" is on snapshot {standing}; set \"replace\" to move it");
            return Err(Error::new(ErrorKind::AlreadyExists, text));
        }
        None => format!("INSERT INTO {TAGS} VALUES ($1, $2, $3, now())"),
    };
    let write = |transaction: &mut Transaction<'_>| transaction.connection().execute(&sql, &params);
    writer.write(author, Retry::OnConflict, write).map(|_| ())
}

/// Removes a tag. The snapshot is kept.
///
/// # Errors
/// `NotFound` if there is no such tag.
pub fn delete(writer: Writer<'_>, name: &str, author: &str) -> Result<SnapshotId> {
    let id =
        find(writer.connection(), name)?.ok_or_else(|| Error::not_found(format!("tag \"{name}\" does not exist")))?;
    let sql = format!("DELETE FROM {TAGS} WHERE name = ?");
    let write = |transaction: &mut Transaction<'_>| transaction.connection().execute(&sql, &[Value::varchar(name)]);
    writer.write(author, Retry::OnConflict, write)?;
    Ok(id)
}

fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        return Err(Error::invalid(format!(
            "\"{name}\" is not a valid tag name: use 1 to 128 letters, digits, dots, slashes, underscores and hyphens"
        )));
    }
    Ok(())
}

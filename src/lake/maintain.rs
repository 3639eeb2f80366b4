//! Keeps the lake fast and small: fewer and larger files, and no files that no snapshot needs.
//!
//! DuckLake has a function for each step. This module adds: one transaction per table, so that a conflict on one does
//! not stop the others; tagged snapshots are kept; and files are removed only after a grace period in which their
//! readers finish. Every snapshot that is kept reads as before. DuckLake only lists the files that it would remove: it
//! does not know about backups, so they are removed elsewhere, one by one.

use std::collections::HashSet;

use serde::Deserialize;

use super::{
    CATALOG, METADATA,
    commit::{Retry, Transaction, Writer},
    feeds,
    table::TableRef,
};
use crate::{
    engine::Connection,
    error::{Context, Error, Result},
    ids::SnapshotId,
    proto::maintain_request::Step,
    quote::literal,
};

/// Files of at least this size are not merged: DuckLake's target size.
const LARGE_FILE_BYTES: u64 = 512_000_000;

/// Files below this size are counted as small.
const SMALL_FILE_BYTES: u64 = 16 << 20;

/// What an error of DuckDB contains if files lack the column that their table is sorted by.
pub(super) const SORT_COLUMN_MISSING: &str = "Failed to bind column reference";

/// The options of maintenance.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// The only table whose files are merged and rewritten; all if absent.
    pub table: Option<TableRef>,
    /// Files are rewritten if at least this share of their rows is deleted.
    pub rewrite_share: f64,
    /// Snapshots older than this many days expire; none if absent.
    pub expire_days: Option<f64>,
    /// The number of newest snapshots that never expire; at least 1.
    pub keep: u64,
    /// Files are removed after this many hours.
    pub grace_hours: f64,
    /// Whether only to report what would be done.
    pub dry_run: bool,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The step.
    pub step: Step,
    /// The table; `None` for steps that concern the whole lake.
    pub table: Option<TableRef>,
    /// Files that were merged, rewritten or removed.
    pub files: u64,
    /// Files that were written in their place.
    pub files_made: u64,
    /// Snapshots that expired.
    pub snapshots: Vec<SnapshotId>,
    /// Files that were kept because a backup references them.
    pub files_kept: u64,
    /// The backup that references them.
    pub kept_for: Option<String>,
}

/// Statistics of the lake that show whether maintenance is needed.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Statistics {
    /// The number of snapshots.
    pub snapshots: u64,
    /// The number of live data files.
    pub files: u64,
    /// The number of live data files below 16 MiB.
    pub small_files: u64,
    /// The number of live delete files.
    pub delete_files: u64,
}

/// A table that a step applies to.
#[derive(Debug, Deserialize)]
struct Candidate {
    schema: String,
    name: String,
    files: u64,
}

#[derive(Deserialize)]
struct Files {
    files: u64,
    made: u64,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
}

#[derive(Deserialize)]
struct Version {
    id: SnapshotId,
}

// === impl Statistics ===

impl Statistics {
    /// Reads the statistics.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn read(connection: &Connection) -> Result<Self> {
        connection.record(
            &format!(
                "SELECT (SELECT system.main.count(*) FROM {METADATA}.ducklake_snapshot) AS snapshots,
                        system.main.count(*) AS files,
                        system.main.count(*) FILTER (file_size_bytes < {SMALL_FILE_BYTES}) AS small_files,
                        (SELECT system.main.count(*) FROM {METADATA}.ducklake_delete_file WHERE end_snapshot IS NULL) AS delete_files
                 FROM {METADATA}.ducklake_data_file WHERE end_snapshot IS NULL"
            ),
            &[],
        )
    }
}

// === impl Done ===

impl Done {
    /// An outcome without changes.
    pub fn nothing(step: Step) -> Self {
        Self { step, table: None, files: 0, files_made: 0, snapshots: Vec::new(), files_kept: 0, kept_for: None }
    }
}

// === impl Maintenance ===

impl Maintenance {
    /// The tables that a step applies to.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn tables(&self, connection: &Connection, step: Step) -> Result<Vec<(TableRef, u64)>> {
        let condition = match step {
            Step::Merge => {
                format!("f.file_size_bytes < {LARGE_FILE_BYTES} GROUP BY ALL HAVING system.main.count(*) > 1")
            }
            Step::Rewrite => format!(
                "(SELECT system.main.sum(d.delete_count) FROM {METADATA}.ducklake_delete_file d
                  WHERE d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL) >= f.record_count * {}
                 GROUP BY ALL",
                self.rewrite_share
            ),
            Step::Expire | Step::Cleanup | Step::Orphans => return Ok(Vec::new()),
        };
        let sql = format!(
            "SELECT s.schema_name AS schema, t.table_name AS name, system.main.count(*) AS files
             FROM {METADATA}.ducklake_data_file f
             JOIN {METADATA}.ducklake_table t USING (table_id)
             JOIN {METADATA}.ducklake_schema s USING (schema_id)
             WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL AND {condition}"
        );
        let found: Vec<Candidate> = connection.records(&format!("FROM ({sql}) ORDER BY ALL"), &[])?;
        let found = found.into_iter().map(|found| (TableRef { schema: found.schema, name: found.name }, found.files));
        Ok(found.filter(|(table, _)| self.table.as_ref().is_none_or(|only| only == table)).collect())
    }

    /// Runs a step on one table, to which `files` files are subject.
    ///
    /// # Errors
    /// Conflict if other transactions keep writing to the table; Unsupported for a table that is sorted by a column that
    /// its older files do not have; errors of DuckDB.
    pub fn compact(&self, writer: Writer<'_>, author: &str, step: Step, table: &TableRef, files: u64) -> Result<Done> {
        let done = |files, files_made| Done { table: Some(table.clone()), files, files_made, ..Done::nothing(step) };
        if self.dry_run {
            return Ok(done(files, 0));
        }
        let doing = || format!("{} the files of {table}", step.as_str_name());
        let files =
            self.compact_files(writer, author, step, table).map_err(|err| explain(err, table)).context(doing)?;
        Ok(done(files.files, files.made))
    }

    fn compact_files(&self, writer: Writer<'_>, author: &str, step: Step, table: &TableRef) -> Result<Files> {
        let (function, more) = match step {
            Step::Rewrite => ("ducklake_rewrite_data_files", format!(", delete_threshold => {}", self.rewrite_share)),
            _ => ("ducklake_merge_adjacent_files", String::new()),
        };
        let (schema, name) = (literal(&table.schema), literal(&table.name));
        let sql = format!(
            "SELECT coalesce(system.main.sum(files_processed), 0)::UBIGINT AS files, coalesce(system.main.sum(files_created), 0)::UBIGINT AS made
             FROM {function}({}, {name}, schema => {schema}{more})",
            literal(CATALOG)
        );
        let work = |transaction: &mut Transaction<'_>| {
            transaction.sign(format!("maintain: {}", step.as_str_name()), None);
            transaction.connection().record(&sql, &[])
        };
        writer.write(author, Retry::OnConflict, work).map(|written| written.value)
    }

    /// Expires old snapshots.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn expire(&self, writer: Writer<'_>, author: &str) -> Result<Done> {
        let snapshots = self.expire_old(writer, author).context(|| "expire snapshots")?;
        Ok(Done { snapshots, ..Done::nothing(Step::Expire) })
    }

    fn expire_old(&self, writer: Writer<'_>, author: &str) -> Result<Vec<SnapshotId>> {
        let Some(days) = self.expire_days else { return Ok(Vec::new()) };
        let old = writer.connection().transaction(|connection| self.old(connection, days))?;
        if self.dry_run || old.is_empty() {
            return Ok(old);
        }
        feeds::keep(writer, author, &old)?;
        let work = |transaction: &mut Transaction<'_>| {
            let connection = transaction.connection();
            // Tagged meanwhile, or old since: neither expires now.
            let still_old: HashSet<_> = self.old(connection, days)?.into_iter().collect();
            let versions: Vec<_> = old.iter().copied().filter(|version| still_old.contains(version)).collect();
            if !versions.is_empty() {
                transaction.expires();
                let list = versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let call = format!("ducklake_expire_snapshots({}, versions => [{list}])", literal(CATALOG));
                connection.query(&format!("SELECT system.main.count(*) FROM {call}"), &[])?;
            }
            Ok(versions)
        };
        writer.write(author, Retry::OnConflict, work).map(|written| written.value)
    }

    /// The snapshots that are older than `days`, and are not kept.
    fn old(&self, connection: &Connection, days: f64) -> Result<Vec<SnapshotId>> {
        let sql = format!(
            "SELECT snapshot_id AS id FROM lake.snapshots()
             WHERE snapshot_time < system.main.now() - system.main.to_seconds({days} * 86400)
               AND snapshot_id NOT IN (SELECT snapshot_id FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT {})
               AND snapshot_id NOT IN (SELECT snapshot_id FROM {})
             ORDER BY id",
            self.keep.max(1),
            super::tags::TAGS,
        );
        let versions: Vec<Version> = connection.records(&sql, &[])?;
        Ok(versions.into_iter().map(|version| version.id).collect())
    }

    /// The files that cleanup or orphans would remove, as paths relative to `data_path`; files outside of it are kept.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn unneeded(&self, connection: &Connection, step: Step, data_path: &str) -> Result<Vec<String>> {
        let function = match step {
            Step::Orphans => "ducklake_delete_orphaned_files",
            _ => "ducklake_cleanup_old_files",
        };
        let sql = format!(
            "SELECT path FROM {function}({}, older_than => system.main.now() - system.main.to_seconds({} * 3600), dry_run => true)",
            literal(CATALOG),
            self.grace_hours,
        );
        let listed: Vec<Listed> = connection.transaction(|connection| connection.records(&sql, &[]))?;
        let below = |listed: Listed| listed.path.strip_prefix(data_path).map(ToOwned::to_owned);
        Ok(listed.into_iter().filter_map(below).collect())
    }
}

/// The error of DuckLake (d8a1881e) for files without the column that their table is sorted by, with the remedy.
fn explain(err: Error, table: &TableRef) -> Error {
    if !err.message().contains(SORT_COLUMN_MISSING) {
        return err;
    }
    Error::unsupported(format!(
        "the table is sorted by a column that its older files do not have, which DuckLake cannot rewrite: run ALTER TABLE \
         {table} RESET SORTED BY, repeat maintain, and set the sort order again"
    ))
    .with_source(err)
}

/// Records that the files at `paths`, which no snapshot needed, are removed.
///
/// # Errors
/// Errors of DuckDB.
pub fn forget(writer: Writer<'_>, author: &str, paths: &[String]) -> Result<()> {
    let paths = paths.iter().map(|path| literal(path)).collect::<Vec<_>>().join(", ");
    let sql = format!("DELETE FROM {METADATA}.ducklake_files_scheduled_for_deletion WHERE path IN ({paths})");
    let work = |transaction: &mut Transaction<'_>| transaction.connection().execute(&sql, &[]);
    writer.write(author, Retry::OnConflict, work).map(|_| ())
}

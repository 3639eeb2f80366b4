//! Copies of the catalog as a DuckDB file, whichever database holds the original: for backups, pins and migration.
//!
//! The file is created by DuckLake itself, so that any DuckDB can attach it. Its rows are read in one transaction and
//! compared with the original before it commits, so that a copy is always consistent.
//!
//! ```text
//! catalog (DuckDB file | SQLite | PostgreSQL) ─ export ─▶ file ─ import ─▶ catalog (any of them)
//! ```

use std::{
    collections::BTreeMap,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{METADATA, attach::NO_DATA, bookkeeping, commit::Committer};
use crate::{
    engine::{Connection, Value},
    error::{Context, Error, Result},
    ids::SnapshotId,
    quote::{identifier, literal},
};

/// The table in which DuckLake lists the tables with inlined data.
const INLINED: &str = "ducklake_inlined_data_tables";

/// What DuckDB says when a file is attached that was detached, and that a statement elsewhere still holds.
const STILL_HELD: &str = "Unique file handle conflict";

/// How long to wait until no statement holds a detached file.
const RELEASE: Duration = Duration::from_secs(30);

/// How long to wait before attaching again.
const ATTACH_AGAIN: Duration = Duration::from_millis(5);

/// The contents of a catalog. Two catalogs are the same if their contents are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The id of the lake, which never changes, wherever its catalog is.
    pub lake: String,
    /// The newest snapshot.
    pub snapshot_id: SnapshotId,
    /// The number of snapshots.
    pub snapshots: u64,
    /// The location of the lake's files.
    pub data_path: String,
    /// The tables of DuckLake and of the server, by name.
    pub tables: BTreeMap<String, Digest>,
}

/// A checksum of the rows of a catalog table, independent of their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The number of rows.
    pub rows: u64,
    /// The sum of the hashes of all rows.
    pub sum: String,
}

/// A file that a catalog references.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DataFile {
    /// The path relative to the lake's data path.
    pub path: String,
    /// The size.
    pub bytes: u64,
    /// Whether the newest snapshot references it, and not only older ones.
    pub current: bool,
}

/// A table and its columns, with their types in a DuckDB file.
#[derive(Debug, Deserialize)]
struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
    data_type: String,
}

/// A file that is attached under a unique name.
struct Attached<'a> {
    connection: &'a Connection,
    name: String,
}

/// Copies the catalog of the attached lake to `file`, which must not exist. The catalog must be one that keeps a
/// transaction's reads to one state, or one that nobody writes to.
///
/// # Errors
/// `FailedPrecondition` if the catalog was never served, or contains inlined data; errors of DuckDB. An incomplete file may
/// remain.
pub fn copy(connection: &Connection, file: &Path) -> Result<()> {
    copy_and(connection, file, || Ok(()), |_, _| Ok(()))
}

/// Copies the catalog like [`copy`], verifies the copy row by row, and returns its contents. Where the catalog takes one
/// writer at a time, `committer` keeps others from writing meanwhile: SQLite's scanner shows their commits in the middle of
/// a transaction.
///
/// # Errors
/// As [`copy`]; Internal if they differ; `ResourceExhausted` when others kept the writer lock for half a minute.
pub fn export(connection: &Connection, committer: &Committer, file: &Path) -> Result<Contents> {
    let lock = || committer.writer_permit(connection);
    copy_and(connection, file, lock, |copy, tables| compare(connection, METADATA, copy, tables))
}

/// Copies the catalog while it holds what `lock` gives; calls `finish` with the name and the tables of the copy before it
/// commits.
fn copy_and<L, T>(
    connection: &Connection,
    file: &Path,
    lock: impl FnOnce() -> Result<L>,
    finish: impl FnOnce(&str, &[Table]) -> Result<T>,
) -> Result<T> {
    let work = || {
        check_exportable(connection)?;
        create_empty(connection, file)?;
        let copy = Attached::file(connection, file, "")?;
        let made = copy.tables().and_then(|tables| {
            let _held = lock()?;
            connection.transaction(|connection| {
                replicate(connection, METADATA, &copy.name, &tables)?;
                finish(&copy.name, &tables)
            })
        });
        copy.detach(made)
    };
    work().context(|| "copy the catalog")
}

/// Replaces the catalog of the attached lake by the one in `file`, in one transaction, and sets its data path to
/// `data_path`. The engine has cached the previous state and must be closed. Returns the newest snapshot.
///
/// # Errors
/// Errors of DuckDB; nothing has changed then.
pub fn import(connection: &Connection, file: &Path, data_path: &str) -> Result<SnapshotId> {
    let work = || {
        let copy = Attached::file(connection, file, "READ_ONLY")?;
        let made = connection.transaction(|connection| {
            let tables = copy.tables()?;
            replicate(connection, &copy.name, METADATA, &tables)?;
            let contents = compare(connection, &copy.name, METADATA, &tables)?;
            let moved =
                format!("UPDATE {METADATA}.ducklake_metadata SET value = ? WHERE key = 'data_path' AND value <> ?");
            connection.execute(&moved, &[Value::varchar(data_path), Value::varchar(data_path)])?;
            Ok(contents.snapshot_id)
        });
        copy.detach(made)
    };
    work().context(|| "import the catalog")
}

/// Opens `file` both as a DuckDB database and as a DuckLake, and returns its contents and the files that it references.
///
/// # Errors
/// `FailedPrecondition` if it is not the catalog of a lake; errors of DuckDB.
pub fn examine(connection: &Connection, file: &Path) -> Result<(Contents, Vec<DataFile>)> {
    let work = || {
        let copy = Attached::file(connection, file, "READ_ONLY")?;
        let read = copy.tables().and_then(|tables| {
            let contents = Contents::read(connection, &copy.name, &tables)?;
            Ok((contents, data_files(connection, &copy.name)?))
        });
        let (contents, files) = copy.detach(read)?;
        let lake = Attached::lake(connection, file)?;
        let seen = lake.snapshots();
        let seen = lake.detach(seen)?;
        if seen != (contents.snapshot_id, contents.snapshots) {
            let (id, count) = seen;
            let expected = contents.snapshot_id;
            return Err(Error::precondition(format!(
                "opened with snapshot {id} of {count}, expected snapshot {expected} of {}",
                contents.snapshots
            )));
        }
        Ok((contents, files))
    };
    work().context(|| "open the copy of a catalog")
}

/// The files that the catalog in `file` references.
///
/// # Errors
/// Errors of DuckDB.
pub fn referenced_files(connection: &Connection, file: &Path) -> Result<Vec<DataFile>> {
    let copy = Attached::file(connection, file, "READ_ONLY")?;
    let files = data_files(connection, &copy.name);
    copy.detach(files)
}

/// The id of the attached lake.
///
/// # Errors
/// Errors of DuckDB.
pub fn lake_id(connection: &Connection) -> Result<String> {
    Contents::read(connection, METADATA, &[]).map(|contents| contents.lake)
}

/// Rejects a catalog with content that a copy would lose.
fn check_exportable(connection: &Connection) -> Result<()> {
    #[derive(Deserialize)]
    struct Inlined {
        name: String,
    }
    #[derive(Deserialize)]
    struct Count {
        rows: u64,
    }
    let inlined: Vec<Inlined> =
        connection.records(&format!("SELECT DISTINCT table_name AS name FROM {METADATA}.{INLINED}"), &[])?;
    for table in inlined {
        let sql = format!("SELECT system.main.count(*) AS rows FROM {METADATA}.{}", identifier(&table.name));
        if connection.record::<Count>(&sql, &[])?.rows > 0 {
            return Err(Error::precondition(
                "the catalog contains inlined data: write it to files first, with CALL \
                 ducklake_flush_inlined_data('lake')",
            ));
        }
    }
    let tags = connection.query(&format!("FROM {METADATA}.merganser_tags LIMIT 0"), &[]);
    tags.map(|_| ()).map_err(|err| {
        Error::precondition("the lake was never served by merganser: serve it once before copying its catalog")
            .with_source(err)
    })
}

/// Has DuckLake create a catalog in `file`, and adds the server's bookkeeping tables.
fn create_empty(connection: &Connection, file: &Path) -> Result<()> {
    let name = unique_name();
    let location = literal(&format!("ducklake:{}", file.display()));
    // The data path is arbitrary: it is overwritten like all other rows.
    connection.run_script(&format!("ATTACH {location} AS {name} (DATA_PATH 'data/', DATA_INLINING_ROW_LIMIT 0)"))?;
    connection.run_script(&format!("DETACH {name}"))?;
    let copy = Attached::file(connection, file, "")?;
    let made = connection.run_script(&bookkeeping::script(&copy.name));
    copy.detach(made)
}

/// Replaces the rows of the catalog `to` by those of `from`, in the open transaction.
fn replicate(connection: &Connection, from: &str, to: &str, tables: &[Table]) -> Result<()> {
    for table in tables {
        let (name, columns) = (identifier(&table.name), table.column_names());
        connection.execute(&format!("DELETE FROM {to}.{name}"), &[])?;
        // Its rows refer to tables that are empty and not copied.
        if table.name != INLINED {
            let rows = format!("SELECT {columns} FROM {from}.{name}");
            connection.execute(&format!("INSERT INTO {to}.{name} ({columns}) {rows}"), &[])?;
        }
    }
    Ok(())
}

/// Verifies that two catalogs have the same contents, and returns them.
fn compare(connection: &Connection, original: &str, copy: &str, tables: &[Table]) -> Result<Contents> {
    let (original, copy) = (Contents::read(connection, original, tables)?, Contents::read(connection, copy, tables)?);
    if original == copy {
        return Ok(copy);
    }
    let differs = original.tables.iter().find(|(name, digest)| copy.tables.get(*name) != Some(digest));
    let name = differs.map(|(name, _)| name.as_str()).unwrap_or_default();
    Err(Error::internal(format!("the copy differs from the original in {name}")))
}

/// The files that the catalog `database` references, by paths relative to the data path. Files with absolute paths are
/// omitted.
fn data_files(connection: &Connection, database: &str) -> Result<Vec<DataFile>> {
    let of = |table: &str| {
        format!("SELECT table_id, path, file_size_bytes, end_snapshot FROM {database}.{table} WHERE path_is_relative")
    };
    let sql = format!(
        "WITH folders AS (
           SELECT t.table_id, system.main.any_value(s.path || t.path) AS path
           FROM {database}.ducklake_table t
           JOIN (SELECT DISTINCT schema_id, path, path_is_relative FROM {database}.ducklake_schema) s USING (schema_id)
           WHERE t.path_is_relative AND s.path_is_relative GROUP BY t.table_id)
         SELECT folders.path || f.path AS path, system.main.max(f.file_size_bytes) AS bytes, system.main.bool_or(f.end_snapshot IS NULL) AS current
         FROM ({} UNION ALL {}) f JOIN folders USING (table_id) GROUP BY 1 ORDER BY 1",
        of("ducklake_data_file"),
        of("ducklake_delete_file")
    );
    connection.records(&sql, &[])
}

/// A unique name for a database.
fn unique_name() -> String {
    identifier(&format!("copy-{}", Uuid::new_v4()))
}

// === impl Contents ===

impl Contents {
    /// The contents of the `tables` of the catalog `database`.
    fn read(connection: &Connection, database: &str, tables: &[Table]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Lake {
            lake: Option<String>,
            data_path: Option<String>,
            snapshot_id: Option<SnapshotId>,
            snapshots: u64,
        }
        let sql = format!(
            "SELECT (SELECT system.main.arg_min(schema_uuid, begin_snapshot)::VARCHAR FROM {database}.ducklake_schema WHERE schema_id = 0) AS lake,
                    (SELECT system.main.any_value(value) FROM {database}.ducklake_metadata WHERE key = 'data_path') AS data_path,
                    system.main.max(snapshot_id) AS snapshot_id, system.main.count(*) AS snapshots
             FROM {database}.ducklake_snapshot"
        );
        let found: Lake = connection.record(&sql, &[])?;
        let (Some(lake), Some(data_path), Some(snapshot_id)) = (found.lake, found.data_path, found.snapshot_id) else {
            return Err(Error::precondition("the database contains no lake"));
        };
        let digests = tables
            .iter()
            .filter(|table| table.name != INLINED)
            .map(|table| Ok((table.name.clone(), table.digest(connection, database)?)));
        let tables = digests.collect::<Result<_>>()?;
        Ok(Self { lake, snapshot_id, snapshots: found.snapshots, data_path, tables })
    }
}

// === impl Table ===

impl Table {
    fn column_names(&self) -> String {
        self.columns.iter().map(|column| identifier(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// The digest of the table in the catalog `database`. Values are cast to the types of a DuckDB file first, because
    /// databases store them in different types.
    fn digest(&self, connection: &Connection, database: &str) -> Result<Digest> {
        let value = |column: &Column| format!("CAST({} AS {})", identifier(&column.name), column.data_type);
        let row = self.columns.iter().map(value).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT system.main.count(*) AS rows, coalesce(system.main.sum(md5_number_lower(row({row})::VARCHAR)::HUGEINT), 0)::VARCHAR AS sum
             FROM {database}.{}",
            identifier(&self.name)
        );
        connection.record(&sql, &[])
    }
}

// === impl Attached ===

impl<'a> Attached<'a> {
    /// Attaches `file` as a plain database.
    fn file(connection: &'a Connection, file: &Path, options: &str) -> Result<Self> {
        let options = if options.is_empty() { String::new() } else { format!(" ({options})") };
        Self::attach(connection, &file.display().to_string(), &options)
    }

    /// Attaches `file` as a lake, read-only.
    fn lake(connection: &'a Connection, file: &Path) -> Result<Self> {
        Self::attach(connection, &format!("ducklake:{}", file.display()), &format!(" (DATA_PATH {NO_DATA}, READ_ONLY)"))
    }

    fn attach(connection: &'a Connection, location: &str, options: &str) -> Result<Self> {
        let name = unique_name();
        let attach = format!("ATTACH {} AS {name}{options}", literal(location));
        let deadline = Instant::now() + RELEASE;
        loop {
            match connection.run_script(&attach) {
                // A client's statement that lists all databases holds them until it ends.
                Err(err) if err.original().contains(STILL_HELD) && Instant::now() < deadline => {
                    connection.check_interrupted()?;
                    thread::sleep(ATTACH_AGAIN);
                }
                attached => return attached.map(|()| Self { connection, name }),
            }
        }
    }

    /// Its catalog tables, ordered by name.
    fn tables(&self) -> Result<Vec<Table>> {
        let name = literal(self.name.trim_matches('"'));
        let sql = format!(
            "SELECT table_name AS name,
                    list({{name: column_name, data_type: data_type}} ORDER BY column_index) AS columns
             FROM duckdb_columns() WHERE database_name = {name}
               AND (table_name LIKE 'ducklake\\_%' ESCAPE '\\' OR table_name LIKE 'merganser\\_%' ESCAPE '\\')
             GROUP BY ALL ORDER BY ALL"
        );
        self.connection.records(&sql, &[])
    }

    /// The newest snapshot and the number of snapshots, as seen by DuckLake.
    fn snapshots(&self) -> Result<(SnapshotId, u64)> {
        #[derive(Deserialize)]
        struct Snapshots {
            id: SnapshotId,
            snapshots: u64,
        }
        let name = &self.name;
        let sql = format!(
            "SELECT (SELECT id FROM {name}.current_snapshot()) AS id, (SELECT system.main.count(*) FROM {name}.snapshots()) AS snapshots"
        );
        let snapshots: Snapshots = self.connection.record(&sql, &[])?;
        Ok((snapshots.id, snapshots.snapshots))
    }

    /// Detaches it and returns `outcome`.
    fn detach<T>(self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            // After an interrupt, the file must still be detached.
            self.connection.resume();
        }
        let detached = self.connection.run_script(&format!("DETACH {}", self.name));
        outcome.and_then(|value| detached.map(|()| value))
    }
}

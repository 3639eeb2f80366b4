//! A catalog as a file of its own, whatever holds the original: what is backed up, pinned and moved.
//!
//! The file is a DuckDB database that DuckLake itself made, so that any DuckDB can attach it. Its rows are read in one
//! transaction and compared with the original's before it commits: a copy is the catalog of one moment, or an error.
//!
//! ```text
//! catalog (DuckDB file | SQLite | PostgreSQL) ─ export ─▶ file ─ import ─▶ catalog (any of them)
//! ```

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{METADATA, attach::NO_DATA};
use crate::{
    engine::{Connection, Value},
    error::{Context, Error, Result},
    ids::SnapshotId,
    quote::{identifier, literal},
};

const BOOKKEEPING: &str = include_str!("../../sql/03_bookkeeping.sql");

/// DuckLake notes here which tables keep rows inside of the catalog.
const INLINED: &str = "ducklake_inlined_data_tables";

/// What a catalog holds. Two are the same catalog when this is equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The lake's id: it stays the same for as long as the lake lives, wherever its catalog goes.
    pub lake: String,
    /// The newest snapshot.
    pub snapshot_id: SnapshotId,
    /// How many snapshots there are.
    pub snapshots: u64,
    /// Where the lake's files lie.
    pub data_path: String,
    /// The tables of DuckLake and of the server, by name.
    pub tables: BTreeMap<String, Digest>,
}

/// What a table of a catalog holds, whatever the order of its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// The sum of a hash of each.
    pub sum: String,
}

/// A file that a catalog names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DataFile {
    /// Its place below the lake's data path.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Whether the newest snapshot needs it, and not only older ones.
    pub current: bool,
}

/// A table with its columns, each with the type that it has in a file.
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

/// A file that is attached under a name of its own, beside whatever else is attached.
struct Attached<'a> {
    connection: &'a Connection,
    name: String,
}

/// The SQL that makes the server's bookkeeping in the catalog `database`, where it is not there.
pub(super) fn bookkeeping(database: &str) -> String {
    BOOKKEEPING.replace("{{metadata}}", database)
}

/// Copies the catalog of the attached lake to `file`, which must not exist. Writers go on, but those of a catalog that
/// takes one at a time, which wait.
///
/// # Errors
/// `FailedPrecondition` when the catalog was never served, or keeps rows of tables inside; what DuckDB says. An
/// unfinished file may stay behind.
pub fn copy(connection: &Connection, file: &Path) -> Result<()> {
    copy_and(connection, file, |_, _| Ok(()))
}

/// Copies the catalog like [`copy`], compares the two row by row, and says what they hold.
///
/// # Errors
/// As [`copy`]; Internal when they differ.
pub fn export(connection: &Connection, file: &Path) -> Result<Contents> {
    copy_and(connection, file, |copy, tables| compare(connection, METADATA, copy, tables))
}

/// Copies the catalog; `finish` gets the name and the tables of the copy before it is committed.
fn copy_and<T>(connection: &Connection, file: &Path, finish: impl FnOnce(&str, &[Table]) -> Result<T>) -> Result<T> {
    let work = || {
        check_exportable(connection)?;
        make_empty(connection, file)?;
        let copy = Attached::file(connection, file, "")?;
        let made = copy.tables().and_then(|tables| {
            connection.transaction(|connection| {
                replicate(connection, METADATA, &copy.name, &tables)?;
                finish(&copy.name, &tables)
            })
        });
        copy.detach(made)
    };
    work().context(|| "copy the catalog")
}

/// Puts the catalog in `file` in the place of the attached lake's, in one transaction; the lake's files lie at
/// `data_path` from then on. The engine remembers what was there before and must be closed. Gives the newest snapshot.
///
/// # Errors
/// What DuckDB says; nothing has changed then.
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
    work().context(|| "fill the catalog")
}

/// Opens `file` as DuckDB and as DuckLake do, and says what it holds and which files it names.
///
/// # Errors
/// `FailedPrecondition` when it is not the catalog of a lake; what DuckDB says.
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
                "it opens with snapshot {id} of {count}, but must have snapshot {expected} of {}",
                contents.snapshots
            )));
        }
        Ok((contents, files))
    };
    work().context(|| "open the copy of a catalog")
}

/// The files that the catalog in `file` names.
///
/// # Errors
/// What DuckDB says.
pub fn named_files(connection: &Connection, file: &Path) -> Result<Vec<DataFile>> {
    let copy = Attached::file(connection, file, "READ_ONLY")?;
    let files = data_files(connection, &copy.name);
    copy.detach(files)
}

/// The id of the lake that is attached.
///
/// # Errors
/// What DuckDB says.
pub fn lake_id(connection: &Connection) -> Result<String> {
    Contents::read(connection, METADATA, &[]).map(|contents| contents.lake)
}

/// Refuses what would be lost on the way.
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
        let sql = format!("SELECT count(*) AS rows FROM {METADATA}.{}", identifier(&table.name));
        if connection.record::<Count>(&sql, &[])?.rows > 0 {
            return Err(Error::precondition(
                "rows of tables lie inside of the catalog: write them to files first, with CALL \
                 ducklake_flush_inlined_data('lake')",
            ));
        }
    }
    let tags = connection.query(&format!("FROM {METADATA}.merganser_tags LIMIT 0"), &[]);
    tags.map(|_| ()).map_err(|err| {
        Error::precondition("no merganser has served this lake yet: serve it once, then it can be copied")
            .with_source(err)
    })
}

/// Lets DuckLake make a catalog in `file`, with the server's bookkeeping.
fn make_empty(connection: &Connection, file: &Path) -> Result<()> {
    let name = unique_name();
    let location = literal(&format!("ducklake:{}", file.display()));
    // Which path it is does not matter: like all else, it is replaced by that of the original.
    connection.run_script(&format!("ATTACH {location} AS {name} (DATA_PATH 'data/', DATA_INLINING_ROW_LIMIT 0)"))?;
    connection.run_script(&format!("DETACH {name}"))?;
    let copy = Attached::file(connection, file, "")?;
    let made = connection.run_script(&bookkeeping(&copy.name));
    copy.detach(made)
}

/// Makes the tables of the catalog `to` those of `from`, in the open transaction.
fn replicate(connection: &Connection, from: &str, to: &str, tables: &[Table]) -> Result<()> {
    for table in tables {
        let (name, columns) = (identifier(&table.name), table.column_names());
        connection.execute(&format!("DELETE FROM {to}.{name}"), &[])?;
        // They name tables without rows, which are not copied.
        if table.name != INLINED {
            let rows = format!("SELECT {columns} FROM {from}.{name}");
            connection.execute(&format!("INSERT INTO {to}.{name} ({columns}) {rows}"), &[])?;
        }
    }
    Ok(())
}

/// What two catalogs hold that must be the same.
fn compare(connection: &Connection, original: &str, copy: &str, tables: &[Table]) -> Result<Contents> {
    let (original, copy) = (Contents::read(connection, original, tables)?, Contents::read(connection, copy, tables)?);
    if original == copy {
        return Ok(copy);
    }
    let differs = original.tables.iter().find(|(name, digest)| copy.tables.get(*name) != Some(digest));
    let name = differs.map(|(name, _)| name.as_str()).unwrap_or_default();
    Err(Error::internal(format!("the copy differs from the original in {name}")))
}

/// The files that the catalog `database` names, by their places below the data path; those that were added with a path
/// of their own are left out.
fn data_files(connection: &Connection, database: &str) -> Result<Vec<DataFile>> {
    let of = |table: &str| {
        format!("SELECT table_id, path, file_size_bytes, end_snapshot FROM {database}.{table} WHERE path_is_relative")
    };
    let sql = format!(
        "WITH folders AS (
           SELECT t.table_id, any_value(s.path || t.path) AS path
           FROM {database}.ducklake_table t
           JOIN (SELECT DISTINCT schema_id, path, path_is_relative FROM {database}.ducklake_schema) s USING (schema_id)
           WHERE t.path_is_relative AND s.path_is_relative GROUP BY t.table_id)
         SELECT folders.path || f.path AS path, max(f.file_size_bytes) AS bytes, bool_or(f.end_snapshot IS NULL) AS current
         FROM ({} UNION ALL {}) f JOIN folders USING (table_id) GROUP BY 1 ORDER BY 1",
        of("ducklake_data_file"),
        of("ducklake_delete_file")
    );
    connection.records(&sql, &[])
}

/// A name for a database that nobody else gives one.
fn unique_name() -> String {
    identifier(&format!("copy-{}", Uuid::new_v4()))
}

// === impl Contents ===

impl Contents {
    /// What the `tables` of the catalog `database` hold.
    fn read(connection: &Connection, database: &str, tables: &[Table]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Lake {
            lake: Option<String>,
            data_path: Option<String>,
            snapshot_id: Option<SnapshotId>,
            snapshots: u64,
        }
        let sql = format!(
            "SELECT (SELECT arg_min(schema_uuid, begin_snapshot)::VARCHAR FROM {database}.ducklake_schema WHERE schema_id = 0) AS lake,
                    (SELECT any_value(value) FROM {database}.ducklake_metadata WHERE key = 'data_path') AS data_path,
                    max(snapshot_id) AS snapshot_id, count(*) AS snapshots
             FROM {database}.ducklake_snapshot"
        );
        let found: Lake = connection.record(&sql, &[])?;
        let (Some(lake), Some(data_path), Some(snapshot_id)) = (found.lake, found.data_path, found.snapshot_id) else {
            return Err(Error::precondition("it holds no lake"));
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

    /// What the table holds in the catalog `database`. Catalogs keep values in types of their own, so each takes the
    /// type that it has in a file first.
    fn digest(&self, connection: &Connection, database: &str) -> Result<Digest> {
        let value = |column: &Column| format!("CAST({} AS {})", identifier(&column.name), column.data_type);
        let row = self.columns.iter().map(value).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT count(*) AS rows, coalesce(sum(md5_number_lower(row({row})::VARCHAR)::HUGEINT), 0)::VARCHAR AS sum
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

    /// Attaches `file` as a lake, to be read.
    fn lake(connection: &'a Connection, file: &Path) -> Result<Self> {
        Self::attach(connection, &format!("ducklake:{}", file.display()), &format!(" (DATA_PATH {NO_DATA}, READ_ONLY)"))
    }

    fn attach(connection: &'a Connection, location: &str, options: &str) -> Result<Self> {
        let name = unique_name();
        connection.run_script(&format!("ATTACH {} AS {name}{options}", literal(location)))?;
        Ok(Self { connection, name })
    }

    /// The tables that it holds, in the order of their names.
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

    /// The newest snapshot and how many there are, as DuckLake says.
    fn snapshots(&self) -> Result<(SnapshotId, u64)> {
        #[derive(Deserialize)]
        struct Seen {
            id: SnapshotId,
            snapshots: u64,
        }
        let name = &self.name;
        let sql = format!(
            "SELECT (SELECT id FROM {name}.current_snapshot()) AS id, (SELECT count(*) FROM {name}.snapshots()) AS snapshots"
        );
        let seen: Seen = self.connection.record(&sql, &[])?;
        Ok((seen.id, seen.snapshots))
    }

    /// Detaches it and gives `outcome`.
    fn detach<T>(self, outcome: Result<T>) -> Result<T> {
        if outcome.is_err() {
            // An interrupt has done what it was for; the file must not stay attached.
            self.connection.resume();
        }
        let detached = self.connection.run_script(&format!("DETACH {}", self.name));
        outcome.and_then(|value| detached.map(|()| value))
    }
}

//! Rollbacks in a real lake: each special case of a table by itself here, those of schemas and the lake in
//! `scopes`, random histories in `histories`.

mod concurrency;
mod histories;
mod scopes;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::*;
use crate::{
    engine::{self, Connection, Engine},
    error::ErrorKind,
    ids::SnapshotId,
    lake::{
        attach,
        catalog::Catalog,
        commit::{self, Committer, Writer},
        snapshots,
        state::{self, Attributes, Relation, TableState},
    },
    proto::rollback_result::{Kind, table::Change},
    quote::identifier,
    storage::Storage,
};

/// A lake of its own, gone with the value.
struct Lake {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    home: tempfile::TempDir,
}

impl Lake {
    fn open() -> Self {
        Self::with_catalog(|home| Catalog::DuckdbFile(home.join("catalog.ducklake")))
    }

    fn with_catalog(catalog: impl FnOnce(&Path) -> Catalog) -> Self {
        let home = tempfile::tempdir().unwrap();
        let staging = home.path().join("staging");
        std::fs::create_dir_all(&staging).unwrap();
        let engine_settings = engine::Settings {
            extensions: None,
            extensions_fallback: home.path().join("extensions"),
            staging,
            memory_limit_bytes: Some(2 << 30),
            threads: Some(2),
            collect_results: true,
            max_connections: 4,
        };
        let settings =
            attach::Settings { catalog: catalog(home.path()), storage: Storage::local(home.path()).unwrap() };
        let engine = attach::open(&engine_settings, &settings).unwrap().engine().clone();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, engine, home }
    }

    /// Does `work` on a connection of the lake; a panic there fails the test, and its text is on stderr.
    #[track_caller]
    fn run<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> T + Send + 'static) -> T {
        self.runtime.block_on(self.engine.run(|connection| Ok(work(connection)))).unwrap()
    }
}

/// As [`in_lake`], in `lake`.
#[track_caller]
fn in_this(lake: &Lake, test: impl FnOnce(&Connection) + Send + 'static) {
    lake.run(|connection| {
        test(connection);
        check_clean(connection);
    });
}

/// Runs `test` on a connection of a new lake and checks that no TEMP table and no open transaction are left.
#[track_caller]
fn in_lake(test: impl FnOnce(&Connection) + Send + 'static) {
    in_this(&Lake::open(), test);
}

#[track_caller]
fn check_clean(connection: &Connection) {
    let left = texts(connection, "SELECT table_name AS text FROM duckdb_tables() WHERE temporary");
    assert_eq!(left, Vec::<String>::new(), "TEMP tables are left");
    connection.execute("BEGIN", &[]).unwrap();
    connection.execute("ROLLBACK", &[]).unwrap();
}

/// Executes each statement by itself, so that each makes a snapshot.
#[track_caller]
fn run(connection: &Connection, statements: &[&str]) -> SnapshotId {
    for sql in statements {
        connection.execute(sql, &[]).unwrap_or_else(|err| panic!("{sql}: {err}"));
    }
    snapshots::current(connection).unwrap()
}

/// The column `text` of a query.
#[track_caller]
fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Row {
        text: String,
    }
    let rows: Vec<Row> = connection.records(sql, &[]).unwrap_or_else(|err| panic!("{sql}: {err}"));
    rows.into_iter().map(|row| row.text).collect()
}

/// Everything a snapshot contains about a table, in a form in which equal states are equal.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    rows: Vec<String>,
    columns: Vec<String>,
    attributes: Attributes,
}

#[track_caller]
fn content(connection: &Connection, schema: &str, table: &str, at: SnapshotId) -> Option<Content> {
    let relations = state::relations(connection, at).unwrap();
    let relation = relations.iter().find(|it| it.schema == schema && it.name == table && !it.is_view)?;
    Some(content_of(connection, relation, at))
}

#[track_caller]
fn content_of(connection: &Connection, relation: &Relation, at: SnapshotId) -> Content {
    let state = TableState::read(connection, relation, at).unwrap();
    Content {
        rows: rows_at(connection, &relation.path(), at),
        columns: state.definitions.iter().map(|it| format!("{it:?}")).collect(),
        attributes: state.attributes,
    }
}

#[track_caller]
fn rows_at(connection: &Connection, path: &str, at: SnapshotId) -> Vec<String> {
    let sql = format!("SELECT CAST(t AS VARCHAR) AS text FROM (FROM {path} AT (VERSION => {at})) AS t ORDER BY 1");
    texts(connection, &sql)
}

#[track_caller]
fn content_now(connection: &Connection, schema: &str, table: &str) -> Option<Content> {
    content(connection, schema, table, snapshots::current(connection).unwrap())
}

/// The rows of a table, possibly at an earlier snapshot, as text with their row ids.
#[track_caller]
fn rows_with_ids(connection: &Connection, table: &str) -> BTreeSet<String> {
    let sql = format!("SELECT CAST(r AS VARCHAR) AS text FROM (SELECT rowid AS row_id, * FROM {table}) AS r");
    texts(connection, &sql).into_iter().collect()
}

fn request(table: &str, to: SnapshotId) -> Rollback<'_> {
    let scope = Scope::Table { schema: "silver", name: table };
    Rollback { scope, to, dry_run: false, author: "ada", message: None }
}

/// What became of the table of a rollback.
#[derive(Clone, Debug, PartialEq)]
struct Done {
    snapshot_id: SnapshotId,
    table: String,
    renamed_from: Option<String>,
    change: Change,
    rows_deleted: u64,
    rows_inserted: u64,
}

/// Rolls one table back.
fn rollback(connection: &Connection, request: &Rollback<'_>) -> Result<Done> {
    let Outcome { snapshot_id, restored_from, objects } = rollback_any(connection, request)?;
    assert_eq!(restored_from, request.to);
    let mut tables = objects.into_iter().filter(|object| object.kind == Kind::Table);
    let Restored { name, renamed_from, change, rows_deleted, rows_inserted, .. } = tables.next().unwrap();
    assert_eq!(tables.next(), None);
    Ok(Done { snapshot_id, table: name, renamed_from, change, rows_deleted, rows_inserted })
}

fn rollback_any(connection: &Connection, request: &Rollback<'_>) -> Result<Outcome> {
    let committer = Committer::new(commit::Settings::default());
    super::rollback(Writer::new(&committer, connection), request, &mut |_, _| {})
}

/// Rolls `silver.table` back, and checks the content, the dry run before it, and what is reported.
#[track_caller]
fn check(connection: &Connection, table: &str, to: SnapshotId, change: Change) -> Done {
    let before = snapshots::current(connection).unwrap();
    let wanted = content(connection, "silver", table, to);
    assert!(wanted.is_some(), "there is no such table to go back to");
    let dry = rollback(connection, &Rollback { dry_run: true, ..request(table, to) }).unwrap();
    assert_eq!(snapshots::current(connection).unwrap(), before, "a dry run made a snapshot");
    let restored = rollback(connection, &request(table, to)).unwrap();
    assert_eq!(content_now(connection, "silver", table), wanted);
    assert_eq!(restored.change, change);
    assert_eq!(restored.snapshot_id, snapshots::current(connection).unwrap());
    assert_eq!(restored.snapshot_id > before, change != Change::Unchanged);
    assert_eq!(Done { snapshot_id: before, ..restored.clone() }, dry);
    let again = rollback(connection, &request(table, to)).unwrap();
    assert_eq!(again.change, Change::Unchanged);
    assert_eq!(snapshots::current(connection).unwrap(), restored.snapshot_id);
    restored
}

#[track_caller]
fn check_refused(connection: &Connection, table: &str, to: SnapshotId, kind: ErrorKind, text: &str) {
    let before = snapshots::current(connection).unwrap();
    let err = rollback(connection, &request(table, to)).unwrap_err();
    assert_eq!((err.kind(), err.message()), (kind, text));
    assert_eq!(snapshots::current(connection).unwrap(), before, "a refused rollback made a snapshot");
    check_clean(connection);
}

/// Why rows are staged (duckdb/ducklake#1468): the day this test fails, AT is right inside a writing transaction.
#[test]
fn the_naive_way_commits_an_empty_table() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "DELETE FROM silver.t WHERE range = 1"]);
        connection
            .transaction(|connection| {
                connection.execute("DELETE FROM silver.t", &[])?;
                connection.execute(&format!("INSERT INTO silver.t FROM silver.t AT (VERSION => {then})"), &[])
            })
            .unwrap();
        assert_eq!(content_now(connection, "silver", "t").unwrap().rows, Vec::<String>::new());
    });
}

#[test]
fn rows_come_back_in_place_and_unchanged_ones_keep_their_ids() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS SELECT i, i * 2 AS j FROM range(10) r(i)"]);
        let rows_then = rows_with_ids(connection, "silver.t");
        run(
            connection,
            &[
                "DELETE FROM silver.t WHERE i = 1",
                "UPDATE silver.t SET j = -1 WHERE i = 2",
                "INSERT INTO silver.t VALUES (100, 100), (101, 101)",
                "CALL ducklake_merge_adjacent_files('lake')",
            ],
        );
        let head = snapshots::current(connection).unwrap();
        let restored = check(connection, "t", then, Change::Restored);
        assert_eq!((restored.rows_deleted, restored.rows_inserted), (3, 2));
        assert_eq!(rows_with_ids(connection, "silver.t").intersection(&rows_then).count(), 8);
        let forth = check(connection, "t", head, Change::Restored);
        assert_eq!((forth.rows_deleted, forth.rows_inserted), (2, 3));
    });
}

#[test]
fn an_equal_state_makes_no_snapshot() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
        check(connection, "t", then, Change::Unchanged);
        run(connection, &["CREATE TABLE silver.u AS FROM range(3)"]);
        check(connection, "t", then, Change::Unchanged);
        let mine = "INSERT INTO silver.t VALUES (7)";
        run(connection, &[mine, "DELETE FROM silver.t WHERE range = 7"]);
        check(connection, "t", then, Change::Unchanged);
    });
}

/// A table with everything that a table can have.
const RICH: &[&str] = &[
    "CREATE TABLE silver.t (id INTEGER NOT NULL DEFAULT 3, \"we'Ird.\"\"n\" VARCHAR DEFAULT 'it''s', \
     made TIMESTAMP DEFAULT now(), nested STRUCT(\"a b\" INTEGER, tags VARCHAR[]), \
     map MAP(VARCHAR, DECIMAL(10,3)), doc JSON, raw BLOB DEFAULT '\\xAA'::BLOB, joined VARCHAR DEFAULT concat('a', 'b'))",
    "COMMENT ON TABLE silver.t IS 'it''s a table'",
    "COMMENT ON COLUMN silver.t.\"we'Ird.\"\"n\" IS 'a column'",
    "ALTER TABLE silver.t SET PARTITIONED BY (bucket(4, id), year(made), \"we'Ird.\"\"n\")",
    "ALTER TABLE silver.t SET SORTED BY (id DESC NULLS FIRST, lower(\"we'Ird.\"\"n\"))",
    "INSERT INTO silver.t SELECT i, 'v' || i % 2, TIMESTAMP '2024-01-01' + INTERVAL (i * 100) DAY, \
     {'a b': i, 'tags': ['x', NULL]}, MAP {'k': i / 3}, '{\"i\": 1}', '\\x00'::BLOB, NULL FROM range(20) r(i)",
];

#[test]
fn a_table_whose_columns_differ_is_made_again_with_everything() {
    in_lake(|connection| {
        let then = run(connection, RICH);
        let changes = [
            "ALTER TABLE silver.t ADD COLUMN more INTEGER",
            "ALTER TABLE silver.t RENAME COLUMN doc TO document",
            "ALTER TABLE silver.t ALTER COLUMN id SET DATA TYPE BIGINT",
            "ALTER TABLE silver.t ALTER COLUMN id SET DEFAULT 4",
            "ALTER TABLE silver.t ALTER COLUMN id DROP NOT NULL",
            "ALTER TABLE silver.t DROP COLUMN raw",
            "ALTER TABLE silver.t ADD COLUMN nested.more INTEGER",
        ];
        for change in changes {
            run(connection, &[change]);
            let restored = check(connection, "t", then, Change::Recreated);
            assert_eq!((restored.rows_deleted, restored.rows_inserted), (20, 20), "{change}");
        }
        let nothing = "INSERT INTO silver.t (id) VALUES (NULL)";
        assert_eq!(connection.execute(nothing, &[]).unwrap_err().kind(), ErrorKind::InvalidArgument);
        run(connection, &["INSERT INTO silver.t (id) VALUES (DEFAULT)"]);
        let made = texts(connection, "SELECT concat(id, \"we'Ird.\"\"n\", joined) AS text FROM silver.t WHERE id = 3");
        assert!(made.contains(&"3it'sab".to_owned()), "{made:?}");
    });
}

#[test]
fn a_default_that_its_type_cannot_hold_stops_a_table_from_being_made_again() {
    in_lake(|connection| {
        run(connection, &["CREATE TABLE silver.t (d DATE)"]);
        let then = run(connection, &["ALTER TABLE silver.t ALTER COLUMN d SET DEFAULT '3'"]);
        let head = run(connection, &["DROP TABLE silver.t"]);
        let err = rollback(connection, &request("t", then)).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{err}");
        assert_eq!(snapshots::current(connection).unwrap(), head);
    });
}

#[test]
fn a_dropped_table_is_made_again() {
    in_lake(|connection| {
        let then = run(connection, RICH);
        run(connection, &["DROP TABLE silver.t"]);
        let restored = check(connection, "t", then, Change::Recreated);
        assert_eq!((restored.rows_deleted, restored.rows_inserted), (0, 20));
    });
}

#[test]
fn a_table_that_took_a_dropped_ones_place_makes_way() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
        run(connection, &["DROP TABLE silver.t", "CREATE TABLE silver.t AS SELECT 'x' AS range FROM range(5)"]);
        let restored = check(connection, "t", then, Change::Recreated);
        assert_eq!((restored.rows_deleted, restored.rows_inserted), (5, 3));
        run(connection, &["CREATE OR REPLACE TABLE silver.t AS FROM range(4)"]);
        check(connection, "t", then, Change::Recreated);
    });
}

#[test]
fn a_table_of_a_dropped_schema_is_made_again_with_the_schema() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
        run(connection, &["DROP SCHEMA silver CASCADE"]);
        check(connection, "t", then, Change::Recreated);
        run(connection, &["DROP SCHEMA silver CASCADE", "CREATE SCHEMA silver"]);
        check(connection, "t", then, Change::Recreated);
    });
}

/// A rename after COMMENT ON or SET PARTITIONED BY in one transaction makes the lake unreadable (duckdb/ducklake#1332),
/// so the rename has to come first.
#[test]
fn a_renamed_table_gets_its_name_back() {
    in_lake(|connection| {
        let then = run(connection, RICH);
        let rows_then = rows_with_ids(connection, "silver.t");
        run(connection, &["ALTER TABLE silver.t RENAME TO u"]);
        let restored = check(connection, "t", then, Change::Restored);
        assert_eq!(restored.renamed_from.as_deref(), Some("silver.u"));
        run(
            connection,
            &[
                "ALTER TABLE silver.t RENAME TO u",
                "COMMENT ON TABLE silver.u IS 'another'",
                "COMMENT ON COLUMN silver.u.id IS 'new'",
                "ALTER TABLE silver.u RESET PARTITIONED BY",
                "ALTER TABLE silver.u SET SORTED BY (made)",
                "DELETE FROM silver.u WHERE id % 2 = 0",
                "INSERT INTO silver.u (id) VALUES (100)",
            ],
        );
        let restored = check(connection, "t", then, Change::Restored);
        assert_eq!((restored.rows_deleted, restored.rows_inserted), (1, 10));
        assert_eq!(rows_with_ids(connection, "silver.t").intersection(&rows_then).count(), 10);
        run(connection, &["ALTER TABLE silver.t RENAME TO u", "ALTER TABLE silver.u DROP COLUMN raw"]);
        check(connection, "t", then, Change::Recreated);
        assert_eq!(content_now(connection, "silver", "u"), None);
    });
}

#[test]
fn a_name_that_changed_in_case_only_comes_back() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
        run(connection, &["ALTER TABLE silver.t RENAME TO x", "ALTER TABLE silver.x RENAME TO \"T\""]);
        check(connection, "t", then, Change::Restored);
    });
}

#[test]
fn a_taken_name_is_refused_with_the_remedy() {
    in_lake(|connection| {
        let then =
            run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "CREATE TABLE silver.u AS FROM range(4)"]);
        let text = |cause: &str| format!("roll back \"silver.t\" to snapshot {then}: {cause}");
        let refused = ErrorKind::FailedPrecondition;
        run(connection, &["ALTER TABLE silver.t RENAME TO old", "CREATE TABLE silver.t AS FROM range(5)"]);
        let renamed =
            "the table is called \"silver.old\" now, and \"silver.t\" is another one; rename or drop that first";
        check_refused(connection, "t", then, refused, &text(renamed));
        run(connection, &["DROP TABLE silver.old", "DROP TABLE silver.t", "ALTER TABLE silver.u RENAME TO t"]);
        let moved = "\"silver.t\" is now the table that was called \"silver.u\" at that snapshot; rename it first";
        check_refused(connection, "t", then, refused, &text(moved));
        run(connection, &["ALTER TABLE silver.t RENAME TO u", "CREATE VIEW silver.t AS SELECT 1"]);
        check_refused(connection, "t", then, refused, &text("a view is called \"silver.t\" now; drop it first"));
        run(connection, &["DROP VIEW silver.t"]);
        check(connection, "t", then, Change::Recreated);
    });
}

#[test]
fn what_was_no_table_then_is_refused() {
    in_lake(|connection| {
        let before = run(connection, &["CREATE VIEW silver.v AS SELECT 1 AS one"]);
        run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
        let missing = ErrorKind::NotFound;
        let text =
            format!("roll back \"silver.t\" to snapshot {before}: it does not exist at that snapshot; drop it instead");
        check_refused(connection, "t", before, missing, &text);
        let text = format!("roll back \"silver.x\" to snapshot {before}: it does not exist at that snapshot");
        check_refused(connection, "x", before, missing, &text);
        let text = "roll back \"silver.t\" to snapshot 99: snapshot 99 does not exist: it never did, or has expired";
        check_refused(connection, "t", SnapshotId(99), missing, text);
        let text = format!(
            "roll back \"silver.v\" to snapshot {before}: it is a view at that snapshot, and views are restored only \
             with their schema or the lake"
        );
        check_refused(connection, "v", before, ErrorKind::Unsupported, &text);
    });
}

/// RESET PARTITIONED BY and then INSERT in one transaction ends the process, so keys come after rows.
#[test]
fn keys_and_comments_alone_and_with_rows_come_back() {
    in_lake(|connection| {
        let bare = run(connection, &["CREATE TABLE silver.t AS SELECT i, i % 3 AS k FROM range(10) r(i)"]);
        let changes = [
            "ALTER TABLE silver.t SET PARTITIONED BY (k)",
            "ALTER TABLE silver.t SET PARTITIONED BY (bucket(2, i))",
            "ALTER TABLE silver.t SET SORTED BY (k DESC NULLS LAST, i)",
            "COMMENT ON TABLE silver.t IS 'x'",
            "COMMENT ON COLUMN silver.t.k IS 'y'",
            "COMMENT ON COLUMN silver.t.k IS NULL",
        ];
        let mut states = vec![bare];
        states.extend(changes.map(|change| run(connection, &[change])));
        for state in states {
            let restored = check(connection, "t", state, Change::Restored);
            assert_eq!((restored.rows_deleted, restored.rows_inserted), (0, 0));
        }
        run(connection, &["ALTER TABLE silver.t SET PARTITIONED BY (k)", "UPDATE silver.t SET k = 1 WHERE i > 5"]);
        let restored = check(connection, "t", bare, Change::Restored);
        assert_eq!((restored.rows_deleted, restored.rows_inserted), (4, 4));
        run(connection, &["INSERT INTO silver.t VALUES (1, 1)"]);
    });
}

#[test]
fn strange_names_work() {
    in_lake(|connection| {
        let names = ["a\"b", "Upper.Case", "é世界 ", "select", "it's", "a.b\".\"c"];
        for name in names {
            let path = format!("silver.{}", identifier(name));
            let create = format!("CREATE TABLE {path} (\"Q\"\"x.y\" INTEGER DEFAULT 1, \"ä\" VARCHAR)");
            let comment = format!("COMMENT ON COLUMN {path}.\"Q\"\"x.y\" IS 'it''s'");
            let partition = format!("ALTER TABLE {path} SET PARTITIONED BY (\"Q\"\"x.y\")");
            let insert = format!("INSERT INTO {path} VALUES (1, 'a'), (2, 'b')");
            let then = run(connection, &[&create, &comment, &partition, &insert]);
            run(connection, &[&format!("DELETE FROM {path} WHERE ä = 'a'")]);
            check(connection, name, then, Change::Restored);
            run(connection, &[&format!("ALTER TABLE {path} RENAME TO other")]);
            check(connection, name, then, Change::Restored);
            run(connection, &[&format!("DROP TABLE {path}")]);
            check(connection, name, then, Change::Recreated);
        }
        run(connection, &["CREATE TABLE silver.\"Mixed\" AS FROM range(3)"]);
        let restored = rollback(connection, &request("mIXED", snapshots::current(connection).unwrap())).unwrap();
        assert_eq!(restored.table, "silver.Mixed");
    });
}

#[test]
fn columns_that_hide_the_virtual_ones_do_not_mislead() {
    in_lake(|connection| {
        for columns in
            ["rowid", "snapshot_id", "\"RowId\", snapshot_ID", "rid", "filename, file_row_number, file_index"]
        {
            let typed: Vec<_> = columns.split(", ").map(|column| format!("{column} INTEGER")).collect();
            let create = format!("CREATE TABLE silver.t (i INTEGER, {})", typed.join(", "));
            let zeros = ", 0".repeat(typed.len());
            let insert = format!("INSERT INTO silver.t SELECT i{zeros} FROM range(5) r(i)");
            let then = run(connection, &[&create, &insert]);
            run(connection, &["DELETE FROM silver.t WHERE i = 1", &format!("INSERT INTO silver.t VALUES (9{zeros})")]);
            check(connection, "t", then, Change::Restored);
            run(connection, &["DROP TABLE silver.t"]);
        }
    });
}

#[test]
fn the_commit_is_signed() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
        // The mark by which a lost commit is found is another one each time.
        let sql = "SELECT concat(author, '|', commit_message, '|', json_merge_patch(commit_extra_info, '{\"commit\":null}')) \
                   AS text FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1";
        let head = run(connection, &["DELETE FROM silver.t"]);
        rollback(connection, &request("t", then)).unwrap();
        let info = format!("{{\"from\":{head},\"rollback_to\":{then},\"table\":\"silver.t\"}}");
        assert_eq!(texts(connection, sql), [format!("ada|roll back silver.t to snapshot {then}|{info}")]);
        run(connection, &["DELETE FROM silver.t"]);
        rollback(connection, &Rollback { message: Some("it's wrong"), ..request("t", then) }).unwrap();
        assert!(texts(connection, sql)[0].starts_with("ada|it's wrong|"));
    });
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let lake = Lake::open();
    let files = lake.home.path().join("lake");
    lake.run(move |connection| {
        let then =
            run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "CREATE TABLE silver.u AS FROM range(3)"]);
        let head = run(connection, &["DELETE FROM silver.t", "INSERT INTO silver.t VALUES (1)"]);
        for file in parquet_files(&files.join("silver/t")) {
            std::fs::remove_file(file).unwrap();
        }
        assert!(rollback(connection, &request("t", then)).is_err());
        check_clean(connection);
        assert_eq!(snapshots::current(connection).unwrap(), head);
        run(connection, &["DELETE FROM silver.u"]);
        check(connection, "u", then, Change::Restored);
    });
}

fn parquet_files(folder: &std::path::Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn an_open_transaction_is_refused() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "BEGIN"]);
        let err = rollback(connection, &request("t", then)).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::FailedPrecondition);
        assert!(err.message().contains("cannot start a transaction within a transaction"), "{err}");
        run(connection, &["ROLLBACK"]);
    });
}

#[test]
fn many_rows_come_back_too() {
    in_lake(|connection| {
        let then =
            run(connection, &["CREATE TABLE silver.t AS SELECT i, md5(i::VARCHAR) AS m FROM range(300000) r(i)"]);
        run(connection, &["UPDATE silver.t SET m = 'x' WHERE i % 7 = 0", "DELETE FROM silver.t WHERE i % 11 = 0"]);
        let sum =
            |path: &str| texts(connection, &format!("SELECT concat(count(*), sum(hash(i, m))) AS text FROM {path}"));
        let wanted = sum(&format!("silver.t AT (VERSION => {then})"));
        let restored = rollback(connection, &request("t", then)).unwrap();
        assert_eq!(restored.change, Change::Restored);
        assert_eq!(sum("silver.t"), wanted);
    });
}

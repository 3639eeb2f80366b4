//! Rollbacks of a schema and of the lake.

use super::*;

fn request_for(scope: Scope<'_>, to: SnapshotId) -> Rollback<'_> {
    Rollback { scope, ..request("", to) }
}

/// Rolls back, checks the dry run before it and that a second rollback changes nothing; returns the changes.
#[track_caller]
fn check_objects(
    connection: &Connection,
    scope: Scope<'_>,
    to: SnapshotId,
    wanted: &[(Kind, &str, Change)],
) -> Outcome {
    let before = snapshots::current(connection).unwrap();
    let dry = rollback_any(connection, &Rollback { dry_run: true, ..request_for(scope, to) }).unwrap();
    assert_eq!(snapshots::current(connection).unwrap(), before, "a dry run made a snapshot");
    let outcome = rollback_any(connection, &request_for(scope, to)).unwrap();
    let objects: Vec<_> = outcome.objects.iter().map(|it| (it.kind, it.name.as_str(), it.change)).collect();
    assert_eq!(objects, wanted);
    assert_eq!(dry, Outcome { snapshot_id: before, ..outcome.clone() });
    assert_eq!(outcome.snapshot_id, snapshots::current(connection).unwrap());
    assert_eq!(outcome.snapshot_id > before, outcome.is_change());
    let again = rollback_any(connection, &request_for(scope, to)).unwrap();
    assert_eq!((again.objects, again.snapshot_id), (Vec::new(), outcome.snapshot_id));
    outcome
}

#[track_caller]
fn check_refused_for(connection: &Connection, scope: Scope<'_>, to: SnapshotId, kind: ErrorKind, text: &str) {
    let before = snapshots::current(connection).unwrap();
    let err = rollback_any(connection, &request_for(scope, to)).unwrap_err();
    assert_eq!(err.kind(), kind, "{err}");
    assert!(err.message().contains(text), "{err}");
    assert_eq!(snapshots::current(connection).unwrap(), before);
    check_clean(connection);
}

#[test]
fn all_of_the_lake_comes_back_at_once() {
    in_lake(|connection| {
        let then = run(
            connection,
            &[
                "CREATE SCHEMA old",
                "CREATE TABLE old.gone AS FROM range(2)",
                "CREATE TABLE silver.rows AS FROM range(3)",
                "CREATE TABLE silver.columns AS FROM range(4)",
                "CREATE TABLE silver.dropped AS FROM range(5)",
                "CREATE TABLE silver.renamed AS FROM range(6)",
                "CREATE TABLE silver.still AS FROM range(7)",
                "CREATE VIEW gold.reads AS FROM lake.silver.dropped",
            ],
        );
        let head = run(
            connection,
            &[
                "DROP SCHEMA old CASCADE",
                "DELETE FROM silver.rows WHERE range = 1",
                "ALTER TABLE silver.columns ADD COLUMN more INTEGER",
                "DROP TABLE silver.dropped",
                "ALTER TABLE silver.renamed RENAME TO other",
                "CREATE TABLE raw.new AS FROM range(8)",
                "DROP VIEW gold.reads",
                "CREATE SCHEMA new",
                "CREATE VIEW new.made AS SELECT 1 AS one",
            ],
        );
        let wanted = [
            (Kind::Table, "old.gone", Change::Recreated),
            (Kind::Table, "raw.new", Change::Dropped),
            (Kind::Table, "silver.columns", Change::Recreated),
            (Kind::Table, "silver.dropped", Change::Recreated),
            (Kind::Table, "silver.renamed", Change::Restored),
            (Kind::Table, "silver.rows", Change::Restored),
            (Kind::View, "gold.reads", Change::Recreated),
            (Kind::View, "new.made", Change::Dropped),
            (Kind::Schema, "old", Change::Recreated),
            (Kind::Schema, "new", Change::Dropped),
        ];
        let outcome = check_objects(connection, Scope::Lake, then, &wanted);
        let rows: Vec<_> = outcome.objects.iter().map(|it| (it.rows_deleted, it.rows_inserted)).take(6).collect();
        assert_eq!(rows, [(0, 2), (8, 0), (4, 4), (0, 5), (0, 0), (0, 1)]);
        assert_eq!(texts(connection, "SELECT count(*)::VARCHAR AS text FROM gold.reads"), ["5"]);
        let forth = rollback_any(connection, &request_for(Scope::Lake, head)).unwrap();
        assert_eq!(forth.objects.len(), wanted.len(), "a rollback can be rolled back: {forth:?}");
        check_objects(connection, Scope::Lake, then, &wanted);
    });
}

#[test]
fn a_schema_comes_back_and_others_stay() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "CREATE TABLE gold.t AS FROM range(3)"]);
        run(connection, &["DELETE FROM silver.t", "DELETE FROM gold.t", "CREATE TABLE silver.u AS FROM range(3)"]);
        let wanted = [(Kind::Table, "silver.t", Change::Restored), (Kind::Table, "silver.u", Change::Dropped)];
        check_objects(connection, Scope::Schema("SILVER"), then, &wanted);
        assert_eq!(content_now(connection, "gold", "t").unwrap().rows, Vec::<String>::new());
    });
}

#[test]
fn tables_that_exchanged_their_names_get_them_back() {
    in_lake(|connection| {
        let then =
            run(connection, &["CREATE TABLE silver.a AS FROM range(1)", "CREATE TABLE silver.b AS FROM range(2)"]);
        run(
            connection,
            &[
                "ALTER TABLE silver.a RENAME TO x",
                "ALTER TABLE silver.b RENAME TO a",
                "ALTER TABLE silver.x RENAME TO b",
                "COMMENT ON TABLE silver.b IS 'x'",
                "INSERT INTO silver.b VALUES (9)",
            ],
        );
        let wanted = [(Kind::Table, "silver.b", Change::Restored), (Kind::Table, "silver.a", Change::Restored)];
        let outcome = check_objects(connection, Scope::Lake, then, &wanted);
        assert_eq!(outcome.objects[0].renamed_from.as_deref(), Some("silver.a"));
        for (table, rows) in [("a", 1), ("b", 2)] {
            let found = content_now(connection, "silver", table).unwrap();
            assert_eq!(found, content(connection, "silver", table, then).unwrap());
            assert_eq!(found.rows.len(), rows);
        }
    });
}

#[test]
fn what_was_dropped_and_took_another_kind_or_name_comes_back() {
    in_lake(|connection| {
        let then =
            run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "CREATE VIEW silver.v AS FROM silver.t"]);
        run(
            connection,
            &["DROP VIEW silver.v", "ALTER TABLE silver.t RENAME TO v", "CREATE VIEW silver.t AS FROM silver.v"],
        );
        let wanted = [
            (Kind::Table, "silver.t", Change::Restored),
            (Kind::View, "silver.t", Change::Dropped),
            (Kind::View, "silver.v", Change::Recreated),
        ];
        check_objects(connection, Scope::Schema("silver"), then, &wanted);
        run(
            connection,
            &["DROP SCHEMA silver CASCADE", "CREATE SCHEMA silver", "CREATE TABLE silver.t AS SELECT 'x' AS y"],
        );
        let wanted = [(Kind::Table, "silver.t", Change::Recreated), (Kind::View, "silver.v", Change::Recreated)];
        check_objects(connection, Scope::Schema("silver"), then, &wanted);
    });
}

/// Views read each other in any order, by names that only their own schema knows, and keep aliases and comments.
#[test]
fn views_come_back_with_all_that_they_have() {
    in_lake(|connection| {
        let then = run(
            connection,
            &[
                "CREATE TABLE silver.t AS FROM range(3)",
                "USE lake.silver",
                "CREATE VIEW b (\"A a\") AS SELECT range FROM t WHERE 'it''s' <> ''",
                "CREATE VIEW a AS FROM b",
                "COMMENT ON VIEW b IS 'it''s'",
                "USE lake",
                "CREATE SCHEMA \"It's \"\"x\"\", y\"",
                "CREATE TABLE in_main AS FROM range(2)",
                "CREATE VIEW \"It's \"\"x\"\", y\".c AS FROM in_main",
            ],
        );
        run(
            connection,
            &["DROP VIEW silver.a", "DROP VIEW silver.b", "DROP TABLE silver.t", "DROP VIEW \"It's \"\"x\"\", y\".c"],
        );
        let wanted = [
            (Kind::Table, "silver.t", Change::Recreated),
            (Kind::View, "It's \"x\", y.c", Change::Recreated),
            (Kind::View, "silver.a", Change::Recreated),
            (Kind::View, "silver.b", Change::Recreated),
        ];
        check_objects(connection, Scope::Lake, then, &wanted);
        assert_eq!(texts(connection, "SELECT sum(\"A a\")::VARCHAR AS text FROM silver.a"), ["3"]);
        let comments = "SELECT comment AS text FROM duckdb_views() WHERE view_name = 'b' AND database_name = 'lake'";
        assert_eq!(texts(connection, comments), ["it's"]);
        run(connection, &["COMMENT ON VIEW silver.b IS NULL"]);
        check_objects(connection, Scope::Lake, then, &[(Kind::View, "silver.b", Change::Recreated)]);
        assert_eq!(texts(connection, "SELECT current_schema() AS text"), ["main"]);
    });
}

#[test]
fn a_view_that_was_broken_is_refused() {
    in_lake(|connection| {
        run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "CREATE VIEW silver.v AS FROM silver.t"]);
        let then = run(connection, &["DROP TABLE silver.t"]);
        check_objects(connection, Scope::Lake, then, &[]);
        run(connection, &["DROP VIEW silver.v"]);
        let refused = ErrorKind::FailedPrecondition;
        check_refused_for(connection, Scope::Lake, then, refused, "make the view \"silver.v\"");
    });
}

/// Macros of each form: defaults of several types, one form for each number of parameters, what reads tables, views
/// and macros of other schemas without naming these, and quoted names.
const MACROS: [&str; 9] = [
    "CREATE MACRO silver.m(a) AS a + 1",
    "CREATE MACRO silver.m(a) AS TABLE SELECT a ORDER BY 1 LIMIT 1",
    "CREATE MACRO gold.n(a) AS a, (a, b) AS a + b, (a, b, c) AS silver.m(a) + b + c",
    "CREATE MACRO gold.\"a b\"(\"c d\" VARCHAR := 'it''s', e := DATE '2026-01-31') AS \"c d\" || e",
    "CREATE MACRO main.k(i DECIMAL(10,2) := 2.5, l BIGINT := 1::BIGINT, x := 'NULL', y := -1e3, z := true) \
     AS concat(i, l, x, y, z)",
    "CREATE MACRO more.newest() AS (SELECT max(range) FROM silver.t)",
    "CREATE MACRO more.next() AS TABLE WITH n AS (SELECT more.newest() AS i) SELECT i + 1 FROM n",
    "CREATE VIEW gold.v AS SELECT gold.n(range) AS i FROM silver.t",
    "CREATE MACRO main.rows() AS (SELECT count(*) FROM gold.v)",
];

/// What the macros give.
fn results(connection: &Connection) -> Vec<String> {
    let queries = [
        "SELECT silver.m(1), gold.n(1), gold.n(1, 2), gold.n(1, 2, 3), gold.\"a b\"(), main.k(), more.newest()",
        "FROM silver.m(7)",
        "FROM more.next()",
        "SELECT main.rows()",
    ];
    let texts = |sql: &str| texts(connection, &format!("SELECT to_json(r)::VARCHAR AS text FROM ({sql}) r"));
    queries.into_iter().flat_map(texts).collect()
}

#[test]
fn macros_come_back() {
    in_lake(|connection| {
        run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "CREATE SCHEMA more"]);
        let then = run(connection, &MACROS);
        let expected = results(connection);
        let changes = [
            "CREATE OR REPLACE MACRO silver.m(a) AS a + 2",
            "DROP MACRO TABLE silver.m",
            "CREATE OR REPLACE MACRO gold.n(a, b := 1) AS a",
            "DROP VIEW gold.v",
            "DROP MACRO gold.\"a b\"",
            "CREATE MACRO gold.new(a) AS a",
            "DROP MACRO main.k",
            "DROP MACRO more.newest",
            "DROP MACRO TABLE more.next",
            "DROP SCHEMA more",
            "DROP TABLE silver.t",
        ];
        let last = run(connection, &changes);
        check_objects(
            connection,
            Scope::Lake,
            then,
            &[
                (Kind::Table, "silver.t", Change::Recreated),
                (Kind::View, "gold.v", Change::Recreated),
                (Kind::Macro, "gold.a b", Change::Recreated),
                (Kind::Macro, "gold.n", Change::Recreated),
                (Kind::Macro, "main.k", Change::Recreated),
                (Kind::Macro, "more.newest", Change::Recreated),
                (Kind::Macro, "more.next", Change::Recreated),
                (Kind::Macro, "silver.m", Change::Recreated),
                (Kind::Macro, "silver.m", Change::Recreated),
                (Kind::Macro, "gold.new", Change::Dropped),
                (Kind::Schema, "more", Change::Recreated),
            ],
        );
        assert_eq!(results(connection), expected);
        check_objects(connection, Scope::Lake, then, &[]);
        rollback_any(connection, &request_for(Scope::Lake, last)).unwrap();
        check_objects(connection, Scope::Lake, last, &[]);
        rollback_any(connection, &request_for(Scope::Lake, then)).unwrap();
        assert_eq!(results(connection), expected);
    });
}

#[test]
fn macros_come_back_with_their_schema_only() {
    in_lake(|connection| {
        let made = ["CREATE SCHEMA more", "CREATE MACRO silver.m(a) AS a + 1", "CREATE MACRO gold.m(a) AS a + 1"];
        let then = run(connection, &made);
        run(connection, &["CREATE OR REPLACE MACRO silver.m(a) AS a + 2", "DROP MACRO gold.m", "DROP SCHEMA more"]);
        check_objects(connection, Scope::Schema("SILVER"), then, &[(Kind::Macro, "silver.m", Change::Recreated)]);
        check_objects(connection, Scope::Schema("gold"), then, &[(Kind::Macro, "gold.m", Change::Recreated)]);
        check_objects(connection, Scope::Lake, then, &[(Kind::Schema, "more", Change::Recreated)]);
    });
}

#[test]
fn a_macro_that_was_broken_is_refused() {
    in_lake(|connection| {
        let made =
            ["CREATE TABLE silver.t AS FROM range(3)", "CREATE MACRO gold.m() AS (SELECT max(range) FROM silver.t)"];
        run(connection, &made);
        let then = run(connection, &["DROP TABLE silver.t"]);
        check_objects(connection, Scope::Lake, then, &[]);
        run(connection, &["DROP MACRO gold.m"]);
        let refused = ErrorKind::FailedPrecondition;
        check_refused_for(connection, Scope::Lake, then, refused, "make the macro \"gold.m\"");
    });
}

#[test]
fn the_registry_is_left_alone_unless_it_is_named() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE main.experiments AS FROM range(1)"]);
        run(
            connection,
            &["INSERT INTO main.experiments VALUES (7)", "CREATE TABLE main.simulation_runs AS FROM range(1)"],
        );
        check_objects(connection, Scope::Lake, then, &[]);
        check_objects(connection, Scope::Schema("main"), then, &[]);
        let named = Scope::Table { schema: "main", name: "experiments" };
        let outcome = rollback_any(connection, &request_for(named, then)).unwrap();
        assert_eq!(outcome.objects[0].rows_deleted, 1);
    });
}

#[test]
fn the_layers_stay() {
    in_lake(|connection| {
        run(connection, &["CREATE TABLE silver.t AS FROM range(3)", "CREATE SCHEMA more"]);
        let wanted = [(Kind::Table, "silver.t", Change::Dropped), (Kind::Schema, "more", Change::Dropped)];
        check_objects(connection, Scope::Lake, SnapshotId(0), &wanted);
        run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
    });
}

#[test]
fn what_was_no_schema_then_is_refused() {
    in_lake(|connection| {
        let then = snapshots::current(connection).unwrap();
        run(connection, &["CREATE SCHEMA later"]);
        let missing = ErrorKind::NotFound;
        let text = format!(
            "roll back schema \"later\" to snapshot {then}: it does not exist at that snapshot; drop it instead"
        );
        check_refused_for(connection, Scope::Schema("later"), then, missing, &text);
        check_refused_for(connection, Scope::Schema("never"), then, missing, "it does not exist at that snapshot");
        check_refused_for(
            connection,
            Scope::Lake,
            SnapshotId(99),
            missing,
            "roll back the lake to snapshot 99: snapshot 99 does not exist",
        );
    });
}

#[test]
fn the_commit_says_how_much_came_back() {
    in_lake(|connection| {
        let then = run(connection, &["CREATE TABLE silver.t AS FROM range(3)"]);
        let sql = "SELECT concat(commit_message, '|', json_merge_patch(commit_extra_info, '{\"commit\":null}')) AS text \
                   FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1";
        for (scope, what, field) in [
            (Scope::Lake, "the lake", "\"lake\":true,".to_owned()),
            (Scope::Schema("silver"), "schema silver", String::new()),
        ] {
            let head = run(connection, &["DELETE FROM silver.t"]);
            rollback_any(connection, &request_for(scope, then)).unwrap();
            let [text] = texts(connection, sql).try_into().unwrap();
            assert!(
                text.starts_with(&format!("roll back {what} to snapshot {then}|{{\"from\":{head},{field}")),
                "{text}"
            );
        }
    });
}

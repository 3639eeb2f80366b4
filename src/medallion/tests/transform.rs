//! Runs of several models.

use super::lake::{Lake, Options, models, select};
use crate::{
    error::ErrorKind,
    medallion::{Step, tables::tables},
    proto::transform_result::model::Change,
};

const CHAIN: &str = "
-- model: gold.c
-- check: row_count(= silver.b)
WITH a AS (SELECT id FROM lake.silver.b) SELECT id + 1 AS id FROM a;

-- model: silver.b
-- check: unique(id)
-- check: not_null(id)
SELECT id FROM silver.a WHERE EXISTS (FROM raw.t);

-- model: silver.a
SELECT id FROM \"raw\".t

-- source: raw.t
-- check: not_null(id)

-- source: raw.unread
";

#[test]
fn models_run_behind_what_they_read() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT i AS id FROM range(3) r(i); CREATE TABLE raw.unread (x INT)");
    let (outcome, progress) = lake.try_run(&models(CHAIN), Options::default());
    let names: Vec<_> = outcome.unwrap().into_iter().map(|outcome| outcome.model).collect();
    assert_eq!(names, ["raw.t", "raw.unread", "silver.a", "silver.b", "gold.c"]);
    let done: Vec<_> = progress.iter().filter(|p| matches!(p.step, Step::Done(_))).map(|p| (p.done, p.total)).collect();
    assert_eq!(done, [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]);
    let signed = lake.rows(
        "SELECT author, commit_message AS text, commit_extra_info::JSON->>'rows' AS rows \
         FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1",
    );
    assert_eq!(signed, ["{\"author\":\"ada\",\"text\":\"transform gold.c\",\"rows\":\"3\"}"]);
}

#[test]
fn a_selection_runs_models_and_the_sources_they_read() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT 1 AS id");
    let run = |names: &[&'static str]| -> Vec<String> {
        lake.run(&models(CHAIN), select(names)).into_iter().map(|outcome| outcome.model).collect()
    };
    assert_eq!(run(&["silver.a"]), ["raw.t", "silver.a"]);
    assert_eq!(run(&["silver"]), ["raw.t", "silver.a", "silver.b"]);
    assert_eq!(run(&["gold.c", "silver.b"]), ["raw.t", "silver.b", "gold.c"]);
    let err = lake.fail(&models(CHAIN), select(&["sliver"]));
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert!(
        err.message().starts_with("model or layer \"sliver\" does not exist; did you mean \"silver\""),
        "{}",
        err.message()
    );
}

#[test]
fn a_cycle_is_named() {
    let lake = Lake::new();
    let ring =
        "-- model: silver.a\nFROM silver.c\n-- model: silver.b\nFROM silver.a\n-- model: silver.c\nFROM silver.b\n";
    let err = lake.fail(&models(ring), Options::default());
    assert_eq!(err.kind(), ErrorKind::InvalidArgument);
    let text = "models read each other in a cycle: silver.a reads silver.c reads silver.b reads silver.a";
    assert_eq!(err.message(), text);
    let err = lake.fail(&models("-- model: silver.a\nFROM silver.a"), Options::default());
    assert!(err.message().ends_with("silver.a reads silver.a"), "{}", err.message());
}

#[test]
fn a_failed_check_keeps_the_old_table_and_names_the_rows() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT i AS id FROM range(3) r(i); CREATE TABLE raw.unread (x INT)");
    lake.run(&models(CHAIN), Options::default());
    lake.sql("INSERT INTO raw.t VALUES (1), (2), (9)");
    let (outcome, progress) = lake.try_run(&models(CHAIN), Options::default());
    let err = outcome.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::FailedPrecondition);
    let text = "transform silver.b (test.sql:6): check unique(id) at test.sql:7: 4 rows fail, such as \
                {\"id\":1}, {\"id\":1}, {\"id\":2}, {\"id\":2}; the table is unchanged: correct the rows that it is \
                made from, or the model, and run again; committed before and kept: silver.a; not run: gold.c";
    assert_eq!(err.message(), text);
    assert_eq!(lake.rows("SELECT count(*) AS n FROM silver.b"), ["{\"n\":3}"]);
    assert_eq!(lake.rows("SELECT count(*) AS n FROM silver.a"), ["{\"n\":6}"]);
    let Some(Step::Failed(failed)) = progress.last().map(|progress| &progress.step) else { panic!("{progress:?}") };
    assert_eq!((failed.checks_passed, failed.checks_failed, failed.snapshot_id), (1, 1, None));
}

#[test]
fn every_kind_of_check_finds_its_rows() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS FROM (VALUES (1, 'a', 1), (1, 'b', NULL), (2, NULL, NULL)) v(id, s, n)");
    let fails = |check: &str, expected: Option<&str>| {
        let model = models(&format!("-- model: silver.t\n-- check: {check}\nSELECT * FROM raw.t"));
        let outcome = lake.try_run(&model, Options::default()).0;
        match expected {
            None => assert!(outcome.is_ok(), "{check}: {outcome:?}"),
            Some(text) => {
                let err = outcome.unwrap_err();
                assert!(err.message().contains(text), "{check}: {}", err.message());
            }
        }
    };
    fails("unique(id)", Some("unique(id) at test.sql:2: 2 rows fail"));
    fails("unique(id, s)", None);
    fails("unique(n)", None);
    fails("unique(s, n)", None);
    fails("not_null(id, s)", Some("1 row fails, such as {\"id\":2,\"s\":null,\"n\":null}"));
    fails("not_null(id)", None);
    fails("accepted_values(s, 'a', 'b')", None);
    fails("accepted_values(s, 'a')", Some("{\"id\":1,\"s\":\"b\",\"n\":null}"));
    fails("row_count(= raw.t)", None);
    fails("row_count(< raw.t)", Some("1 row fails, such as {\"rows\":3,\"bound\":3}"));
    fails("row_count(>= 4)", Some("{\"rows\":3,\"bound\":4}"));
    fails("sql(ids are small) SELECT id FROM silver.t WHERE id > 1 -- only big ones", Some("sql(ids are small)"));
    fails("sql(fine) SELECT 1 WHERE false", None);
    fails("sql(wrong) SELECT nothing FROM silver.t", Some("run check sql(wrong) at test.sql:2: Binder Error"));
}

#[test]
fn messages_stay_short() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT 1 AS id, repeat('ü', 5000) AS s FROM range(1000)");
    let mut text = String::from("-- model: silver.t\n");
    for index in 0..30 {
        text.push_str(&format!("-- check: sql({index} {}) SELECT * FROM silver.t\n", "long ".repeat(100)));
    }
    text.push_str("SELECT * FROM raw.t\n");
    for index in 0..30 {
        text.push_str(&format!("-- model: gold.{}_{index}\nSELECT * FROM silver.t\n", "t".repeat(100)));
    }
    let err = lake.fail(&models(&text), Options::default());
    assert!(err.message().len() < 2048, "{} bytes", err.message().len());
    assert!(err.message().contains("1000 rows fail") && err.message().contains("and 26 more"), "{}", err.message());
    assert!(err.message().contains("correct the rows"), "{}", err.message());
}

#[test]
fn a_dry_run_changes_nothing() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT i AS id FROM range(3) r(i); CREATE TABLE raw.unread (x INT)");
    let dry = Options { dry_run: true, ..Options::default() };
    let head = lake.snapshot();
    let outcome = lake.run(&models(CHAIN), dry.clone());
    assert!(outcome.iter().all(|outcome| outcome.snapshot_id.is_none()));
    assert_eq!(outcome[4].change, Change::Created);
    assert_eq!(lake.snapshot(), head);
    assert!(lake.rows("FROM duckdb_tables() WHERE schema_name IN ('silver', 'gold')").is_empty());

    lake.run(&models(CHAIN), Options::default());
    lake.sql("INSERT INTO raw.t VALUES (7)");
    let head = lake.snapshot();
    let outcome = lake.run(&models(CHAIN), dry.clone());
    assert_eq!((outcome[4].change, outcome[4].rows, outcome[4].rows_inserted), (Change::Updated, 4, 1));
    assert_eq!(lake.snapshot(), head);
    assert_eq!(lake.rows("SELECT count(*) AS n FROM gold.c"), ["{\"n\":3}"]);

    lake.sql("INSERT INTO raw.t VALUES (7)");
    let err = lake.fail(&models(CHAIN), dry);
    assert!(!err.message().contains("committed"), "{}", err.message());
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let lake = Lake::new();
    let err = lake.fail(&models(CHAIN), Options::default());
    assert_eq!(err.kind(), ErrorKind::FailedPrecondition);
    assert!(
        err.message().starts_with("transform raw.t (test.sql:14): the source is not in the lake"),
        "{}",
        err.message()
    );
    let err = lake.fail(&models("-- model: silver.x\nFROM silver.absent"), Options::default());
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert!(err.message().ends_with("ingest or transform what it reads first"), "{}", err.message());
    let err = lake.fail(&models("-- model: silver.x\nSELEC 1"), Options::default());
    assert!(
        err.message().starts_with("read model silver.x at test.sql:1: syntax error at or near"),
        "{}",
        err.message()
    );
    for text in ["SELECT 1 AS a; DROP SCHEMA gold", "DROP SCHEMA gold", "SELECT 1 AS \"RowId\""] {
        let err = lake.fail(&models(&format!("-- model: silver.x\n{text}")), Options::default());
        assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{}", err.message());
    }
    lake.sql("CREATE TABLE gold.still_there (x INT)");
}

#[test]
fn a_model_that_loses_against_another_writer_is_repeated() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT 1 AS id; CREATE TABLE silver.t AS SELECT 0 AS id");
    let copy = models("-- model: silver.t\nSELECT id FROM raw.t");
    // The other writer commits between this run's reads and its commit.
    let (outcome, repeats) = lake.run_against(copy, |nth| format!("INSERT INTO silver.t VALUES ({nth})"), 2);
    assert_eq!(outcome.unwrap().remove(0).change, Change::Updated);
    assert_eq!(repeats, 2);
    assert_eq!(lake.rows("FROM silver.t"), ["{\"id\":1}"]);

    let copy = models("-- model: silver.t\nSELECT 5 AS id");
    let (outcome, repeats) = lake.run_against(copy, |nth| format!("INSERT INTO silver.t VALUES ({nth})"), 99);
    let err = outcome.unwrap_err();
    assert_eq!((err.kind(), repeats), (ErrorKind::Conflict, 20));
    assert!(err.message().contains("other writers were faster each time"), "{}", err.message());
}

#[test]
fn tables_are_found_whatever_the_query_is() {
    let lake = Lake::new();
    let check = |query: &'static str, expected: &[&str]| {
        assert_eq!(lake.on(move |connection| tables(connection, query)), expected, "{query}");
    };
    check(
        "WITH t AS (FROM raw.a) SELECT i FROM t JOIN lake.Silver.B USING (i) WHERE i IN (FROM gold.c)",
        &["gold.c", "raw.a", "silver.b"],
    );
    check("FROM raw.a AT (VERSION => 3)", &["raw.a"]);
    check("FROM other.raw.a, LAKE.raw.b, raw.b", &["raw.b"]);
    check("FROM (PIVOT raw.a ON x IN ('y') USING sum(z))", &["raw.a"]);
    check(
        "SELECT *, row_number() OVER (PARTITION BY a ORDER BY b) AS n FROM raw.a t QUALIFY n = 1;\n-- end",
        &["raw.a"],
    );
    check("(SELECT 1 FROM raw.a) UNION ALL (SELECT (SELECT max(i) FROM raw.\"b c\"))", &["raw.a", "raw.b c"]);
    check("WITH RECURSIVE r AS (SELECT 1 AS i UNION SELECT i + 1 FROM r, raw.z) FROM r", &["raw.z"]);
    check("SELECT * FROM other.raw.a, t, 'file.csv', range(3)", &[]);
    check("VALUES (1)", &[]);
    check("SELECT -- a ; b\n 1 FROM raw.a /* ; */", &["raw.a"]);
    let deep = format!("-- model: silver.x\nSELECT {} 1 {} AS i FROM silver.y", "abs(".repeat(150), ")".repeat(150));
    let deep = models(&format!("{deep}\n;\n-- model: silver.y\nSELECT 1 AS j"));
    let names: Vec<_> = lake.run(&deep, Options::default()).into_iter().map(|outcome| outcome.model).collect();
    assert_eq!(names, ["silver.y", "silver.x"]);
}

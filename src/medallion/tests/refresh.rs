//! Updating a table to the result of its model.

use super::lake::{Lake, Options, models};
use crate::proto::transform_result::model::Change;

const COPY: &str = "-- model: silver.t\nSELECT * FROM raw.t";

#[test]
fn only_the_difference_is_written() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT i AS id, [i, NULL] AS list, {'a': i, 'b': NULL::INT} AS pair FROM range(100) r(i)");
    let copy = models(COPY);
    let first = lake.run(&copy, Options::default()).remove(0);
    assert_eq!((first.change, first.rows_inserted, first.rows_deleted), (Change::Created, 100, 0));
    assert_eq!(first.snapshot_id.map(|id| id.0), Some(lake.snapshot()));
    lake.sql("COMMENT ON TABLE silver.t IS 'kept'");
    let before = lake.rows("SELECT rowid AS r, id FROM silver.t WHERE id <> 7 ORDER BY id");
    let head = lake.snapshot();

    let second = lake.run(&copy, Options::default()).remove(0);
    assert_eq!((second.change, second.rows, second.snapshot_id), (Change::Unchanged, 100, None));
    assert_eq!(lake.snapshot(), head, "an unchanged table must not make a snapshot");

    lake.sql("UPDATE raw.t SET list = [1] WHERE id = 7");
    let third = lake.run(&copy, Options::default()).remove(0);
    assert_eq!((third.change, third.rows_inserted, third.rows_deleted), (Change::Updated, 1, 1));
    assert_eq!(lake.rows("SELECT rowid AS r, id FROM silver.t WHERE id <> 7 ORDER BY id"), before);
    assert_eq!(lake.rows("SELECT list FROM silver.t WHERE id = 7"), ["{\"list\":[1]}"]);
    let comment = "SELECT comment FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'silver'";
    assert_eq!(lake.rows(comment), ["{\"comment\":\"kept\"}"]);
}

#[test]
fn equal_rows_count_one_by_one() {
    let lake = Lake::new();
    lake.sql(
        "CREATE TABLE raw.t AS SELECT 1 AS a, NULL::VARCHAR AS b FROM range(5) UNION ALL SELECT 2, 'x' FROM range(2)",
    );
    let copy = models(COPY);
    lake.run(&copy, Options::default());
    lake.sql("CREATE OR REPLACE TABLE raw.t AS SELECT 1 AS a, NULL::VARCHAR AS b FROM range(2) UNION ALL SELECT 2, 'x' FROM range(4)");
    let outcome = lake.run(&copy, Options::default()).remove(0);
    assert_eq!((outcome.rows, outcome.rows_inserted, outcome.rows_deleted), (6, 2, 3));
    let counts = lake.rows("SELECT a, count(*) AS n FROM silver.t GROUP BY a ORDER BY a");
    assert_eq!(counts, ["{\"a\":1,\"n\":2}", "{\"a\":2,\"n\":4}"]);
}

#[test]
fn random_changes_end_in_the_same_rows() {
    let lake = Lake::new();
    let copy = models(COPY);
    for seed in 0..12 {
        lake.sql(&format!(
            "CREATE OR REPLACE TABLE raw.t AS SELECT (hash(i, {seed}) % 7)::INT AS a, \
             CASE WHEN hash(i, {seed}, 1) % 5 > 0 THEN [(hash(i, {seed}, 2) % 3)::DOUBLE] END AS b \
             FROM range({}) r(i)",
            (seed * 37) % 100,
        ));
        lake.run(&copy, Options::default());
        let all = "a, b, count(*) AS n";
        let content =
            |table: &str| lake.rows(&format!("SELECT {all} FROM {table} GROUP BY a, b ORDER BY a, b NULLS LAST"));
        assert_eq!(content("silver.t"), content("raw.t"), "seed {seed}");
    }
}

#[test]
fn other_columns_and_full_refresh_replace_the_table() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT 1 AS a");
    lake.run(&models(COPY), Options::default());
    let wider = models("-- model: silver.t\nSELECT *, 'new' AS b FROM raw.t");
    let outcome = lake.run(&wider, Options::default()).remove(0);
    assert_eq!((outcome.change, outcome.rows_inserted, outcome.rows_deleted), (Change::Replaced, 1, 1));
    assert_eq!(lake.rows("FROM silver.t"), ["{\"a\":1,\"b\":\"new\"}"]);
    let full = Options { full_refresh: true, ..Options::default() };
    let outcome = lake.run(&wider, full).remove(0);
    assert_eq!(outcome.change, Change::Replaced);
    assert_eq!(outcome.snapshot_id.map(|id| id.0), Some(lake.snapshot()));
    let wider_type = models("-- model: silver.t\nSELECT a::BIGINT AS a, 'new' AS b FROM raw.t");
    assert_eq!(lake.run(&wider_type, Options::default()).remove(0).change, Change::Replaced);
}

#[test]
fn an_empty_result_empties_the_table() {
    let lake = Lake::new();
    lake.sql("CREATE TABLE raw.t AS SELECT 1 AS a");
    lake.run(&models(COPY), Options::default());
    lake.sql("DELETE FROM raw.t");
    let outcome = lake.run(&models(COPY), Options::default()).remove(0);
    assert_eq!((outcome.rows, outcome.rows_deleted), (0, 1));
    assert!(lake.rows("FROM silver.t").is_empty());
}

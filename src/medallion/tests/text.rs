//! Parsing of model files.

use std::fs;

use tempfile::TempDir;

use super::lake::models;
use crate::{
    error::ErrorKind,
    medallion::{Bound, CheckKind, Relation, built_in, load, parse},
};

#[track_caller]
fn check_fault(text: &str, expected: &str) {
    let err = parse("m.sql", text).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument);
    assert!(err.message().contains(expected), "{}", err.message());
}

#[test]
fn built_in_models_are_read_in_full() {
    let models = built_in().unwrap();
    assert_eq!(models.iter().filter(|model| model.is_source()).count(), 7);
    assert_eq!(models.iter().filter(|model| !model.is_source()).count(), 6);
    for model in models {
        assert!(!model.description.is_empty(), "{} has no description", model.name());
        assert!(model.checks.len() >= 2, "{} has too few checks", model.name());
    }
}

#[test]
fn a_section_has_description_checks_and_select() {
    let text = "-- Preamble: of the file.\n\n-- source: raw.a\n-- check: not_null(id)\n\n-- model: silver.b\n-- First.\n\
                --   Still first.\n-- check: accepted_values(s, 'a,(', 'b')\n-- Second.\n\
                -- check: sql(it's big)\n--   SELECT * -- all\n--   FROM silver.b ;\n\n-- a comment\nSELECT 1 AS id\n;\n";
    let models = models(text);
    let [source, model] = models.as_slice() else { panic!("{models:?}") };
    assert!(source.is_source());
    assert_eq!((source.name(), source.origin.line), ("raw.a".into(), 3));
    assert_eq!(model.name(), "silver.b");
    assert_eq!(model.sql_name(), "lake.\"silver\".\"b\"");
    assert_eq!(model.description, "First.\nStill first.\nSecond.");
    assert_eq!(model.query.as_deref(), Some("-- a comment\nSELECT 1 AS id\n;"));
    let [values, sql] = model.checks.as_slice() else { panic!("{:?}", model.checks) };
    let expected = CheckKind::AcceptedValues { column: "s".into(), values: vec!["'a,('".into(), "'b'".into()] };
    assert_eq!((&values.kind, values.line), (&expected, 9));
    assert_eq!(sql.to_string(), "sql(it's big)");
    assert_eq!(sql.failing_rows("t"), "SELECT * -- all\nFROM silver.b");
}

#[test]
fn row_counts_compare_with_numbers_and_tables() {
    let model =
        models("-- model: gold.a\n-- check: row_count(>= 10)\n-- check: row_count(<>raw.b)\nSELECT 1").remove(0);
    let kinds: Vec<_> = model.checks.iter().map(|check| check.kind.clone()).collect();
    let expected = [
        CheckKind::RowCount(Relation::AtLeast, Bound::Number(10)),
        CheckKind::RowCount(Relation::Unequal, Bound::Table("raw.b".into())),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(model.checks[1].to_string(), "row_count(<> raw.b)");
}

#[test]
fn faults_name_file_and_line() {
    check_fault(
        "-- model: silver.a\n-- check: uniqe(id)\nSELECT 1",
        "m.sql:2: unknown check \"uniqe\"; did you mean \"unique\"",
    );
    check_fault("-- model: silver.a\n-- chekc: unique(id)\nSELECT 1", "m.sql:2: unknown key \"chekc:\"");
    check_fault("-- model: silver.a\n-- check: unique id\nSELECT 1", "unknown check \"unique id\"");
    check_fault("-- model: silver.a\n-- check: unique\nSELECT 1", "m.sql:2: check unique needs its arguments");
    check_fault("-- model: silver.a\n-- check: unique(a,)\nSELECT 1", "empty argument");
    check_fault("-- model: silver.a\n-- check: unique(a\nSELECT 1", "is not closed");
    check_fault("-- model: silver.a\n-- check: unique(a) b\nSELECT 1", "unexpected \"b\"");
    check_fault("-- model: silver.a\n-- check: accepted_values(a)\nSELECT 1", "at least one value");
    check_fault("-- model: silver.a\n-- check: row_count(10)\nSELECT 1", "needs a relation");
    check_fault("-- model: silver.a\n-- check: row_count(< a b)\nSELECT 1", "needs a relation");
    check_fault("-- model: silver.a\n-- check: sql(title)\nSELECT 1", "needs a title and a query");
    check_fault("-- model: silver.a\n\n-- check: unique(a)\nSELECT 1", "m.sql:3: a check after the header");
    check_fault("\n-- model: silvr.a\nSELECT 1", "m.sql:2: no layer \"silvr\"; did you mean \"silver\"");
    check_fault("-- model: a\nSELECT 1", "not a name of the form layer.table");
    check_fault("-- model: silver.a-b\nSELECT 1", "\"a-b\" is not a valid table name");
    check_fault("-- model: silver.a\n-- check: unique(a)\n", "m.sql:1: model silver.a has no SELECT");
    check_fault("-- source: raw.a\nSELECT 1", "m.sql:1: source raw.a has a statement");
    check_fault("SELECT 2;\n-- model: silver.a\nSELECT 1", "m.sql:1: SQL before the first");
    check_fault("-- check: unique(a)\n-- model: silver.a\nSELECT 1", "m.sql:1: a check before the first head");
}

#[test]
fn a_folder_replaces_the_built_in_models() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("00_attach.sql", "CREATE SCHEMA x;");
    assert!(load(folder.path()).unwrap_err().message().contains("no *.sql file in it"));
    write("20.sql", "-- model: silver.b\nSELECT 2");
    write("10.sql", "-- model: silver.a\nSELECT 1");
    write("notes.txt", "-- model: silver.c\nSELECT 3");
    let names: Vec<_> = load(folder.path()).unwrap().iter().map(crate::medallion::Model::name).collect();
    assert_eq!(names, ["silver.a", "silver.b"]);
    write("30.sql", "\n-- model: silver.a\nSELECT 3");
    let err = load(folder.path()).unwrap_err();
    assert!(err.message().contains("30.sql:2: silver.a has a section already, at 10.sql:1"), "{}", err.message());
    assert_eq!(load(&folder.path().join("absent")).unwrap_err().kind(), ErrorKind::NotFound);
}

use std::collections::HashSet;

use arrow::{
    array::{BooleanArray, Int64Array, RecordBatch, StringArray},
    datatypes::DataType,
};
use serde_json::{Value, json};

use super::{super::dispatch::ALL, Call, parse as parse_statement};
use crate::{
    error::{ErrorKind, Result},
    proto::{self, Takes},
    sql,
};

fn parse(text: &str) -> Result<Option<Call>> {
    parse_statement(&sql::parse_one(text)?)
}

#[track_caller]
fn check(sql: &str, action: &str, body: &Value) {
    let call = parse(sql).unwrap().unwrap();
    assert_eq!((call.action.name, &Value::Object(call.body)), (action, body), "{sql}");
}

#[test]
fn arguments_are_fields_by_order_and_by_name() {
    let back = json!({"table": "silver.t", "to": {"version": 3}});
    for sql in [
        "CALL merganser.rollback('silver.t', version => 3)",
        "call MERGANSER.Rollback('silver.t', VERSION := 3);",
        "/* a */ -- b\n CALL \"merganser\" . rollback(version = 3, \"table\" => 'silver.t')",
        "CALL merganser.rollback('silver.t', to => {'version': 3})",
    ] {
        check(sql, "rollback", &back);
    }
    check(
        "CALL merganser.rollback('t', NULL, false, {version: 3}, true, message => 'it''s', idempotency_key => 'k')",
        "rollback",
        &json!({"table": "t", "schema": null, "lake": false, "to": {"version": 3}, "dry_run": true,
            "message": "it's", "idempotency_key": "k"}),
    );
    check("CALL merganser.transform(['silver', 'gold.x'])", "transform", &json!({"select": ["silver", "gold.x"]}));
    check("CALL merganser.transform(select => ['silver'])", "transform", &json!({"select": ["silver"]}));
    check(
        "CALL merganser.rollback(table => 't', to => {tag: 'x'})",
        "rollback",
        &json!({"table": "t", "to": {"tag": "x"}}),
    );
    check("CALL merganser.tag('a', -1)", "tag", &json!({"name": "a", "version": -1}));
    check(
        "CALL merganser.rollback('t', timestamp => TIMESTAMP '2026-01-31 12:00:00')",
        "rollback",
        &json!({"table": "t", "to": {"timestamp": "2026-01-31 12:00:00"}}),
    );
    // Rejected with the body.
    check("CALL merganser.tag(colour => 'red')", "tag", &json!({"colour": "red"}));
}

#[test]
fn a_name_with_a_dot_has_three_forms() {
    for name in ["job_cancel", "\"job.cancel\"", "job.cancel"] {
        check(&format!("CALL merganser.{name}('x')"), "job.cancel", &json!({"job_id": "x"}));
    }
    check("CALL merganser.jobs()", "jobs", &json!({}));
    check("CALL merganser.jobs", "jobs", &json!({}));
}

#[test]
fn other_statements_are_left_alone() {
    for sql in [
        "SELECT 1",
        "CALL",
        "CALL pragma_version()",
        "CALL merganser_jobs()",
        "CALL merganser",
        "CALL merganserx.jobs()",
        "CALLmerganser.jobs()",
        "'CALL merganser.jobs()'",
        "EXPLAIN CALL merganser.jobs()",
        "CALL \u{e9}\u{e9}",
    ] {
        assert!(parse(sql).unwrap().is_none(), "{sql}");
    }
}

#[test]
fn what_is_not_written_as_it_must_be_is_refused() {
    for (sql, text) in [
        ("CALL merganser.tag('a'", "read the CALL"),
        ("CALL merganser.tag('a'); CALL merganser.tag('b')", "contains 2"),
        ("CALL merganser.tag('a', name => 'b')", "\"name\" is given twice"),
        ("CALL merganser.rollback('t', to => {'version': 3}, version => 4)", "\"version\" is given twice"),
        ("CALL merganser.rollback('t', version => 4, to => {'version': 3})", "\"to\" is given twice"),
        ("CALL merganser.rollback('t', version => ?, version => 4)", "\"version\" is given twice"),
        ("CALL merganser.tag(version => 1, 'a')", "come first"),
        ("CALL merganser.jobs('a')", "it takes none"),
        ("CALL merganser.tag(lower('A'))", "constants"),
        ("CALL merganser.tag(a)", "constants"),
        ("CALL merganser.tag((SELECT 1))", "constants"),
        ("CALL merganser.tag(*)", "constants"),
        ("CALL merganser.tag(-'a')", "constants"),
        ("CALL merganser.tag(['a', ?])", "constants"),
        ("CALL merganser.tag(X'41')", "constants"),
        ("CALL merganser.tag(DISTINCT 'a')", "constants"),
        ("CALL merganser.tag('a') OVER ()", "constants"),
    ] {
        let err = parse(sql).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidArgument, "{sql}: {err}");
        assert!(err.message().contains(text), "{sql}: {err}");
    }
    for sql in ["CALL merganser.nothing()", "CALL merganser.tag($1)", "CALL merganser.tag.x()"] {
        assert_eq!(parse(sql).unwrap_err().kind(), ErrorKind::Unsupported, "{sql}");
    }
    let deep = format!("CALL merganser.tag({}1{})", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(parse(&deep).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn parameters_go_where_their_argument_stands() {
    let call = parse("CALL merganser.rollback(?, dry_run => ?, version => ?)").unwrap().unwrap();
    let types: Vec<_> = call.parameters().fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types, [DataType::Utf8, DataType::Boolean, DataType::Int64]);
    let columns: Vec<(&str, arrow::array::ArrayRef)> = vec![
        ("x", std::sync::Arc::new(StringArray::from(vec!["t"]))),
        ("x", std::sync::Arc::new(BooleanArray::from(vec![None::<bool>]))),
        ("x", std::sync::Arc::new(Int64Array::from(vec![i64::MAX]))),
    ];
    let row = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let row = row.unwrap();
    assert_eq!(call.values(Some(&row)).unwrap(), [json!("t"), json!(null), json!(i64::MAX)]);
    for wrong in [None, Some(&row.slice(0, 0)), Some(&row.project(&[0, 1]).unwrap())] {
        assert_eq!(call.values(wrong).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_name_of_a_field_is_none_of_a_message() {
    for action in ALL {
        let fields = proto::describe(action.request).unwrap().fields;
        let mut own = HashSet::new();
        assert!(fields.iter().all(|field| own.insert(&field.name)), "{}", action.name);
        let messages = fields.iter().filter_map(|field| match &field.takes {
            Takes::Message(inner) => Some(inner),
            Takes::Text | Takes::Whole | Takes::Flag | Takes::Texts | Takes::Pairs => None,
        });
        for inner in messages.flatten() {
            assert!(!own.contains(&inner.name), "{}: {} is two fields", action.name, inner.name);
        }
    }
    let names: HashSet<_> = ALL.iter().map(|action| action.name.replace('.', "_")).collect();
    assert_eq!(names.len(), ALL.len());
}

/// `version` could be that of `from` or of `to`, so it is rejected with the body.
#[test]
fn a_name_that_two_messages_have_means_neither() {
    check("CALL merganser.diff(version => 3)", "diff", &json!({"version": 3}));
}

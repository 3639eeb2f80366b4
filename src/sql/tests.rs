use super::*;
use crate::quote::identifier;

#[track_caller]
fn one(sql: &str) -> ParsedStatement {
    parse_one(sql).unwrap_or_else(|err| panic!("{sql}: {err}"))
}

fn spellings(sql: &str) -> Vec<String> {
    let text = token::plain_spaces(sql);
    token::tokens(&text).unwrap().iter().map(|token| text[token.start..token.end].to_owned()).collect()
}

#[test]
fn tokens_are_those_of_duckdb() {
    for (sql, expected) in [
        ("SELECT 'it''s'", vec!["SELECT", "'it''s'"]),
        (r"SELECT e'it\'s; ' ;", vec!["SELECT", r"e'it\'s; '", ";"]),
        ("a /* x /* y */ z */ b -- c\rd", vec!["a", "b", "d"]),
        ("$$a;b$$ $x$ $$ $x$ $1 $name $", vec!["$$a;b$$", "$x$ $$ $x$", "$1", "$name", "$"]),
        ("'a' -- c\n 'b' 'c'", vec!["'a' -- c\n 'b'", "'c'"]),
        ("\"a \"\"b\" ä.b$c", vec!["\"a \"\"b\"", "ä", ".", "b$c"]),
        ("1..10 1.5e-3 1_000 .5 1e", vec!["1", "..", "10", "1.5e-3", "1_000", ".5", "1", "e"]),
        ("a::b:=c=>d ?1 ?", vec!["a", "::", "b", ":=", "c", "=>", "d", "?1", "?"]),
        ("\u{feff}a\u{a0}b\u{2060}c\u{3000}d  ", vec!["a", "b", "c", "d"]),
        ("'\u{a0}' \"\u{a0}\" $$\u{a0}$$ --\u{a0}\na", vec!["'\u{a0}'", "\"\u{a0}\"", "$$\u{a0}$$", "a"]),
        // DuckDB reads only up to the third byte before the end.
        ("a\u{a0}", vec!["a\u{a0}"]),
    ] {
        assert_eq!(spellings(sql), expected, "{sql}");
    }
    for sql in ["'open", "\"open", "/* /* open */", "$$open$", "SELECT U&'x'", "e'\\'"] {
        assert!(parse(sql).is_err(), "{sql}");
    }
}

#[test]
fn statements_are_parted_by_semicolons_outside_of_texts() {
    let texts = |sql: &str| parse(sql).unwrap().iter().map(|one| one.text().trim().to_owned()).collect::<Vec<_>>();
    assert_eq!(texts("SELECT ';'; ; -- ;\n UPDATE t SET a = $$;$$;"), ["SELECT ';'", "-- ;\n UPDATE t SET a = $$;$$"]);
    assert_eq!(texts(" ; SELECT 1 ; "), ["; SELECT 1 ;"]);
    assert!(texts("").is_empty() && texts(" -- x").is_empty());
}

#[test]
fn kinds_follow_from_the_first_words_wherever_they_stand() {
    use TransactionControl::{Begin, Commit, Rollback};
    for (sql, kind) in [
        (";COMMIT", Kind::Transaction(Commit)),
        ("/* /* n */ */ COMMIT", Kind::Transaction(Commit)),
        ("-- x\rcommit work", Kind::Transaction(Commit)),
        ("\u{200b}END", Kind::Transaction(Commit)),
        ("\u{feff}COMMIT ", Kind::Transaction(Commit)),
        ("\u{2060}\u{feff}ABORT", Kind::Transaction(Rollback)),
        // A quote in a comment hides the space after it from DuckDB, which then cuts it off.
        ("COMMIT /*\"*/ WORK\u{200b};", Kind::Transaction(Commit)),
        ("-- x\rBEGIN", Kind::Transaction(Begin)),
        ("start transaction", Kind::Transaction(Begin)),
        ("(SELECT 1)", Kind::Read),
        ("WITH insert AS (SELECT 1), b(x, y) AS NOT MATERIALIZED (SELECT 1, 2) DELETE FROM t", Kind::Delete),
        ("WITH RECURSIVE r(n) USING KEY (n) AS (SELECT 1) FROM r", Kind::Read),
        ("WITH recursive AS (SELECT 1) FROM recursive", Kind::Read),
        ("UPDATE EXTENSIONS", Kind::Other("UPDATE EXTENSIONS")),
        ("UPDATE extensions SET a = 1", Kind::Update),
        ("nonsense", Kind::Unknown),
    ] {
        assert_eq!(*one(sql).kind(), kind, "{sql}");
    }
}

#[test]
fn explain_is_of_what_it_explains() {
    for (sql, analyze, explained) in [
        ("EXPLAIN (ANALYZE insert) COPY (SELECT 1) TO 'x'", true, Kind::Other("COPY")),
        ("EXPLAIN (ANALYZE insert) CREATE TEMP TABLE orders AS SELECT 1", true, Kind::Create),
        ("EXPLAIN (FORMAT json, ANALYSE) SELECT 1", true, Kind::Read),
        ("explain analyze verbose INSERT INTO t FROM u", true, Kind::Insert),
        ("EXPLAIN (SELECT 1)", false, Kind::Read),
        ("EXPLAIN (WITH a AS (SELECT 1) FROM a)", false, Kind::Read),
        ("EXPLAIN (FORMAT json) (SELECT 1)", false, Kind::Read),
        ("EXPLAIN SET SESSION schema = 'x'", false, Kind::Set),
    ] {
        assert_eq!(*one(sql).kind(), Kind::Explain { analyze, explained: Box::new(explained) }, "{sql}");
    }
}

#[test]
fn definitions_say_what_they_are_about() {
    #[track_caller]
    fn check(sql: &str, object: Object, name: &[&str], temporary: bool, change: &Change) {
        let statement = one(sql);
        let definition = statement.definition().unwrap();
        assert_eq!(definition.object, object, "{sql}");
        assert_eq!(definition.name.as_ref().map(|name| name.parts().to_vec()).unwrap_or_default(), name, "{sql}");
        assert_eq!((definition.is_temp(), &definition.change), (temporary, change), "{sql}");
    }
    check(
        "CREATE OR REPLACE TABLE IF NOT EXISTS lake.\"a b\".t (i INT)",
        Object::Table,
        &["lake", "a b", "t"],
        false,
        &Change::Whole,
    );
    check("CREATE LOCAL TEMPORARY VIEW v AS SELECT 1", Object::View, &["v"], true, &Change::Whole);
    check("CREATE TABLE temp.main.t (i INT)", Object::Table, &["temp", "main", "t"], true, &Change::Whole);
    check("CREATE TABLE temp (i INT)", Object::Table, &["temp"], false, &Change::Whole);
    check("CREATE FUNCTION m(x) AS x", Object::Macro, &["m"], false, &Change::Whole);
    check("DROP MACRO TABLE m", Object::Macro, &["m"], false, &Change::Whole);
    check(
        "CREATE SCHEMA lake.\"__ducklake_metadata_lake\"",
        Object::Schema,
        &["lake", "__ducklake_metadata_lake"],
        false,
        &Change::Whole,
    );
    check("create or replace /* x */ temporary secret s (TYPE s3)", Object::Secret, &["s"], true, &Change::Whole);
    check("DROP TABLE IF EXISTS memory.t", Object::Table, &["memory", "t"], false, &Change::Whole);
    check("ALTER TABLE IF EXISTS a.t RENAME TO \"T\"", Object::Table, &["a", "t"], false, &Change::Rename("T".into()));
    check("ALTER VIEW v RENAME TO w", Object::View, &["v"], false, &Change::Rename("w".into()));
    check("ALTER TABLE ONLY (t) RESET PARTITIONED BY", Object::Table, &["t"], false, &Change::ResetPartitioning);
    check("ALTER TABLE t RENAME COLUMN a TO b", Object::Table, &["t"], false, &Change::Other);
    check("COMMENT ON COLUMN s.t.c IS 'RENAME TO'", Object::Table, &["s", "t"], false, &Change::Other);
    check("ALTER DATABASE x SET ALIAS TO y", Object::Database, &["x"], false, &Change::Other);
}

#[test]
fn cascade_is_dropped_where_it_is_no_name() {
    assert_eq!(&**one("DROP TABLE t CASCADE;").text(), "DROP TABLE t ;");
    assert_eq!(&**one("drop view if exists a.\"cascade\" cascade").text(), "drop view if exists a.\"cascade\" ");
    assert_eq!(&**one("DROP TABLE cascade").text(), "DROP TABLE cascade");
    assert_eq!(&**one("DROP SCHEMA s CASCADE").text(), "DROP SCHEMA s CASCADE");
}

#[test]
fn targets_are_found_behind_everything_else() {
    for (sql, target) in [
        ("INSERT OR REPLACE INTO memory.main.t VALUES (1)", "\"memory\".\"main\".\"t\""),
        ("WITH x AS (SELECT 1) DELETE FROM ONLY t USING x", "\"t\""),
        ("EXPLAIN ANALYZE UPDATE 'a'.t SET i = 1", "\"a\".\"t\""),
        ("EXPLAIN (ANALYZE) MERGE INTO a.b USING c ON true WHEN MATCHED THEN DELETE", "\"a\".\"b\""),
        ("TRUNCATE TABLE t", "\"t\""),
    ] {
        assert_eq!(one(sql).target().unwrap().to_string(), target, "{sql}");
    }
    assert_eq!(one("SELECT 1").target(), None);
}

#[test]
fn what_reads_its_own_table_is_told_apart() {
    let table = |name: &str| ReadsAndWrites::Table(Name::new(vec![name.into()]));
    for (sql, expected) in [
        ("UPDATE t SET i = 1", table("t")),
        (";DELETE\u{a0}FROM t", table("t")),
        ("MERGE INTO t USING u ON true WHEN NOT MATCHED THEN INSERT", table("t")),
        ("EXPLAIN ANALYZE DELETE FROM t", table("t")),
        ("EXPLAIN DELETE FROM t", ReadsAndWrites::No),
        ("INSERT INTO t VALUES (1)", ReadsAndWrites::No),
        ("INSERT INTO t SELECT 1", ReadsAndWrites::No),
        (
            "INSERT INTO t SELECT 1 WHERE NOT EXISTS (FROM v)",
            ReadsAndWrites::IfQueried {
                table: Name::new(vec!["t".into()]),
                query: "SELECT 1 WHERE NOT EXISTS (FROM v)".into(),
            },
        ),
        (
            "EXPLAIN ANALYZE WITH z AS (FROM u WHERE i = ?) INSERT INTO t (i) SELECT i + $1 FROM z",
            ReadsAndWrites::IfQueried {
                table: Name::new(vec!["t".into()]),
                query: "WITH z AS (FROM u WHERE i = ?) SELECT i + NULL FROM z".into(),
            },
        ),
        ("DELETE FROM temp.t", ReadsAndWrites::No),
        ("SELECT 'DELETE'", ReadsAndWrites::No),
    ] {
        assert_eq!(one(sql).reads_and_writes(), expected, "{sql}");
    }
}

#[test]
fn only_what_names_no_table_reads_nothing() {
    for sql in ["SELECT 1", "select 1 + ? AS n, 'FROM'", "-- alive?\nSELECT current_date"] {
        assert!(one(sql).reads_nothing(), "{sql}");
    }
    for sql in
        ["FROM t", "SELECT * FROM t", "SELECT f()", "SELECT 1 UNION TABLE t", "DESCRIBE t", "INSERT INTO t VALUES (1)"]
    {
        assert!(!one(sql).reads_nothing(), "{sql}");
    }
}

#[test]
fn what_is_called_is_found_in_quotes_and_in_texts() {
    let calls = |sql: &str| one(sql).calls();
    let names = |sql: &str| calls(sql).functions.into_iter().map(|function| function.name).collect::<Vec<_>>();
    assert_eq!(names("FROM lake.\"Ducklake_X\" ('lake')"), ["ducklake_x"]);
    assert_eq!(names("FROM query('FROM \"f\"(''lake'')')"), ["f", "query"]);
    assert_eq!(names("FROM query('FROM '\n'g()')"), ["g", "query"]);
    for sql in
        ["FROM query('a' || 'b')", "FROM query(?)", "FROM query($1)", "FROM query(x'00')", "FROM query('''open')"]
    {
        assert!(calls(sql).runs_unread_text, "{sql}");
    }
    assert!(!calls("SELECT query FROM t WHERE a IN ('b')").runs_unread_text);
}

#[test]
fn a_statement_is_told_on_a_line_without_its_texts() {
    let summary = |sql: &str| one(sql).summary();
    assert_eq!(
        summary("-- why\nUPDATE t\n   SET \"a b\" = 'it''s secret', n = 5 /* x */ WHERE id=?;"),
        "UPDATE t SET \"a b\" = '…', n = 5 WHERE id=?"
    );
    assert_eq!(summary("INSERT INTO t VALUES ($$x$$, e'\\n')"), "INSERT INTO t VALUES ('…', '…')");
    let long = summary(&format!("DELETE FROM t WHERE i IN ({})", ["ä"; 200].join(",")));
    assert_eq!(long.chars().count(), 121);
    assert!(long.ends_with('…'));
}

#[test]
fn settings_are_read() {
    let text = |text: &str| Some(Constant::Text(text.to_owned()));
    let session = |name: &str, value| Some(Setting::Session(name.into(), value));
    for (sql, expected) in [
        ("SET timezone = 'UTC'", session("timezone", text("UTC"))),
        ("set TimeZone to 'Asia/Tokyo';", session("timezone", text("Asia/Tokyo"))),
        ("SET TIME ZONE 'UTC'", session("timezone", text("UTC"))),
        ("SET timezone = UTC", session("timezone", text("UTC"))),
        ("SET SESSION integer_division = true", session("integer_division", Some(Constant::Flag(true)))),
        ("SET pivot_limit = -5", session("pivot_limit", Some(Constant::Number("-5".into())))),
        ("/* x */ SET schema = 'silver'", session("schema", text("silver"))),
        ("RESET timezone", session("timezone", None)),
        ("SET GLOBAL timezone = 'UTC'", Some(Setting::Global("timezone".into()))),
        ("USE lake.\"odd name\"", Some(Setting::Use(Name::new(vec!["lake".into(), "odd name".into()])))),
        ("SET VARIABLE x = (SELECT 5)", Some(Setting::Variable("x".into()))),
        ("SET variable = 3", session("variable", Some(Constant::Number("3".into())))),
        ("RESET VARIABLE x", Some(Setting::Variable("x".into()))),
        ("SET x = (SELECT 1)", None),
        ("SELECT 1", None),
    ] {
        assert_eq!(one(sql).setting(), expected, "{sql}");
    }
}

#[test]
fn calls_are_read_with_their_arguments() {
    let call = one("CALL \"Merganser\" /* x */ . rollback('t', version => 3, ?, d := {'a': [1, NULL]})").call();
    let call = call.unwrap().unwrap();
    assert_eq!(call.name.parts(), ["Merganser", "rollback"]);
    let constant = |constant| Argument::Constant(constant);
    let list = Constant::List(vec![Constant::Number("1".into()), Constant::Null]);
    assert_eq!(
        call.arguments,
        [
            (None, constant(Constant::Text("t".into()))),
            (Some("version".into()), constant(Constant::Number("3".into()))),
            (None, Argument::Parameter),
            (Some("d".into()), constant(Constant::Struct(vec![("a".into(), list)]))),
        ]
    );
    for sql in ["CALL m.a(1 + 1)", "CALL m.a($1)", "CALL m.a(b)", "CALL m.a(1) x", "CALL m.a(1, )"] {
        assert!(one(sql).call().is_err(), "{sql}");
    }
    assert_eq!(one("SELECT 1").call().unwrap(), None);
}

#[test]
fn prepared_statements_are_read() {
    let prepare = one("PREPARE \"Q\" AS INSERT INTO t VALUES ($1)").preparation().unwrap().unwrap();
    assert_eq!((prepare.name.as_str(), prepare.statement.kind()), ("q", &Kind::Insert));
    assert!(one("PREPARE q(INT) AS SELECT 1").preparation().is_err());
    let execute = one("EXECUTE q(1 + 1, x := f('a', 2))").execution().unwrap().unwrap();
    assert_eq!(execute.arguments, [(None, "1 + 1".into()), (Some("x".into()), "f('a', 2)".into())]);
    assert!(one("EXECUTE q").execution().unwrap().unwrap().arguments.is_empty());
    assert!(one("EXECUTE q(?)").execution().is_err());
    assert_eq!(one("DEALLOCATE PREPARE Q").deallocated().as_deref(), Some("q"));
    assert_eq!(one("DEALLOCATE prepare").deallocated().as_deref(), Some("prepare"));
}

/// The `INSERT … SELECT` that replaces `sql`, with columns of rows in place of its parameters.
fn rewritten(sql: &str) -> Option<String> {
    let insert = one(sql).insert_values()?;
    let [row] = insert.rows.as_slice() else { return None };
    let values = row.with_parameters(|number| identifier(&(number - 1).to_string()));
    (!row.has_default && !row.has_quoted_name).then(|| format!("{} SELECT {values} FROM rows", insert.head))
}

#[test]
fn parameters_become_columns_and_the_rest_stays() {
    for (sql, expected) in [
        ("INSERT INTO t VALUES (?, ?)", "INSERT INTO t SELECT \"0\", \"1\" FROM rows"),
        (
            "insert into lake.\"a b\".t (x, \"y\") values ( ?::INT , 'it''s ?' || ? ) ; ",
            "insert into lake.\"a b\".t (x, \"y\") SELECT \"0\"::INT , 'it''s ?' || \"1\" FROM rows",
        ),
        ("INSERT INTO t VALUES ($2, $1, $2)", "INSERT INTO t SELECT \"1\", \"0\", \"1\" FROM rows"),
        ("INSERT INTO t SELECT ?, upper(?)", "INSERT INTO t SELECT \"0\", upper(\"1\") FROM rows"),
        ("INSERT INTO t VALUES (?) /* /* */, (2) */", "INSERT INTO t SELECT \"0\" FROM rows"),
        ("INSERT INTO t VALUES (((? + 1) * 2))", "INSERT INTO t SELECT ((\"0\" + 1) * 2) FROM rows"),
        (r"INSERT INTO t VALUES (?, e'it\'s')", r#"INSERT INTO t SELECT "0", e'it\'s' FROM rows"#),
    ] {
        assert_eq!(rewritten(sql).as_deref(), Some(expected), "{sql}");
    }
}

#[test]
fn an_insert_that_may_mean_something_else_is_not_taken_apart() {
    for sql in [
        "INSERT INTO t VALUES (?), (?)",
        "INSERT INTO t VALUES ((SELECT max(i) + ? FROM t))",
        "INSERT INTO t VALUES (?, DEFAULT)",
        "INSERT INTO t VALUES (?) RETURNING i",
        "INSERT INTO t VALUES (?) ON CONFLICT DO NOTHING",
        "INSERT INTO t SELECT ? FROM u",
        "INSERT INTO t SELECT ? WHERE false",
        "INSERT INTO t BY NAME SELECT ? AS i",
        "INSERT INTO t AS x VALUES (?)",
        "INSERT OR REPLACE INTO t VALUES (?)",
        "INSERT INTO t SELECT row_number() OVER () + ?",
        "WITH x AS (SELECT 1) INSERT INTO t VALUES (?)",
        "UPDATE t SET i = ?",
        "INSERT INTO t VALUES ($name)",
        "INSERT INTO t VALUES (\"0\" + ?)",
        "INSERT INTO t VALUES (?",
        "INSERT INTO t VALUES (?),",
        "INSERT INTO t VALUES (?, $1)",
    ] {
        assert_eq!(rewritten(sql), None, "{sql}");
    }
    let insert = one("INSERT INTO t VALUES ($2, 'x ?'), ($1, upper('x'))").insert_values().unwrap();
    assert_eq!((insert.rows.len(), insert.parameters()), (2, 2));
    assert_eq!(insert.rows[1].functions, ["upper"]);
}

#[test]
fn whole_tables_are_found() {
    let found = |sql: &str| one(sql).whole_table().map(|table| (table.columns, table.written, table.alias));
    let whole = |columns: &str, table: &str, alias: Option<&str>| {
        Some((columns.to_owned(), table.to_owned(), alias.map(ToOwned::to_owned)))
    };
    assert_eq!(found("SELECT * FROM lake.raw.t"), whole("*", "lake.raw.t", None));
    assert_eq!(found("-- all of it\nselect  *\nfrom lake.raw.t ;"), whole("*", "lake.raw.t", None));
    assert_eq!(found("FROM \"odd name\""), whole("*", "\"odd name\"", None));
    assert_eq!(found("SELECT a, \"B c\" AS d FROM t"), whole("a, \"B c\" AS d", "t", None));
    assert_eq!(found("SELECT x.a FROM t x"), whole("x.a", "t", Some("x")));
    assert_eq!(found("SELECT x.a FROM t AS x"), whole("x.a", "t", Some("x")));
    for sql in [
        "SELECT * FROM t WHERE a > 1",
        "SELECT * FROM t LIMIT 5",
        "SELECT * FROM t ORDER BY ALL",
        "SELECT DISTINCT a FROM t",
        "SELECT DISTINCT ON (a) a FROM t",
        "SELECT count(*) FROM t",
        "SELECT a + 1 FROM t",
        "SELECT * EXCLUDE (a) FROM t",
        "SELECT t.* FROM t",
        "SELECT * FROM t, u",
        "SELECT * FROM t JOIN u USING (a)",
        "SELECT * FROM t AT (VERSION => 1)",
        "SELECT * FROM t AS x(a, b)",
        "SELECT * FROM t UNION ALL SELECT * FROM t",
        "WITH t AS (SELECT 1) SELECT * FROM t",
        "SELECT * FROM range(5)",
        "SELECT * FROM (SELECT 1)",
        "SELECT * FROM 'file.parquet'",
        "SELECT 1",
        "SELECT * INTO u FROM t",
        "INSERT INTO t SELECT * FROM t",
    ] {
        assert_eq!(found(sql), None, "{sql}");
    }
}

#[test]
fn plain_parameters_of_macros_are_let_through() {
    for sql in [
        "CREATE MACRO lake.m(a, b := 5) AS a + b",
        "CREATE OR REPLACE MACRO m(a, b := 'x [y]') AS [a, b]",
        "CREATE MACRO m(a) AS list_transform(a, lambda x: x + 1)",
        "CREATE MACRO m(a DECIMAL(10, 2) := 1.5, b => DATE '2026-01-01') AS TABLE SELECT a, (b) AS b",
        "CREATE MACRO m(a) AS list_sort(a, x := [1]), (a, b) AS coalesce(a, NULL)",
        "CREATE MACRO m(x) AS TABLE SELECT id, (tags[x]) AS tag FROM t",
        "CREATE MACRO m(map, array := -1, c := true, d := '1'::DECIMAL(3, 1), e := INTERVAL 3 DAY) AS map",
        "CREATE TEMP MACRO m(a := [1, 2]) AS a",
        "CREATE OR REPLACE TEMPORARY FUNCTION m(a INTEGER[]) AS a",
        "CREATE TABLE macro (a INTEGER[] DEFAULT NULL)",
    ] {
        assert!(one(sql).check_macro().is_ok(), "{sql}");
    }
}

#[test]
fn macros_that_the_catalog_does_not_survive_are_refused() {
    for sql in [
        "CREATE MACRO lake.m(a, b := [1, 2]) AS a",
        "CREATE MACRO m(temp := [1]) AS temp",
        "CREATE MACRO m(a := $$'$$, b := [1]) AS a",
        "/* /* */ ' */ create or replace function m(b => {'x': 1}) as b",
        "CREATE MACRO m(a := MAP {'x': 1}, b := 2) AS TABLE SELECT a",
        "CREATE MACRO m(a := list_value(1)) AS a",
        "CREATE MACRO m(a) AS a, (a, b := [1]) AS b",
        "CREATE MACRO m(a := NULL::INTEGER) AS a",
        "CREATE MACRO m(a := 1 + null) AS a",
        "CREATE MACRO m(a := 1 % 0) AS a",
        "CREATE MACRO m(a := CASE WHEN false THEN 1 END) AS a",
        "CREATE MACRO m(a := 'null'::JSON::INTEGER) AS a",
        "CREATE MACRO m(a := JSON 'null'::INTEGER) AS a",
        "CREATE MACRO m(a) AS TABLE SELECT a, (a, b := [1]) AS TABLE SELECT b",
        "; CREATE\u{a0}MACRO m(a := [1]) AS a",
        r"CREATE MACRO m(a := E'\xC3\xA4', b := [1]) AS a",
        "CREATE MACRO m(a INTEGER[]) AS len(a)",
        "CREATE MACRO m(a, b struct(x INTEGER)) AS b.x",
        "CREATE MACRO IF NOT EXISTS m(a := [1]) AS a",
    ] {
        assert!(one(sql).check_macro().is_err(), "{sql}");
    }
}

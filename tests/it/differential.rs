//! Statements in odd spellings: what the server reads in a text (`merganser::sql`) is what DuckDB's parser sees in it.
//!
//! `MERGANSER_SEED` chooses other statements; without it every day has its own, which is printed.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use merganser::{
    engine::{self, Connection, Engine, StatementKind},
    sql::{self, Kind, ParsedStatement, TransactionControl},
};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

const STATEMENTS: usize = 100_000;

/// `EXPORT DATABASE` makes its folder when it is prepared.
const SETUP: &str = "
    SET disabled_filesystems = 'LocalFileSystem';
    CREATE TABLE t (a INTEGER, b VARCHAR);
    CREATE TABLE u (a INTEGER, b VARCHAR);
    CREATE TABLE \"select\" (a INTEGER, \"from\" VARCHAR);
    CREATE VIEW v AS FROM t;
    CREATE SCHEMA s;
    CREATE TABLE s.\"commit\" (a INTEGER);
";

/// Statements by words; `@` is a text, `#` a number. What stands without a space between belongs together.
const BASES: &[&str] = &[
    "SELECT #",
    "SELECT @ AS x",
    "SELECT a , b FROM t WHERE b = @",
    "FROM t",
    "FROM \"select\"",
    "TABLE t",
    "VALUES ( # , @ )",
    "( SELECT # )",
    "DESCRIBE t",
    "SHOW TABLES",
    "SUMMARIZE t",
    "SELECT \"lower\" ( @ )",
    "SELECT main.\"UPPER\" ( @ ) , len ( @ )",
    "FROM \"range\" ( # )",
    "FROM query ( 'FROM \"range\"(3)' )",
    "SELECT CASE WHEN a = # THEN @ END FROM t",
    "INSERT INTO t VALUES ( # , @ )",
    "INSERT INTO t ( a ) SELECT a FROM u",
    "INSERT INTO s.\"commit\" SELECT #",
    "UPDATE t SET b = @ WHERE a = #",
    "UPDATE \"select\" SET \"from\" = @",
    "DELETE FROM t WHERE b = @",
    "DELETE FROM s.\"commit\"",
    "TRUNCATE t",
    "TRUNCATE TABLE t",
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
    "MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT",
    "CREATE TABLE n ( a INTEGER DEFAULT # )",
    "CREATE OR REPLACE TABLE n AS SELECT @ AS a",
    "CREATE TEMP TABLE n ( a INTEGER )",
    "CREATE VIEW n AS SELECT @ AS a",
    "CREATE MACRO m ( x ) AS x || @",
    "CREATE SCHEMA z",
    "DROP TABLE IF EXISTS t",
    "DROP VIEW v CASCADE",
    "ALTER TABLE t RENAME TO n",
    "ALTER TABLE t RENAME COLUMN a TO c",
    "COMMENT ON TABLE t IS @",
    "BEGIN",
    "BEGIN TRANSACTION",
    "START TRANSACTION",
    "COMMIT",
    "COMMIT WORK",
    "END",
    "END TRANSACTION",
    "ROLLBACK",
    "ABORT",
    "SET VARIABLE x = @",
    "SET SESSION threads = #",
    "RESET threads",
    "USE memory",
    "PREPARE p AS SELECT @",
    "CALL pragma_version ( )",
    "COPY t TO @",
    "VACUUM",
    "CHECKPOINT",
    "LOAD @",
    "EXPORT DATABASE @",
];

const COMMON_TABLES: &[&str] = &[
    "WITH x AS ( SELECT # )",
    "WITH RECURSIVE x ( n ) AS ( SELECT # )",
    "WITH \"insert\" AS NOT MATERIALIZED ( SELECT @ )",
    "WITH delete ( a ) AS MATERIALIZED ( SELECT # ) , update AS ( FROM u )",
];

const EXPLAINS: &[&str] = &[
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "EXPLAIN VERBOSE",
    "EXPLAIN ANALYZE VERBOSE",
    "EXPLAIN ( ANALYZE )",
    "EXPLAIN ( ANALYZE insert )",
    "EXPLAIN ( FORMAT json )",
];

const GAPS: &[&str] = &[
    " ",
    " ",
    " ",
    "  ",
    "\n",
    "\t",
    "\r",
    "\r\n",
    "\u{c}",
    "\u{a0} ",
    "\u{2000}",
    "\u{2009}",
    "\u{200a}",
    "\u{200b}",
    "\u{202f}",
    "\u{205f}",
    "\u{2060}",
    "\u{3000}",
    "\u{feff}",
    "-- c\n",
    "-- ; COMMIT\r",
    "-- it's\n",
    "/* c */",
    "/* a /* b; */ ' */",
    "/*\"*/",
    "/**/ ",
    "/* -- */",
];

const TEXTS: &[&str] = &[
    "'x'",
    "'it''s'",
    "'; COMMIT; --'",
    "'/*'",
    "$$;COMMIT$$",
    "$x$ ' $$ ; $x$",
    "E'\\'; DROP'",
    "e'\\\\'",
    "'a'\n'b;'",
    "'a' -- c\n'b'",
    "''",
    "'\u{a0}'",
    "$ä$;$ä$",
];

struct Spelling<'r>(&'r mut ChaCha8Rng);

impl Spelling<'_> {
    fn pick(&mut self, all: &[&'static str]) -> &'static str {
        all.choose(self.0).unwrap()
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    fn gap(&mut self) -> String {
        (0..self.0.random_range(1..3)).map(|_| self.pick(GAPS)).collect()
    }

    /// The words of a pattern with odd gaps, in odd case.
    fn spell(&mut self, pattern: &str) -> String {
        let mut text = String::new();
        for word in pattern.split(' ') {
            let word = match word {
                "@" => self.pick(TEXTS).to_owned(),
                "#" => self.pick(&["1", "0", "1_000", "2"]).to_owned(),
                word if word.contains(['"', '\'']) => word.to_owned(),
                word => word.chars().map(|c| if self.chance(50) { c.to_ascii_lowercase() } else { c }).collect(),
            };
            text += &word;
            text += &self.gap();
        }
        text
    }

    fn statement(&mut self) -> String {
        let base = self.pick(BASES);
        let takes_tables = ["SELECT", "FROM", "VALUES", "INSERT", "UPDATE", "DELETE", "MERGE"];
        let first = base.split(' ').next().unwrap();
        let mut text = String::new();
        if self.chance(15) {
            let explain = self.pick(EXPLAINS);
            text += &self.spell(explain);
        }
        if takes_tables.contains(&first) && self.chance(20) {
            let tables = self.pick(COMMON_TABLES);
            text += &self.spell(tables);
        }
        text + &self.spell(base)
    }

    fn text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..self.0.random_range(0..3) {
            text += self.pick(&[";", "; ", "\n", "\u{feff}", "-- x\r", "/* x */", " "]);
        }
        text += &self.statement();
        while self.chance(10) {
            text += self.pick(&[";", ";;", "; -- x\n"]);
            text += &self.statement();
        }
        text + self.pick(&["", ";", " ; ", "\n", ";;"])
    }
}

/// Whether DuckDB's kind of statement is the one that was read.
fn agrees(kind: &Kind, verdict: StatementKind) -> bool {
    match kind {
        Kind::Read | Kind::Explain { .. } => verdict == StatementKind::Read,
        Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge => verdict == StatementKind::Write,
        Kind::Create | Kind::Drop => verdict == StatementKind::Define,
        Kind::Alter => verdict == StatementKind::Alter,
        Kind::Transaction(_) => verdict == StatementKind::Transaction,
        Kind::Set => verdict == StatementKind::Other("SET"),
        Kind::Prepare => verdict == StatementKind::Other("PREPARE"),
        Kind::Call | Kind::Other("CHECKPOINT") => verdict == StatementKind::Other("CALL"),
        Kind::Other(word) => verdict == StatementKind::Other(word),
        Kind::Execute | Kind::Deallocate | Kind::Pragma | Kind::Unknown => false,
    }
}

/// What DuckDB sees, compared with what was read; `None` when DuckDB refuses the text.
fn compare(connection: &Connection, text: &str) -> Option<Result<(), String>> {
    // CASCADE is dropped, as DuckLake has no use for it, and DuckDB's parser takes it.
    let mut steps = connection.steps(text).ok()?;
    let read = match sql::parse(text) {
        Ok(read) => read,
        Err(err) => return Some(Err(format!("is not read: {err}"))),
    };
    if read.len() as u64 != steps.count() {
        return Some(Err(format!("is {} statements, read as {}", steps.count(), read.len())));
    }
    for (index, statement) in (0..).zip(&read) {
        let verdict = match steps.prepare(index) {
            Ok(prepared) => prepared.kind(),
            Err(_) => return None,
        };
        if !agrees(statement.kind(), verdict) {
            return Some(Err(format!("is {verdict:?}, read as {:?}", statement.kind())));
        }
        if let Err(fault) = compare_effect(connection, statement).and_then(|()| compare_calls(connection, statement)) {
            return Some(Err(fault));
        }
    }
    Some(Ok(()))
}

/// What a transaction statement does, by what it leaves.
fn compare_effect(connection: &Connection, statement: &ParsedStatement) -> Result<(), String> {
    let Kind::Transaction(control) = statement.kind() else { return Ok(()) };
    let run = |sql: &str| connection.run_script(sql).map_err(|err| err.to_string());
    if *control == TransactionControl::Begin {
        run(statement.text())?;
        return run("ROLLBACK");
    }
    run("BEGIN; CREATE TABLE effect (a INTEGER)")?;
    run(statement.text())?;
    let committed = run("DROP TABLE effect").is_ok();
    let expected = *control == TransactionControl::Commit;
    if committed == expected { Ok(()) } else { Err(format!("commits: {committed}, read as {control:?}")) }
}

/// The functions that a query calls, as DuckDB writes its syntax tree.
fn compare_calls(connection: &Connection, statement: &ParsedStatement) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Tree {
        tree: String,
    }
    if *statement.kind() != Kind::Read || statement.text().to_uppercase().contains("DESCRIBE") {
        return Ok(());
    }
    let value = [engine::Value::varchar(statement.text())];
    let Ok(tree) = connection.record::<Tree>("SELECT json_serialize_sql(?)::VARCHAR AS tree", &value) else {
        return Ok(());
    };
    let read = statement.calls();
    for call in tree.tree.split("\"function_name\":\"").skip(1) {
        let name = call.split('"').next().unwrap_or_default();
        if name.chars().all(|c| c.is_alphanumeric() || c == '_') && !read.functions.iter().any(|read| read.name == name)
        {
            return Err(format!("calls {name}, read as {:?}", read.functions));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_reads_statements_as_duckdb_does() {
    let seed = seed();
    println!("MERGANSER_SEED={seed}");
    let staging = tempfile::tempdir().unwrap();
    let settings = engine::Settings {
        extensions: None,
        extensions_fallback: staging.path().to_path_buf(),
        staging: staging.path().to_path_buf(),
        memory_limit_bytes: Some(1 << 30),
        threads: Some(1),
        collect_results: true,
        max_connections: 1,
    };
    let engine = Engine::open(&settings, &engine::Setup { script: SETUP, ..engine::Setup::default() }).unwrap();
    let work = move |connection: &Connection| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (mut refused, mut faults, mut kinds) = (0, Vec::new(), BTreeMap::new());
        for _ in 0..STATEMENTS {
            let text = Spelling(&mut random).text();
            match compare(connection, &text) {
                None => refused += 1,
                Some(Ok(())) => *kinds.entry(sql::parse(&text)?[0].kind().word()).or_insert(0) += 1,
                Some(Err(fault)) => faults.push(format!("{text:?} {fault}")),
            }
        }
        Ok((refused, faults, kinds))
    };
    let (refused, faults, kinds) = engine.run(work).await.unwrap();
    println!("{kinds:?}, refused by DuckDB: {refused}");
    assert!(
        faults.is_empty(),
        "{} of {STATEMENTS}; repeat them with MERGANSER_SEED={seed} cargo test --release differential; such as\n{}",
        faults.len(),
        faults[..faults.len().min(10)].join("\n")
    );
    assert!(refused < STATEMENTS / 2, "DuckDB refuses {refused} of the texts");
    assert!(kinds.len() > 15, "{kinds:?}");
}

/// The number that chooses the statements: the one that is set, else the days since 1970.
#[expect(clippy::disallowed_methods, reason = "the seed of a test is no setting of the server")]
fn seed() -> u64 {
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    std::env::var("MERGANSER_SEED").map_or(today, |seed| seed.parse().unwrap())
}

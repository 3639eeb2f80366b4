//! Random histories of a few tables, views and macros, rolled back at random, one table or all of them, against a copy
//! of what every snapshot held when it was new.
//!
//! `MERGANSER_SEED` chooses other histories; without it every day has its own. A failure reports the seed and the
//! shortest list of statements that was found to fail.
//!
//! Histories keep to the rules of DuckLake's traps: what is done in one transaction is only data.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::*;
use crate::{
    lake::{METADATA, maintain::SORT_COLUMN_MISSING},
    quote::literal,
};

const NAMES: &[&str] = &["a", "B b", "c.\"d"];
const VIEWS: &[&str] = &["v", "W w", "x"];
const MACROS: &[&str] = &["m", "N n"];
/// Steps of a history; each one whose number is a multiple of [`STEPS_PER_ROLLBACK`] is a rollback.
const STEPS: u64 = 24;
const STEPS_PER_ROLLBACK: u64 = 6;
/// Each part has a lake and a thread of its own.
const PARTS: u64 = 5;
const HISTORIES_PER_PART: u64 = 6;
/// The part whose catalog is in SQLite.
const PART_IN_SQLITE: u64 = 4;

/// What a snapshot holds, by table.
type State = BTreeMap<&'static str, Content>;
/// The views and macros of a snapshot with all that is known of them, and whether each can be read.
type Texts = BTreeMap<String, bool>;
/// How often things happened.
type Tally = BTreeMap<String, u32>;
/// The statements of a history.
type Log = RefCell<Vec<String>>;

struct History<'a> {
    connection: &'a Connection,
    rng: ChaCha8Rng,
    schema: String,
    log: &'a Log,
    /// What each snapshot held when it was new.
    states: BTreeMap<SnapshotId, State>,
    /// What the newest one holds.
    latest: State,
    /// The views and macros that each snapshot held when it was new.
    texts: BTreeMap<SnapshotId, Texts>,
    tally: Tally,
}

#[test]
fn random_histories_come_back() {
    let seed = seed();
    println!("MERGANSER_SEED={seed}");
    let mut tally = Tally::new();
    thread::scope(|threads| {
        let parts: Vec<_> = (0..PARTS).map(|part| threads.spawn(move || check_histories(seed, part))).collect();
        for part in parts {
            add(&mut tally, part.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
    });
    println!("{tally:?}");
    for change in [Change::Restored, Change::Recreated, Change::Dropped] {
        assert!(tally.contains_key(&format!("{change:?}")), "no rollback was {change:?}");
    }
    for kind in [Kind::Table, Kind::View, Kind::Macro] {
        assert!(tally.contains_key(&format!("{kind:?}")), "no {kind:?} was rolled back");
    }
}

#[test]
fn a_failure_shrinks_to_the_steps_that_it_needs() {
    let fails = |steps: &[u64]| steps.contains(&3) && steps.contains(&11);
    assert_eq!(shrink((1..=STEPS).collect(), fails), [3, 11]);
}

/// The number that chooses the histories: the one that is set, else the days since 1970.
#[expect(clippy::disallowed_methods, reason = "the seed of a test is no setting of the server")]
fn seed() -> u64 {
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 86_400;
    std::env::var("MERGANSER_SEED").map_or(today, |seed| seed.parse().unwrap())
}

fn add(tally: &mut Tally, more: Tally) {
    for (what, times) in more {
        *tally.entry(what).or_default() += times;
    }
}

fn open(part: u64) -> Lake {
    if part == PART_IN_SQLITE {
        return Lake::with_catalog(|home| Catalog::Sqlite(home.join("catalog.sqlite")));
    }
    Lake::open()
}

fn check_histories(seed: u64, part: u64) -> Tally {
    let lake = open(part);
    let mut tally = Tally::new();
    for number in part * HISTORIES_PER_PART..(part + 1) * HISTORIES_PER_PART {
        let steps: Vec<_> = (1..=STEPS).collect();
        match play(&lake, seed, number, &steps) {
            Ok(more) => add(&mut tally, more),
            Err(statements) => report(seed, part, number, steps, statements),
        }
    }
    lake.run(check_clean);
    tally
}

/// Plays some steps of a history; returns its tally, or its statements and the cause if the history fails.
fn play(lake: &Lake, seed: u64, number: u64, steps: &[u64]) -> std::result::Result<Tally, Vec<String>> {
    let steps = steps.to_vec();
    lake.run(move |connection| {
        let log = Log::default();
        let outcome = catch_unwind(AssertUnwindSafe(|| check_history(connection, &log, seed, number, &steps)));
        outcome.map_err(|panic| {
            let cause = panic.downcast_ref::<String>().map_or("failed", String::as_str);
            log.borrow_mut().push(format!("{cause:.1000}"));
            log.take()
        })
    })
}

/// Fails with the shortest list of statements found, in a new lake each; `statements` are those of all steps.
fn report(seed: u64, part: u64, number: u64, steps: Vec<u64>, statements: Vec<String>) -> ! {
    let shortest = shrink(steps, |steps| play(&open(part), seed, number, steps).is_err());
    let (found, statements) = match play(&open(part), seed, number, &shortest) {
        Err(shortest) => ("The shortest statements found that fail", shortest),
        Ok(_) => ("It does not fail in a lake of its own. Its statements", statements),
    };
    panic!(
        "history {number} fails; repeat it with MERGANSER_SEED={seed} cargo test --release random_histories\n\
         {found}:\n{}",
        statements.join("\n")
    );
}

/// Leaves out steps that are not needed for a failure: halves first, single ones last.
fn shrink(mut steps: Vec<u64>, fails: impl Fn(&[u64]) -> bool) -> Vec<u64> {
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut start = 0;
        while start < steps.len() {
            let end = steps.len().min(start + size);
            let shorter = [&steps[..start], &steps[end..]].concat();
            if fails(&shorter) { steps = shorter } else { start = end }
        }
        size /= 2;
    }
    steps
}

/// The random numbers of a step, which do not depend on the steps before it, so that these can be left out.
fn random_numbers(seed: u64, number: u64, step: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number * (STEPS + 1) + step);
    rng
}

fn check_history(connection: &Connection, log: &Log, seed: u64, number: u64, steps: &[u64]) -> Tally {
    let mut history = History {
        connection,
        rng: random_numbers(seed, number, 0),
        schema: format!("History {number}"),
        log,
        states: BTreeMap::new(),
        latest: State::new(),
        texts: BTreeMap::new(),
        tally: Tally::new(),
    };
    let schema = identifier(&history.schema);
    history.run(&format!("CREATE SCHEMA {schema}"));
    history.create(NAMES[0]);
    for step in steps {
        history.rng = random_numbers(seed, number, *step);
        if step % STEPS_PER_ROLLBACK != 0 {
            history.step();
            continue;
        }
        match history.below(3) {
            0 => history.roll_back(),
            1 => history.roll_back_all(true),
            _ => history.roll_back_all(false),
        }
    }
    history.check_all_snapshots();
    history.run(&format!("DROP SCHEMA {schema} CASCADE"));
    history.tally
}

// === impl History ===

impl History<'_> {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.rng.next_u32()).unwrap() % end
    }

    fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    fn path(&self, table: &str) -> String {
        format!("lake.{}.{}", identifier(&self.schema), identifier(table))
    }

    fn head(&self) -> SnapshotId {
        snapshots::current(self.connection).unwrap()
    }

    fn state_now(&self) -> State {
        let head = self.head();
        let relations = state::relations(self.connection, head).unwrap();
        let present = NAMES.iter().filter_map(|name| Some((*name, state::find(&relations, &self.schema, name)?)));
        present.map(|(name, relation)| (name, content_of(self.connection, relation, head))).collect()
    }

    fn note(&self, line: String) {
        self.log.borrow_mut().push(line);
    }

    fn run(&self, sql: &str) {
        self.note(sql.to_owned());
        run(self.connection, &[sql]);
    }

    /// Executes a statement; DuckDB's "cannot" is one of the things that happen in a history.
    fn try_run(&mut self, sql: &str) {
        self.note(sql.to_owned());
        match self.connection.execute(sql, &[]) {
            Ok(_) => {}
            Err(err)
                if matches!(
                    err.kind(),
                    ErrorKind::InvalidArgument
                        | ErrorKind::NotFound
                        | ErrorKind::AlreadyExists
                        | ErrorKind::Unsupported
                ) =>
            {
                self.count("refused");
            }
            Err(err) => panic!("{sql}: {err}"),
        }
    }

    /// Runs in a transaction, because DuckLake rejects it in another one than it was prepared in.
    fn maintain(&mut self, sql: &str) {
        self.note(sql.to_owned());
        match self.connection.transaction(|connection| connection.execute(sql, &[])) {
            Err(err) if err.message().contains(SORT_COLUMN_MISSING) => self.count("sort column missing"),
            outcome => drop(outcome.unwrap()),
        }
    }

    fn count(&mut self, what: &str) {
        *self.tally.entry(what.to_owned()).or_default() += 1;
    }

    fn remember(&mut self) {
        let head = self.head();
        self.note(format!("-- snapshot {head}"));
        self.latest = self.state_now();
        self.states.insert(head, self.latest.clone());
        self.texts.insert(head, self.texts_now());
    }

    fn texts_now(&self) -> Texts {
        let schema = literal(&self.schema);
        let views = format!(
            "SELECT concat_ws('|', view_name, comment, v.sql, v.column_aliases) AS text \
             FROM duckdb_views() d JOIN {METADATA}.ducklake_view v USING (view_name) \
             WHERE v.end_snapshot IS NULL AND d.database_name = 'lake' AND d.schema_name = {schema}"
        );
        let macros = format!(
            "SELECT concat_ws('|', m.macro_name, i.type, i.impl_id, i.sql, \
             (SELECT list([parameter_name, parameter_type, default_value, default_value_type] ORDER BY column_id) \
              FROM {METADATA}.ducklake_macro_parameters p \
              WHERE p.macro_id = i.macro_id AND p.impl_id = i.impl_id)::VARCHAR) AS text \
             FROM {METADATA}.ducklake_macro m JOIN {METADATA}.ducklake_macro_impl i USING (macro_id) \
             JOIN {METADATA}.ducklake_schema s USING (schema_id) \
             WHERE m.end_snapshot IS NULL AND s.end_snapshot IS NULL AND s.schema_name = {schema}"
        );
        let read = |text: String| {
            let mut parts = text.split('|');
            let path = format!("lake.{}.{}", identifier(&self.schema), identifier(parts.next().unwrap()));
            let sql = match parts.next() {
                Some("scalar") => format!("SELECT {path}(1)"),
                Some("table") => format!("SELECT count(*) FROM {path}(1)"),
                _ => format!("SELECT count(*) FROM {path}"),
            };
            let is_readable = self.connection.query(&sql, &[]).is_ok();
            (text, is_readable)
        };
        self.connection.execute(&format!("USE lake.{}", identifier(&self.schema)), &[]).unwrap();
        let texts = [views, macros].iter().flat_map(|sql| texts(self.connection, sql)).map(read).collect();
        self.connection.execute("USE lake", &[]).unwrap();
        texts
    }

    fn create(&mut self, table: &str) {
        let path = self.path(table);
        let more = self.pick(&[
            "",
            ", day DATE",
            ", \"S x\" STRUCT(x INTEGER, \"y z\" VARCHAR[])",
            ", d INTEGER NOT NULL DEFAULT 7",
        ]);
        self.run(&format!("CREATE TABLE {path} (i INTEGER, \"V\" VARCHAR DEFAULT 'it''s'{more})"));
        self.remember();
        self.insert(&path);
        self.remember();
    }

    fn step(&mut self) {
        let present: Vec<_> = self.latest.keys().copied().collect();
        let absent: Vec<_> = NAMES.iter().copied().filter(|name| !present.contains(name)).collect();
        let kind = self.below(20);
        if present.is_empty() || (kind == 0 && !absent.is_empty()) {
            let name = self.pick(&absent);
            return self.create(name);
        }
        let table = self.pick(&present);
        let path = self.path(table);
        match kind {
            1 if !absent.is_empty() => {
                let name = identifier(self.pick(&absent));
                self.try_run(&format!("ALTER TABLE {path} RENAME TO {name}"));
            }
            2 => self.try_run(&format!("DROP TABLE {path}")),
            3 => self.maintain("CALL ducklake_merge_adjacent_files('lake')"),
            4 => self.maintain("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.1)"),
            5..=7 => self.change_columns(&path),
            8..=10 => self.change_attributes(&path),
            11..=12 => self.change_much(&path),
            13..=14 => self.change_views(table),
            15..=16 => self.change_macros(table),
            _ => self.change_rows(&path),
        }
        self.remember();
    }

    fn columns(&self, path: &str) -> Vec<(String, String)> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            kind: String,
        }
        let sql = format!("SELECT column_name AS name, column_type AS kind FROM (DESCRIBE {path})");
        let rows: Vec<Row> = self.connection.records(&sql, &[]).unwrap();
        rows.into_iter().map(|row| (identifier(&row.name), row.kind)).collect()
    }

    /// An SQL expression of a random value of the type.
    fn value(&mut self, kind: &str) -> String {
        let number = self.below(9);
        match kind {
            "INTEGER" | "BIGINT" | "DOUBLE" => number.to_string(),
            "DATE" => format!("DATE '2024-01-01' + {}", number * 100),
            "VARCHAR" => self.pick(&["'x'", "'it''s'", "'NULL'", "''", "'é\"'"]).to_owned(),
            _ => format!("{{'x': {number}, 'y z': ['q', NULL]}}"),
        }
    }

    fn insert(&mut self, path: &str) {
        let columns = self.columns(path);
        let mut values = Vec::new();
        for (name, kind) in &columns {
            let value = self.value(kind);
            let plain = if self.below(3) == 0 && kind == "INTEGER" { "r.r".to_owned() } else { value };
            let nullable = self.below(4) == 0 && name != "\"d\"";
            values.push(if nullable { format!("CASE WHEN r.r % 2 = 0 THEN {plain} END") } else { plain });
        }
        let rows = self.below(30);
        self.try_run(&format!("INSERT INTO {path} SELECT {} FROM range({rows}) AS r(r)", values.join(", ")));
    }

    fn change_rows(&mut self, path: &str) {
        let (divisor, rest) = (self.below(4) + 1, self.below(4));
        match self.below(5) {
            0 | 1 => self.insert(path),
            2 => self.try_run(&format!("DELETE FROM {path} WHERE rowid % {divisor} = {rest}")),
            3 => {
                let columns = self.columns(path);
                let (name, kind) = self.pick(&columns);
                let value = self.value(&kind);
                self.try_run(&format!("UPDATE {path} SET {name} = {value} WHERE rowid % {divisor} = {rest}"));
            }
            _ => self.try_run(&format!("INSERT INTO {path} FROM {path} WHERE rowid % {divisor} = {rest}")),
        }
    }

    /// Several changes of rows in one transaction.
    fn change_much(&mut self, path: &str) {
        self.run("BEGIN");
        for _ in 0..3 {
            self.change_rows(path);
        }
        self.run("COMMIT");
    }

    fn change_columns(&mut self, path: &str) {
        let columns = self.columns(path);
        let (name, kind) = self.pick(&columns);
        let new = self.pick(&["n", "\"N.n\"", "m"]);
        let sql = match self.below(6) {
            0 | 1 => format!("ALTER TABLE {path} ADD COLUMN {new} INTEGER DEFAULT {}", self.below(5)),
            2 if columns.len() > 1 => format!("ALTER TABLE {path} DROP COLUMN {name}"),
            3 => format!("ALTER TABLE {path} RENAME COLUMN {name} TO {new}"),
            4 if kind != "DATE" && !kind.starts_with("STRUCT") => {
                format!("ALTER TABLE {path} ALTER COLUMN {name} SET DEFAULT '3'")
            }
            _ => format!("ALTER TABLE {path} ALTER COLUMN {name} SET DATA TYPE BIGINT"),
        };
        self.try_run(&sql);
    }

    /// Views read a table, or another view, by its full name or as the view's own schema has it.
    fn change_views(&mut self, table: &str) {
        let name = self.pick(VIEWS);
        let path = self.path(name);
        let read = if self.below(3) == 0 { self.pick(VIEWS) } else { table };
        let read = if self.below(2) == 0 { self.path(read) } else { identifier(read) };
        let number = self.below(5);
        let sql = match self.below(5) {
            0 => format!("DROP VIEW {path}"),
            1 => format!("COMMENT ON VIEW {path} IS 'it''s {number}'"),
            2 => format!("CREATE OR REPLACE VIEW {path} (\"A a\") AS SELECT {number} FROM {read}"),
            _ => format!("CREATE OR REPLACE VIEW {path} AS SELECT *, {number} AS number FROM {read}"),
        };
        self.try_run_here(&sql);
    }

    /// Macros compute, or read a table or view.
    fn change_macros(&mut self, table: &str) {
        let name = self.pick(MACROS);
        let path = self.path(name);
        let read = if self.below(3) == 0 { self.pick(VIEWS) } else { table };
        let read = if self.below(2) == 0 { self.path(read) } else { identifier(read) };
        let number = self.below(5);
        let sql = match self.below(6) {
            0 => format!("DROP MACRO {path}"),
            1 => format!("DROP MACRO TABLE {path}"),
            2 => format!("CREATE OR REPLACE MACRO {path}(p, \"Q q\" INTEGER := {number}) AS p + \"Q q\""),
            3 => {
                format!("CREATE OR REPLACE MACRO {path}(p, q := 'it''s {number}') AS TABLE SELECT *, p, q FROM {read}")
            }
            4 => format!("CREATE OR REPLACE MACRO {path}(p) AS p * {number}, (p, q) AS p + q"),
            _ => format!("CREATE OR REPLACE MACRO {path}(p) AS (SELECT count(*) + p + {number} FROM {read})"),
        };
        self.try_run_here(&sql);
    }

    /// Executes a statement in which names without a schema are looked up in that of the history.
    fn try_run_here(&mut self, sql: &str) {
        self.run(&format!("USE lake.{}", identifier(&self.schema)));
        self.try_run(sql);
        self.run("USE lake");
    }

    fn change_attributes(&mut self, path: &str) {
        let columns = self.columns(path);
        let (name, kind) = self.pick(&columns);
        let text = self.pick(&["NULL", "'it''s'", "'x'"]);
        let sql = match self.below(6) {
            0 => format!("COMMENT ON TABLE {path} IS {text}"),
            1 => format!("COMMENT ON COLUMN {path}.{name} IS {text}"),
            2 if kind == "DATE" => format!("ALTER TABLE {path} SET PARTITIONED BY (year({name}))"),
            // Writing to buckets of a nested column can end the process.
            2 if self.below(2) == 0 && !kind.starts_with("STRUCT") => {
                format!("ALTER TABLE {path} SET PARTITIONED BY (bucket(3, {name}))")
            }
            2 => format!("ALTER TABLE {path} SET PARTITIONED BY ({name})"),
            3 => format!("ALTER TABLE {path} RESET PARTITIONED BY"),
            4 => format!("ALTER TABLE {path} SET SORTED BY ({name} DESC NULLS FIRST)"),
            _ => format!("ALTER TABLE {path} RESET SORTED BY"),
        };
        self.try_run(&sql);
    }

    /// Rolls a random table back to a random snapshot that had it.
    fn roll_back(&mut self) {
        let all: Vec<_> = self.states.iter().flat_map(|(at, state)| state.keys().map(|name| (*at, *name))).collect();
        let (to, name) = self.pick(&all);
        let (head, before) = (self.head(), self.latest.clone());
        let schema = self.schema.clone();
        let request = Rollback { scope: Scope::Table { schema: &schema, name }, ..request(name, to) };
        self.note(format!("-- rollback of {:?} to {to}", request.scope));
        let dry = rollback(self.connection, &Rollback { dry_run: true, ..request });
        assert_eq!(self.head(), head, "a dry run made a snapshot");
        let restored = match rollback(self.connection, &request) {
            Ok(restored) => restored,
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::FailedPrecondition, "{err}");
                assert_eq!(dry.unwrap_err().message(), err.message());
                assert_eq!(self.state_now(), before);
                return self.count("name taken");
            }
        };
        assert_eq!(Done { snapshot_id: head, ..restored.clone() }, dry.unwrap());
        self.count(&format!("{:?}", restored.change));
        let mut wanted = before;
        wanted.insert(name, self.states[&to][name].clone());
        if let Some(renamed) = &restored.renamed_from {
            self.count("renamed back");
            wanted.retain(|name, _| *renamed != format!("{schema}.{name}"));
        }
        self.remember();
        assert_eq!(self.latest, wanted, "rollback of {name} to {to}: {restored:?}");
        if restored.change == Change::Restored {
            self.check_row_ids(name, to, &restored);
        }
        check_clean(self.connection);
    }

    /// Rolls the schema or the lake back to a random snapshot.
    fn roll_back_all(&mut self, schema_alone: bool) {
        let all: Vec<_> = self.states.keys().copied().collect();
        let to = self.pick(&all);
        let (head, schema) = (self.head(), self.schema.clone());
        let scope = if schema_alone { Scope::Schema(&schema) } else { Scope::Lake };
        let request = Rollback { scope, ..request("", to) };
        self.note(format!("-- rollback of {scope:?} to {to}"));
        let dry = rollback_any(self.connection, &Rollback { dry_run: true, ..request }).unwrap();
        assert_eq!(self.head(), head, "a dry run made a snapshot");
        let outcome = match rollback_any(self.connection, &request) {
            Ok(outcome) => outcome,
            Err(err) => {
                assert!(["make the view", "make the macro"].iter().any(|what| err.message().contains(what)), "{err}");
                assert!(self.texts[&to].values().any(|is_readable| !is_readable), "{err}");
                run(self.connection, &["USE lake"]);
                assert_eq!((self.state_now(), self.head()), (self.latest.clone(), head));
                return self.count("broken view or macro");
            }
        };
        assert_eq!(Outcome { snapshot_id: head, ..outcome.clone() }, dry);
        assert_eq!(outcome.is_change(), self.head() > head);
        for object in &outcome.objects {
            self.count(&format!("{:?}", object.change));
            self.count(&format!("{:?}", object.kind));
        }
        self.remember();
        assert_eq!(self.latest, self.states[&to], "rollback of {scope:?} to {to}: {outcome:?}");
        let definitions = |texts: &Texts| texts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(definitions(&self.texts_now()), definitions(&self.texts[&to]), "texts of {to}: {outcome:?}");
        assert!(!rollback_any(self.connection, &request).unwrap().is_change());
        check_clean(self.connection);
    }

    /// In place, all rows except the inserted ones are the same rows as in the old snapshot.
    fn check_row_ids(&self, name: &str, to: SnapshotId, restored: &Done) {
        let path = self.path(name);
        let then = rows_with_ids(self.connection, &format!("{path} AT (VERSION => {to})"));
        let kept = rows_with_ids(self.connection, &path).intersection(&then).count();
        assert_eq!(kept as u64, then.len() as u64 - restored.rows_inserted, "rows that kept their ids: {restored:?}");
    }

    /// Every snapshot still contains the rows that it contained when it was new.
    fn check_all_snapshots(&self) {
        for (at, state) in &self.states {
            for (name, content) in state {
                let found = rows_at(self.connection, &self.path(name), *at);
                assert_eq!(found, content.rows, "snapshot {at} of {name}");
            }
        }
    }
}

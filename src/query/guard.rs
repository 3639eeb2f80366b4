//! The statement guard: rejects statements that would harm the lake or other clients, before they run.
//!
//! * Kinds of statements that are reserved for the server, and any that DuckDB classifies differently from
//!   [`sql`](crate::sql).
//! * Secrets: without the object store's secret, or with another one that takes precedence, no client can read the
//!   lake.
//! * DuckLake's functions that remove files, however they are called; and SQL that is run unparsed.
//! * Macros and schemas with the names of DuckDB's own functions and of catalogs: they would affect all clients'
//!   statements.
//! * Writes to other catalogs than the lake and the session's TEMP objects.
//! * What DuckLake (of the pinned version) does not support: some macros, a rename to the same name, and in one
//!   transaction
//!   - ALTER or COMMENT ON a table that was there before, and then RENAME TO of it: the commit succeeds, and afterwards no
//!     statement on the lake does (duckdb/ducklake#1332);
//!   - RESET PARTITIONED BY, and then an INSERT or UPDATE: the process aborts.

use std::collections::HashSet;

use serde::Deserialize;

use crate::{
    engine::{Connection, StatementKind},
    error::{Error, Result},
    lake::{CATALOG, METADATA},
    sql::{self, Change, Definition, Function, Kind, Name, Object, ParsedStatement},
};

/// DuckLake's functions that remove files.
const REMOVING: &[&str] = &["ducklake_cleanup_old_files", "ducklake_delete_orphaned_files"];
/// DuckLake's functions that only list what they would do, if `dry_run => true`.
const LISTING: &[&str] = &["ducklake_cleanup_old_files", "ducklake_delete_orphaned_files", "ducklake_expire_snapshots"];
/// DuckLake's functions that only read; all others are rejected, including those of future versions.
const READING: &[&str] = &[
    "ducklake_current_snapshot",
    "ducklake_last_committed_snapshot",
    "ducklake_list_files",
    "ducklake_options",
    "ducklake_settings",
    "ducklake_snapshots",
    "ducklake_table_changes",
    "ducklake_table_deletions",
    "ducklake_table_info",
    "ducklake_table_insertions",
];
/// Other functions that change the lake or the engine although they are used in queries: the macros that DuckLake has in
/// each schema of the lake, and DuckDB's.
const CHANGING: &[&str] =
    &["merge_adjacent_files", "set_commit_message", "set_option", "checkpoint", "force_checkpoint"];
/// Functions that run unparsed SQL.
const UNREAD: &[&str] = &["json_execute_serialized_sql"];
/// The catalogs of DuckDB itself.
const OTHER_CATALOGS: &[&str] = &["memory", "system", METADATA];
/// The catalog of a session's own objects.
const TEMP: &str = "temp";

/// The names that statements are checked against.
#[derive(Debug)]
pub struct Guard {
    /// The names of DuckDB's and DuckLake's own functions, in lower case.
    built_in: HashSet<String>,
}

// === impl Guard ===

impl Guard {
    /// Reads the names of all functions.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn load(connection: &Connection) -> Result<Self> {
        #[derive(Deserialize)]
        struct Function {
            name: String,
        }
        let sql = "SELECT DISTINCT system.main.lower(function_name) AS name FROM system.main.duckdb_functions() \
                   WHERE internal OR database_name = 'system'";
        let functions: Vec<Function> = connection.records(sql, &[])?;
        Ok(Self { built_in: functions.into_iter().map(|function| function.name).collect() })
    }

    /// A query that a client sends in a request, as it can be put into other statements.
    ///
    /// # Errors
    /// `InvalidArgument` for a text that is not one query; as those of statements that clients may not run.
    pub fn check_query(&self, text: &str) -> Result<String> {
        let statement = sql::parse_one(text)?;
        if *statement.kind() != Kind::Read {
            return Err(Error::invalid("expected a query: a SELECT statement"));
        }
        self.check(&statement)?;
        Ok(statement.inner_text().to_owned())
    }

    /// Rejects a statement that must not run in any transaction.
    ///
    /// # Errors
    /// Unsupported; `InvalidArgument` and `NotFound` for names.
    pub(super) fn check(&self, statement: &ParsedStatement) -> Result<()> {
        match statement.called() {
            Some(function) => check_called(&function)?,
            None => check_kind(statement.kind())?,
        }
        if let Some(target) = statement.target() {
            check_catalog(&target, statement.definition())?;
        }
        if let Some(definition) = statement.definition() {
            self.check_definition(statement, definition)?;
        }
        self.check_calls(statement)
    }

    fn check_definition(&self, statement: &ParsedStatement, definition: &Definition) -> Result<()> {
        match (statement.kind(), definition.object) {
            (_, Object::Secret) => Err(Error::unsupported(
                "secrets belong to the server; the keys of its object store come from its AWS variables",
            )),
            (_, Object::Database) => Err(refuse("ALTER DATABASE")),
            (Kind::Create, Object::Macro) => {
                self.check_macro_name(definition.name.as_ref())?;
                statement.check_macro()
            }
            (Kind::Create, Object::Schema) => check_schema_name(definition.name.as_ref()),
            (Kind::Alter, _) => check_rename(definition),
            _ => Ok(()),
        }
    }

    fn check_macro_name(&self, name: Option<&Name>) -> Result<()> {
        let taken = name.map(Name::last).filter(|name| self.built_in.contains(name));
        taken.map_or(Ok(()), |name| {
            Err(Error::unsupported(format!(
                "\"{name}\" is a function of DuckDB, which a macro would replace for all clients: choose another name"
            )))
        })
    }

    fn check_calls(&self, statement: &ParsedStatement) -> Result<()> {
        let calls = statement.calls();
        let lists = |function: &Function| function.is_dry_run && LISTING.contains(&function.name.as_str());
        let names: Vec<_> = calls.functions.iter().filter(|it| !lists(it)).map(|it| it.name.as_str()).collect();
        let calls_any = |all: &[&str]| names.iter().any(|name| all.contains(name));
        if calls_any(REMOVING) {
            return Err(Error::unsupported(
                "files are removed by the action maintain, with the steps cleanup and orphans: DuckLake's own function would \
                 remove those that backups need",
            ));
        }
        if calls_any(CHANGING) || names.iter().any(|name| self.is_changing(name)) {
            return Err(Error::unsupported(
                "functions that change the lake are not offered to clients, except to list what they would do (dry_run => \
                 true): use the action merganser.maintain, and the session option commit_message",
            ));
        }
        if calls.runs_unread_text || calls_any(UNREAD) {
            return Err(Error::unsupported(
                "query() takes one plain string, and serialized statements are not run: statements are checked first",
            ));
        }
        Ok(())
    }

    /// Whether a function is one of DuckLake's that may change the lake.
    fn is_changing(&self, name: &str) -> bool {
        name.starts_with("ducklake_") && !READING.contains(&name) && self.built_in.contains(name)
    }
}

/// Rejects a CALL of a function of DuckDB, except of those whose effects [`Guard::check_calls`] knows.
fn check_called(function: &Name) -> Result<()> {
    let name = function.last();
    let known = READING.contains(&name.as_str()) || LISTING.contains(&name.as_str());
    if known { Ok(()) } else { Err(refuse("CALL")) }
}

fn check_kind(kind: &Kind) -> Result<()> {
    match kind {
        Kind::Explain { explained, .. } => match **explained {
            Kind::Read | Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge | Kind::Unknown => Ok(()),
            _ => Err(Error::unsupported("EXPLAIN is for queries and for INSERT, UPDATE, DELETE and MERGE")),
        },
        Kind::Other(_) | Kind::Call => Err(refuse(kind.word())),
        _ => Ok(()),
    }
}

/// Why a statement that does not read or write rows or tables is rejected, and the alternative.
fn refuse(name: &str) -> Error {
    let remedy = match name {
        "COPY" | "EXPORT" => "files come in with the ingest action, and rows go out to the client",
        "VACUUM" | "ANALYZE" => "the server maintains its files",
        "CALL" => {
            "the server's actions are called as merganser.<action>(…), or with DoAction; of DuckLake's functions, only those \
             that read"
        }
        "PRAGMA" => "write SET for settings of the session, and SHOW or DESCRIBE to see tables",
        _ => "the server manages its own databases and extensions",
    };
    Error::unsupported(format!("{name} is not offered to clients: {remedy}"))
}

/// Rejects a target in a catalog that is neither the lake nor the session's.
fn check_catalog(target: &Name, definition: Option<&Definition>) -> Result<()> {
    let parts = target.parts();
    let is_schema = definition.is_some_and(|definition| definition.object == Object::Schema);
    // The catalog is the first of two parts for a schema, and the first of three for other objects, where the first of
    // two parts may be either.
    let certain = if is_schema { parts.len() > 1 } else { parts.len() > 2 };
    let first = parts.first().map(|first| first.to_lowercase()).unwrap_or_default();
    let allowed = first == CATALOG || first == TEMP;
    let other = OTHER_CATALOGS.contains(&first.as_str()) && parts.len() > 1;
    if other || certain && !allowed {
        return Err(Error::unsupported(format!(
            "{target} is not in the lake: clients write to the catalog \"{CATALOG}\" and to TEMP objects"
        )));
    }
    Ok(())
}

fn check_schema_name(name: Option<&Name>) -> Result<()> {
    let taken = name
        .map(Name::last)
        .filter(|name| [CATALOG, TEMP].contains(&name.as_str()) || OTHER_CATALOGS.contains(&name.as_str()));
    taken.map_or(Ok(()), |name| {
        Err(Error::unsupported(format!(
            "\"{name}\" is the name of a catalog, which a schema would hide: choose another one"
        )))
    })
}

fn check_rename(definition: &Definition) -> Result<()> {
    match (&definition.change, &definition.name) {
        (Change::Rename(new), Some(old)) if new.to_lowercase() == old.last() => {
            Err(Error::invalid(format!("{old} has this name already: DuckLake would lose it")))
        }
        _ => Ok(()),
    }
}

/// Rejects a statement that DuckDB classifies differently from this server: decisions based on its text would be wrong.
///
/// # Errors
/// Unsupported.
pub(super) fn check_verdict(statement: &ParsedStatement, verdict: StatementKind) -> Result<()> {
    let agrees = match statement.kind() {
        Kind::Read | Kind::Explain { .. } => verdict == StatementKind::Read,
        Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge => verdict == StatementKind::Write,
        Kind::Create | Kind::Drop => verdict == StatementKind::Define,
        Kind::Alter => verdict == StatementKind::Alter,
        Kind::Transaction(_) => verdict == StatementKind::Transaction,
        Kind::Set => verdict == StatementKind::Other("SET"),
        Kind::Call => verdict == StatementKind::Other("CALL"),
        Kind::Pragma if verdict != StatementKind::Read => return Err(refuse("PRAGMA")),
        Kind::Pragma => true,
        _ => false,
    };
    if agrees {
        return Ok(());
    }
    let word = statement.kind().word();
    Err(Error::unsupported(format!(
        "the server parsed {word}, but DuckDB another kind of statement ({verdict:?}): write it in a simpler way"
    )))
}

/// Rejects a statement that must not run in a transaction in which `before` defined objects.
///
/// # Errors
/// `FailedPrecondition`; the transaction can continue with other statements.
pub(super) fn check_sequence(before: &[ParsedStatement], statement: &ParsedStatement) -> Result<()> {
    let changes = before.iter().filter_map(ParsedStatement::definition);
    if statement.writes() && !statement.defines() {
        if changes.clone().any(|change| change.change == Change::ResetPartitioning) {
            return Err(Error::precondition(
                "the transaction has reset a partitioning: write rows before that, or in another transaction",
            ));
        }
        return Ok(());
    }
    let Some(Definition { change: Change::Rename(_), name: Some(name), .. }) = statement.definition() else {
        return Ok(());
    };
    // Objects created in the transaction have no past that could be confused. Of the names in between, only the last
    // counts.
    let (mut name, mut altered) = (name.last(), false);
    for earlier in before.iter().rev() {
        let Some(definition) = earlier.definition() else { continue };
        let its = definition.name.as_ref().map(Name::last);
        match (&definition.change, earlier.kind()) {
            (Change::Rename(new), _) if new.to_lowercase() == name => name = its.unwrap_or_default(),
            (Change::Whole, Kind::Create) if its.as_ref() == Some(&name) => return Ok(()),
            (Change::Other | Change::ResetPartitioning, _) => altered |= its.as_ref() == Some(&name),
            _ => {}
        }
    }
    if altered {
        return Err(Error::precondition(
            "the transaction has altered the renamed object: rename it before that, or in another transaction",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse_one;

    fn guard() -> Guard {
        let of_ducklake =
            ["ducklake_set_option", "ducklake_commit", "ducklake_list_files", "ducklake_expire_snapshots"];
        Guard { built_in: ["sum", "to_json", "now"].into_iter().chain(of_ducklake).map(str::to_owned).collect() }
    }

    #[track_caller]
    fn check(refused: bool, all: &[&str]) {
        for sql in all {
            assert_eq!(guard().check(&parse_one(sql).unwrap()).is_err(), refused, "{sql}");
        }
    }

    #[test]
    fn secrets_are_the_servers() {
        check(
            true,
            &[
                "CREATE SECRET (TYPE s3)",
                "create or replace /* x */ temporary secret s (TYPE s3)",
                "CREATE PERSISTENT SECRET IF NOT EXISTS s IN local_file (TYPE s3)",
                "DROP SECRET s",
                "drop temporary secret if exists s from memory",
            ],
        );
        check(false, &["CREATE TABLE secret (i INT)", "DROP TABLE secret", "CREATE TEMP VIEW secret AS SELECT 1"]);
    }

    #[test]
    fn other_catalogs_and_names_of_the_server_are_not_written() {
        check(
            true,
            &[
                "CREATE TABLE memory.main.t AS SELECT 1",
                "CREATE VIEW memory.v AS SELECT 1",
                "INSERT INTO \"__ducklake_metadata_lake\".ducklake_table SELECT 1",
                "DELETE FROM system.main.t",
                "CREATE SCHEMA other.s",
                "CREATE SCHEMA lake.\"__ducklake_metadata_lake\"",
                "CREATE SCHEMA memory",
                "CREATE MACRO sum(x) AS 0",
                "CREATE OR REPLACE TEMP FUNCTION \"To_JSON\"(x) AS '{}'",
                "ALTER TABLE s.t RENAME TO \"T\"",
                "FROM query('FROM ' || 't')",
                "CREATE VIEW v AS FROM \"DUCKLAKE_cleanup_old_files\"('lake')",
                "CREATE MACRO m() AS TABLE FROM query('FROM ducklake_delete_orphaned_files(''lake'')')",
                "EXPLAIN (ANALYZE insert) CREATE TEMP TABLE orders AS SELECT 1",
                "EXPLAIN ANALYZE SET schema = 'x'",
                "COPY t TO 'x'",
                "CALL lake.set_option('a', 'b')",
                "FROM system.main.\"DuckLake_set_option\"('lake', 'a', 'b')",
                "FROM \"Lake\".silver.\"Set_Option\"('a', 'b')",
                "SELECT (SELECT count(*) FROM merge_adjacent_files())",
                "CALL enable_logging()",
                "CALL",
                "CREATE TEMP MACRO m(dry_run) AS TABLE FROM ducklake_cleanup_old_files('lake', dry_run = true)",
                "CALL ducklake_list_files('lake', 't', (FROM set_option('a', 'b')))",
                "CALL ducklake_expire_snapshots('lake', older_than => now())",
                "CALL ducklake_expire_snapshots('lake', dry_run => false)",
                "CALL ducklake_expire_snapshots('lake', dry_run => true, DRY_RUN => false)",
                "CALL ducklake_expire_snapshots('lake', dry_run => true AND false)",
                "FROM ducklake_cleanup_old_files('lake', x => (FROM f(dry_run => true)))",
                "FROM ducklake_cleanup_old_files('lake', dry_run => true), ducklake_cleanup_old_files('lake')",
                "FROM ducklake_set_option('lake', 'a', 'b', dry_run => true)",
            ],
        );
        check(
            false,
            &[
                "CREATE TABLE lake.main.t AS SELECT 1",
                "CREATE TABLE temp.t AS SELECT 1",
                "INSERT INTO silver.t VALUES (1)",
                "CREATE SCHEMA lake.s",
                "CREATE MACRO summary(x) AS sum(x)",
                "ALTER TABLE t RENAME TO u",
                "FROM query('FROM t')",
                "SELECT 'ducklake_cleanup_old_files(1)'",
                "FROM ducklake_list_files('lake', 't')",
                "CALL ducklake_list_files('lake', 't')",
                "CALL ducklake_expire_snapshots('lake', older_than => now(), dry_run => true)",
                "FROM ducklake_cleanup_old_files('lake', DRY_RUN := TRUE)",
                "FROM \"DUCKLAKE_delete_orphaned_files\"('lake', \"dry_run\" => true)",
                "INSERT INTO ducklake_numbers (i) VALUES (1)",
                "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
            ],
        );
    }

    #[track_caller]
    fn check_last(refused: bool, sql: &str) {
        let mut all = crate::sql::parse(sql).unwrap();
        let last = all.pop().unwrap();
        assert_eq!(check_sequence(&all, &last).is_err(), refused, "{sql}");
    }

    #[test]
    fn what_comes_first_decides() {
        check_last(false, "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME COLUMN a TO b");
        check_last(true, "ALTER TABLE t RENAME COLUMN a TO b; ALTER TABLE t RENAME TO u");
        check_last(true, "COMMENT ON TABLE s.t IS 'x'; ALTER TABLE lake.s.T RENAME TO u");
        check_last(true, "ALTER TABLE t ADD COLUMN a INT; ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO v");
        check_last(false, "COMMENT ON TABLE other IS 'x'; ALTER TABLE t RENAME TO u");
        check_last(false, "CREATE TABLE t (i INT); ALTER TABLE t SET PARTITIONED BY (i); ALTER TABLE t RENAME TO u");
        check_last(false, "CREATE VIEW v AS SELECT 1; COMMENT ON VIEW v IS 'x'; ALTER VIEW v RENAME TO w");
        check_last(true, "ALTER TABLE u RESET PARTITIONED BY; INSERT INTO u VALUES (1)");
        check_last(false, "ALTER TABLE u RESET PARTITIONED BY; FROM u");
    }
}

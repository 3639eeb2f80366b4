//! Sequences of statements that DuckLake does not survive in one transaction (of the version that is pinned here).
//!
//! * ALTER or COMMENT ON a table, and then RENAME TO of it: the commit succeeds, and afterwards no statement on the lake
//!   does (duckdb/ducklake#1332).
//! * RESET PARTITIONED BY, and then an INSERT or UPDATE: the process aborts.
//!
//! Both are refused before they run, whichever tables they name: a transaction has few such statements, and the other
//! order works. Each of them is safe in a transaction of its own.
//!
//! And what it survives in no transaction: [`macros`] with parameters that its catalog cannot hold.
//!
//! Secrets of DuckDB are the server's: without the one of the object store, or with another in front of it, nobody can
//! read the lake any more.

use sqlparser::{keywords::Keyword, tokenizer::Token};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    macros,
    message::Message,
    tokens::{keyword, significant, words},
};
use crate::{
    engine::StatementKind,
    error::{Error, Result},
};

/// DuckLake's functions that remove files.
const REMOVING: &[&str] = &["DUCKLAKE_CLEANUP_OLD_FILES", "DUCKLAKE_DELETE_ORPHANED_FILES"];

/// What a transaction has done: that which forbids something later, and what its commit shall say.
#[derive(Debug, Default)]
pub(super) struct Hazards {
    altered: bool,
    partitioning_reset: bool,
    /// Whether a statement has run in it.
    used: bool,
    /// What its commit says of it.
    message: Message,
    /// Where its connection will stay, because it made TEMP objects.
    place: Option<OwnedSemaphorePermit>,
}

// === impl Hazards ===

impl Hazards {
    /// Notes a statement that is about to run.
    ///
    /// # Errors
    /// `FailedPrecondition` for one that must not run any more; the transaction can go on with others.
    pub(super) fn note(&mut self, kind: StatementKind, sql: &str) -> Result<()> {
        self.used |= !matches!(kind, StatementKind::Transaction | StatementKind::Other(_));
        match kind {
            // EXPLAIN ANALYZE runs what it explains.
            StatementKind::Write | StatementKind::Read if self.partitioning_reset && may_write(sql) => {
                Err(Error::precondition(
                    "the transaction has reset a partitioning: write rows before that, or in another transaction",
                ))
            }
            StatementKind::Alter => self.note_alter(&words(sql)),
            _ => Ok(()),
        }
    }

    /// Notes what the commit shall say was done.
    pub(super) fn say(&mut self, done: String) {
        self.message.add(done);
    }

    /// What the commit says.
    pub(super) fn message(&self) -> String {
        self.message.text()
    }

    /// Whether a statement has run in the transaction.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// Notes that the session keeps the connection after the commit.
    pub(super) fn keep_place(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    /// The place that was kept, if one was.
    pub(super) fn take_place(&mut self) -> Option<OwnedSemaphorePermit> {
        self.place.take()
    }

    fn note_alter(&mut self, words: &[String]) -> Result<()> {
        let has = |phrase: &[&str]| words.windows(phrase.len()).any(|window| window == phrase);
        let renames = has(&["RENAME", "TO"]);
        if renames && self.altered {
            return Err(Error::precondition(
                "the transaction has altered a table: rename tables before that, or in another transaction",
            ));
        }
        self.altered |= !renames;
        self.partitioning_reset |= has(&["RESET", "PARTITIONED", "BY"]);
        Ok(())
    }
}

/// Refuses a statement that harms the lake: what makes it unreadable, and what removes files that backups need.
///
/// # Errors
/// Unsupported.
pub(super) fn check(kind: StatementKind, sql: &str) -> Result<()> {
    let words = words(sql);
    if is_about_secrets(&words) {
        return Err(Error::unsupported(
            "secrets belong to the server; the keys of its object store come from its AWS variables",
        ));
    }
    if kind == StatementKind::Define {
        macros::check(sql)?;
    }
    if explains_a_definition(&words) {
        return Err(Error::unsupported("EXPLAIN is for queries and for INSERT, UPDATE, DELETE and MERGE"));
    }
    if words.iter().any(|word| REMOVING.contains(&word.as_str())) {
        return Err(Error::unsupported(
            "files are removed by the action maintain, with the steps cleanup and orphans: DuckLake's own function would \
             remove those that backups need",
        ));
    }
    Ok(())
}

/// Whether it is an EXPLAIN, which may run what it explains, of something else than rows.
fn explains_a_definition(words: &[String]) -> bool {
    const ROWS: &[&str] = &[
        "SELECT",
        "FROM",
        "WITH",
        "VALUES",
        "TABLE",
        "DESCRIBE",
        "SUMMARIZE",
        "PIVOT",
        "UNPIVOT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "TRUNCATE",
        "MERGE",
    ];
    const OTHERS: &[&str] = &[
        "CREATE",
        "ALTER",
        "DROP",
        "COMMENT",
        "BEGIN",
        "START",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
        "SET",
        "RESET",
        "USE",
        "PREPARE",
        "EXECUTE",
        "DEALLOCATE",
        "CALL",
        "PRAGMA",
        "COPY",
        "LOAD",
        "ATTACH",
        "DETACH",
        "VACUUM",
        "CHECKPOINT",
    ];
    let (rows, others) =
        (|word: &String| ROWS.contains(&word.as_str()), |word: &String| OTHERS.contains(&word.as_str()));
    words.first().is_some_and(|first| first == "EXPLAIN")
        && words.iter().skip(1).find(|word| rows(word) || others(word)).is_some_and(others)
}

/// Whether a statement makes or drops a secret.
fn is_about_secrets(words: &[String]) -> bool {
    const BETWEEN: &[&str] = &["OR", "REPLACE", "PERSISTENT", "TEMP", "TEMPORARY"];
    let mut words = words.iter().map(String::as_str);
    matches!(words.next(), Some("CREATE" | "DROP")) && words.find(|word| !BETWEEN.contains(word)) == Some("SECRET")
}

/// Whether a statement makes something TEMP; a table that is only called so counts too, which does no harm.
pub(super) fn makes_temp(sql: &str) -> bool {
    let words = words(sql);
    words.first().is_some_and(|first| first == "CREATE")
        && words.iter().any(|word| word == "TEMP" || word == "TEMPORARY")
}

/// Whether a statement certainly reads no table, such as the `SELECT 1` with which tools ask whether a server is there:
/// it names none, and without parentheses it has neither a function nor a subquery.
pub(super) fn reads_nothing(sql: &str) -> bool {
    const READING: &[&str] = &["FROM", "TABLE", "DESCRIBE", "SHOW", "SUMMARIZE", "PIVOT", "UNPIVOT", "VALUES", "WITH"];
    let words = words(sql);
    words.first().is_some_and(|first| first == "SELECT")
        && !sql.contains('(')
        && !words.iter().any(|word| READING.contains(&word.as_str()))
}

/// Whether a statement may write to the lake; some that only look like it count too, which does no harm.
pub(super) fn may_write(sql: &str) -> bool {
    const NOT_WRITING: &[&str] = &[
        "SELECT",
        "FROM",
        "TABLE",
        "VALUES",
        "DESCRIBE",
        "DESC",
        "SHOW",
        "SUMMARIZE",
        "PIVOT",
        "UNPIVOT",
        "SET",
        "RESET",
        "USE",
        "BEGIN",
        "START",
        "COMMIT",
        "END",
        "ROLLBACK",
        "ABORT",
    ];
    const WRITING: &[&str] = &["INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE"];
    let words = words(sql);
    match words.first().map(String::as_str) {
        Some("WITH" | "EXPLAIN") => words.iter().any(|word| WRITING.contains(&word.as_str())),
        Some(first) => !NOT_WRITING.contains(&first),
        None => false,
    }
}

/// From which table a statement may delete rows, as it writes it; empty where that cannot be said for certain. An UPDATE
/// writes rows too, by which DuckLake knows.
pub(super) fn deletes_from(sql: &str) -> Option<String> {
    const DELETING: &[Keyword] = &[Keyword::DELETE, Keyword::TRUNCATE, Keyword::MERGE];
    const INTRODUCING: &[Keyword] = &[Keyword::FROM, Keyword::TABLE, Keyword::INTO, Keyword::ONLY];
    let Some(tokens) = significant(sql) else { return Some(String::new()) };
    let (first, rest) = tokens.split_first()?;
    if DELETING.contains(&keyword(first)) {
        // One that only inserts or updates writes rows.
        if keyword(first) == Keyword::MERGE && !rest.iter().any(|token| keyword(token) == Keyword::DELETE) {
            return None;
        }
        let start = rest.iter().position(|token| !INTRODUCING.contains(&keyword(token)))?;
        return Some(path(&rest[start..]));
    }
    let may_contain = matches!(keyword(first), Keyword::WITH | Keyword::EXPLAIN);
    let deletes = |token: &Token| DELETING.contains(&keyword(token));
    (may_contain && rest.iter().any(deletes)).then(String::new)
}

/// The name with which `tokens` begin: words with points between them.
fn path(tokens: &[Token]) -> String {
    let is_part = |(at, token): &(usize, &Token)| match token {
        Token::Word(_) => at % 2 == 0,
        Token::Period => at % 2 == 1,
        _ => false,
    };
    tokens.iter().enumerate().take_while(is_part).map(|(_, token)| token.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_no_table_reads_nothing() {
        for sql in ["SELECT 1", "select 1 + ? AS n, 'FROM'", "-- alive?\nSELECT current_date"] {
            assert!(reads_nothing(sql), "{sql}");
        }
        for sql in [
            "FROM t",
            "SELECT * FROM t",
            "SELECT f()",
            "SELECT 1 UNION TABLE t",
            "DESCRIBE t",
            "INSERT INTO t VALUES (1)",
        ] {
            assert!(!reads_nothing(sql), "{sql}");
        }
    }

    #[test]
    fn the_table_of_a_deletion_is_found_or_is_unknown() {
        for (sql, table) in [
            ("delete from lake.silver.t where i = 1", "lake.silver.t"),
            ("TRUNCATE TABLE t;", "t"),
            ("MERGE INTO \"a b\" USING u ON true WHEN MATCHED THEN DELETE", "\"a b\""),
            (";DELETE\u{a0}FROM t", "t"),
            ("-- x\rTRUNCATE t", "t"),
            ("DELETE /* all */ FROM ONLY t AS x", "t"),
            ("WITH x AS (SELECT 1) DELETE FROM t USING x", ""),
            ("EXPLAIN ANALYZE DELETE FROM t", ""),
            ("DELETE FROM 'open", ""),
        ] {
            assert_eq!(deletes_from(sql).as_deref(), Some(table), "{sql}");
        }
        for sql in [
            "MERGE INTO t USING u ON true WHEN NOT MATCHED THEN INSERT",
            "SELECT 'DELETE'",
            "UPDATE t SET i = 1",
            "INSERT INTO t VALUES (1)",
            "FROM t",
            "",
        ] {
            assert_eq!(deletes_from(sql), None, "{sql}");
        }
    }

    #[test]
    fn what_does_not_certainly_read_may_write() {
        for sql in ["INSERT INTO t VALUES (1)", "/* x */ drop table t", "with a as (select 1) update t set i = 1", "(x"]
        {
            assert!(may_write(sql), "{sql}");
        }
        for sql in ["", "from t", "(SELECT 'INSERT')", "WITH a AS (SELECT 1) FROM a", "EXPLAIN FROM t", "COMMIT"] {
            assert!(!may_write(sql), "{sql}");
        }
    }

    #[test]
    fn secrets_are_the_servers() {
        let allowed = |sql| check(StatementKind::Define, sql).is_ok();
        for sql in [
            "CREATE SECRET (TYPE s3)",
            "create or replace /* x */ temporary secret s (TYPE s3)",
            "CREATE PERSISTENT SECRET IF NOT EXISTS s IN local_file (TYPE s3)",
            "DROP SECRET s",
            "drop temporary secret if exists s from memory",
        ] {
            assert!(!allowed(sql), "{sql}");
        }
        for sql in ["CREATE TABLE secret (i INT)", "DROP TABLE secret", "CREATE TEMP VIEW secret AS SELECT 1"] {
            assert!(allowed(sql), "{sql}");
        }
    }

    #[test]
    fn what_comes_first_decides() {
        let mut hazards = Hazards::default();
        let mut alter = |sql| hazards.note(StatementKind::Alter, sql);
        assert!(alter("ALTER TABLE t RENAME TO u").is_ok());
        assert!(alter("ALTER TABLE u RENAME COLUMN a TO b").is_ok());
        assert!(alter("ALTER TABLE u RENAME TO t").is_err());
        assert!(alter("ALTER TABLE u RESET PARTITIONED BY").is_ok());
        assert!(hazards.note(StatementKind::Write, "INSERT INTO u VALUES (1)").is_err());
        assert!(hazards.note(StatementKind::Read, "FROM u").is_ok());
    }
}

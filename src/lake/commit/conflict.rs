//! Conflict detection: what DuckLake does not check.
//!
//! Of two transactions that both read and write the rows of a table, the one that commits later must have seen the
//! writes of the other. DuckLake allows some that have not: two DELETEs from a data file that already has deleted rows
//! (one of them is lost, and the remaining rows exist twice), and two that insert rows that they did not find (MERGE,
//! or INSERT … WHERE NOT EXISTS: the key exists twice). So such commits of this process are numbered, and a commit
//! fails if another commit to one of its tables was numbered after it began.
//!
//! Servers that share a catalog do not see each other's numbers: PostgreSQL compares them (`sql/05_postgres.sql`).

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use crate::{
    error::{Error, ErrorKind, Result},
    sql::Name,
};

/// How often a waiting transaction checks whether it was interrupted.
const LOOK: Duration = Duration::from_millis(20);

/// The commits of one lake that read and wrote rows of a table.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    /// The number of the last such commit. Read without the lock, which is held during a commit: a commit in progress
    /// counts as later.
    newest: AtomicU64,
    numbers: Mutex<Numbers>,
}

/// The numbers of commits.
#[derive(Debug, Default)]
struct Numbers {
    /// The number of the last commit whose tables are unknown.
    anywhere: u64,
    /// The numbers of the last commits by table name; one entry per table that was read and written.
    tables: HashMap<String, u64>,
}

/// The tables that a transaction reads and writes, and the commit number when it began.
#[derive(Debug, Default)]
pub(super) struct ReadSet {
    began: u64,
    anywhere: bool,
    tables: Vec<String>,
}

// === impl Conflicts ===

impl Conflicts {
    /// Starts tracking a transaction, before its first read.
    pub(super) fn begin(&self) -> ReadSet {
        ReadSet { began: self.newest.load(Ordering::Acquire), ..ReadSet::default() }
    }

    /// Commits a transaction. If it reads and writes a table, this happens exclusively, and only if no other such
    /// transaction committed since it began. While it waits for others, `may_wait` is called to check whether to keep
    /// waiting.
    ///
    /// # Errors
    /// Conflict; errors of `may_wait` and `commit`.
    pub(super) fn commit(
        &self,
        reads: &ReadSet,
        may_wait: impl Fn() -> Result<()>,
        commit: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if reads.is_empty() {
            return commit();
        }
        let mut numbers = loop {
            if let Some(numbers) = self.numbers.try_lock_for(LOOK) {
                break numbers;
            }
            may_wait()?;
        };
        let newest = self.newest.load(Ordering::Acquire);
        if reads.newest_elsewhere(&numbers, newest) > reads.began {
            let text = "conflict: another transaction has changed rows of the table since this one began: repeat the transaction";
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        let outcome = commit();
        // A failed commit may have happened; counting too many only causes needless retries.
        let number = newest + 1;
        self.newest.store(number, Ordering::Release);
        if reads.anywhere {
            numbers.anywhere = number;
        }
        numbers.tables.extend(reads.tables.iter().map(|table| (table.clone(), number)));
        outcome
    }
}

// === impl ReadSet ===

impl ReadSet {
    /// Adds a table; `path` is its name as written in SQL, empty if unknown.
    pub(super) fn add(&mut self, path: &str) {
        let name = path.replace('"', "").to_lowercase();
        if name.starts_with("temp.") {
            return;
        }
        let plain = |c: char| c.is_alphanumeric() || "_.\"".contains(c);
        if path.is_empty() || !path.chars().all(plain) || path.matches('"').count() % 2 == 1 {
            self.anywhere = true;
            return;
        }
        self.tables.push(name.rsplit('.').next().unwrap_or_default().to_owned());
    }

    /// Whether it reads and writes no table.
    pub(super) fn is_empty(&self) -> bool {
        !self.anywhere && self.tables.is_empty()
    }

    /// The names of the tables, without schemas and in lower case; `*` is any.
    pub(super) fn tables(&self) -> Vec<&str> {
        if self.anywhere { vec!["*"] } else { self.tables.iter().map(String::as_str).collect() }
    }

    fn newest_elsewhere(&self, numbers: &Numbers, newest: u64) -> u64 {
        if self.anywhere {
            return newest;
        }
        let tables = self.tables.iter().filter_map(|table| numbers.tables.get(table));
        tables.copied().max().unwrap_or_default().max(numbers.anywhere)
    }
}

/// Whether a name from DuckDB, with or without schemas and quotes, may refer to `table`.
pub(super) fn same_table(given: &str, table: &Name) -> bool {
    let given = given.replace('"', "").to_lowercase();
    let name = table.last().replace('"', "");
    given.strip_suffix(&name).is_some_and(|schema| schema.is_empty() || schema.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: &str, second: &str, both: bool) {
        let conflicts = Conflicts::default();
        let (mut one, mut two) = (conflicts.begin(), conflicts.begin());
        one.add(first);
        two.add(second);
        conflicts.commit(&one, || Ok(()), || Ok(())).unwrap();
        let outcome = conflicts.commit(&two, || Ok(()), || Ok(()));
        assert_eq!(outcome.is_ok(), both, "{first}, {second}");
        // When repeated, it has seen the other's writes.
        let mut again = conflicts.begin();
        again.add(second);
        conflicts.commit(&again, || Ok(()), || Ok(())).unwrap();
    }

    #[test]
    fn the_later_of_two_that_read_and_write_one_table_fails() {
        check("t", "t", false);
        check("lake.silver.\"T\"", "t", false);
        check("t", "u", true);
        check("t", "", false);
        check("\"a b\"", "u", false);
    }

    #[test]
    fn a_commit_that_is_under_way_counts_as_later() {
        let conflicts = Conflicts::default();
        let (mut one, mut two) = (conflicts.begin(), ReadSet::default());
        one.add("t");
        let begin_meanwhile = || {
            two = conflicts.begin();
            Ok(())
        };
        conflicts.commit(&one, || Ok(()), begin_meanwhile).unwrap();
        two.add("t");
        let err = conflicts.commit(&two, || Ok(()), || Ok(())).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn who_only_adds_rows_never_fails() {
        let conflicts = Conflicts::default();
        let (writer, mut other) = (conflicts.begin(), conflicts.begin());
        other.add("t");
        conflicts.commit(&other, || Ok(()), || Ok(())).unwrap();
        conflicts.commit(&writer, || Ok(()), || Ok(())).unwrap();
    }

    #[test]
    fn temp_tables_are_nobody_elses() {
        let mut reads = ReadSet::default();
        reads.add("temp.main.t");
        assert!(reads.is_empty());
    }
}

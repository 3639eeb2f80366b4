//! Who has deleted rows since a transaction began: what DuckLake does not always compare.
//!
//! Of two transactions that delete rows of one data file the later must fail. DuckLake sees that by the snapshots at
//! which delete files begin; but the second delete file of a data file keeps the begin of the first, so that from then
//! on both commit. Deletions are lost then, and the rows that are left are there twice. So the deletions that this
//! process commits are numbered, and a transaction that deletes does not commit when another number came since it began.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};

/// How often one that waits looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// The deletions of one instance.
#[derive(Debug, Default)]
pub struct Deletions {
    /// The number of the last commit that deleted rows. Read without the lock, which is held while one commits: one that
    /// is under way counts as later.
    newest: AtomicU64,
    numbers: Mutex<Numbers>,
}

/// The numbers of commits that deleted rows.
#[derive(Debug, Default)]
struct Numbers {
    /// That of the last one of which nobody knows from where.
    anywhere: u64,
    /// Those of tables, by name; as many as there are tables from which somebody deleted.
    tables: HashMap<String, u64>,
}

/// From where a transaction deletes rows, and since when it reads.
#[derive(Debug, Default)]
pub struct Deleting {
    began: u64,
    anywhere: bool,
    tables: Vec<String>,
}

// === impl Deletions ===

impl Deletions {
    /// A transaction that begins now, before it reads.
    pub fn begin(&self) -> Deleting {
        Deleting { began: self.newest.load(Ordering::Acquire), ..Deleting::default() }
    }

    /// Commits a transaction; if it deletes rows, then alone, and only when nobody else has deleted from its tables.
    /// While it waits for others it asks `may_wait` whether it shall.
    ///
    /// # Errors
    /// Conflict; what `may_wait` and `commit` say.
    pub fn commit(
        &self,
        deleting: &Deleting,
        may_wait: impl Fn() -> Result<()>,
        commit: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        if !deleting.anywhere && deleting.tables.is_empty() {
            return commit();
        }
        let mut numbers = loop {
            if let Some(numbers) = self.numbers.try_lock_for(LOOK) {
                break numbers;
            }
            may_wait()?;
        };
        let newest = self.newest.load(Ordering::Acquire);
        if deleting.newest_elsewhere(&numbers, newest) > deleting.began {
            let text = "another transaction has deleted rows of the table since this one began: repeat the transaction";
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        let outcome = commit();
        // One that failed may have happened; to count too many only makes somebody repeat.
        let number = newest + 1;
        self.newest.store(number, Ordering::Release);
        if deleting.anywhere {
            numbers.anywhere = number;
        }
        numbers.tables.extend(deleting.tables.iter().map(|table| (table.clone(), number)));
        outcome
    }
}

// === impl Deleting ===

impl Deleting {
    /// Notes that rows of a table will be deleted; `path` is its name as SQL writes it.
    pub fn add(&mut self, path: &str) {
        if path.to_lowercase().starts_with("temp.") {
            return;
        }
        let plain = |c: char| c.is_alphanumeric() || "_.\"".contains(c);
        if path.is_empty() || !path.chars().all(plain) || path.matches('"').count() % 2 == 1 {
            self.anywhere = true;
            return;
        }
        let name = path.replace('"', "").to_lowercase();
        self.tables.push(name.rsplit('.').next().unwrap_or_default().to_owned());
    }

    fn newest_elsewhere(&self, numbers: &Numbers, newest: u64) -> u64 {
        if self.anywhere {
            return newest;
        }
        let tables = self.tables.iter().filter_map(|table| numbers.tables.get(table));
        tables.copied().max().unwrap_or_default().max(numbers.anywhere)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: &str, second: &str, both: bool) {
        let deletions = Deletions::default();
        let (mut one, mut two) = (deletions.begin(), deletions.begin());
        one.add(first);
        two.add(second);
        deletions.commit(&one, || Ok(()), || Ok(())).unwrap();
        let outcome = deletions.commit(&two, || Ok(()), || Ok(()));
        assert_eq!(outcome.is_ok(), both, "{first}, {second}");
        // Repeated, it has seen the other's.
        let mut again = deletions.begin();
        again.add(second);
        deletions.commit(&again, || Ok(()), || Ok(())).unwrap();
    }

    #[test]
    fn the_later_of_two_that_delete_from_one_table_fails() {
        check("t", "t", false);
        check("lake.silver.\"T\"", "t", false);
        check("t", "u", true);
        check("t", "", false);
        check("\"a b\"", "u", false);
    }

    #[test]
    fn a_commit_that_is_under_way_counts_as_later() {
        let deletions = Deletions::default();
        let (mut one, mut two) = (deletions.begin(), Deleting::default());
        one.add("t");
        let begin_meanwhile = || {
            two = deletions.begin();
            Ok(())
        };
        deletions.commit(&one, || Ok(()), begin_meanwhile).unwrap();
        two.add("t");
        let err = deletions.commit(&two, || Ok(()), || Ok(())).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn who_deletes_nothing_never_fails() {
        let deletions = Deletions::default();
        let (writer, mut deleter) = (deletions.begin(), deletions.begin());
        deleter.add("t");
        deletions.commit(&deleter, || Ok(()), || Ok(())).unwrap();
        deletions.commit(&writer, || Ok(()), || Ok(())).unwrap();
    }
}

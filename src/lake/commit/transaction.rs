//! The state of an open transaction, besides DuckDB's own.

use std::time::SystemTime;

use uuid::Uuid;

use super::{
    committer::Committer,
    conflict::{self, ReadSet},
    outcome,
    writer_lock::WriterPermit,
};
use crate::{
    engine::{Connection, Value},
    error::{Context, Result},
    ids::SnapshotId,
    lake::{errors::is_lost_commit, head},
    sql::{ParsedStatement, ReadsAndWrites},
};

/// An open transaction. It must be [committed](Self::commit), or rolled back on its connection before it is dropped.
#[derive(Debug)]
pub struct OpenTransaction {
    since: SystemTime,
    reads: ReadSet,
    /// How often snapshots had expired when it began.
    expiry: u64,
    /// Whether it expires snapshots itself.
    expires: bool,
    /// The snapshot that it reads, if other servers need to know it.
    base: Option<SnapshotId>,
    /// Whether the catalog version in which it defines objects is held in memory.
    defines: bool,
    permit: Option<WriterPermit>,
    message: Message,
    details: Option<serde_json::Value>,
}

/// The messages of a transaction's statements.
#[derive(Debug, Default)]
struct Message {
    first: Option<String>,
    more: usize,
}

// === impl OpenTransaction ===

impl OpenTransaction {
    /// Begins a transaction on `connection`.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn begin(committer: &Committer, connection: &Connection) -> Result<Self> {
        let (since, reads) = (SystemTime::now(), committer.conflicts.begin());
        let expiry = committer.expiry.begin();
        connection.begin()?;
        let message = Message::default();
        Ok(Self {
            since,
            reads,
            expiry,
            expires: false,
            base: None,
            defines: false,
            permit: None,
            message,
            details: None,
        })
    }

    /// Declares that it will write. Waits for the writer lock if the catalog takes one writer at a time, and holds it
    /// until the end; so this should be called before the first read, where possible.
    ///
    /// # Errors
    /// Cancelled if the task was interrupted; `ResourceExhausted` if others held the lock for half a minute.
    pub fn will_write(&mut self, committer: &Committer, connection: &Connection) -> Result<()> {
        if self.permit.is_none() {
            self.permit = committer.writer_permit(connection)?;
        }
        Ok(())
    }

    /// Prepares for a statement that runs next.
    ///
    /// # Errors
    /// As [`will_write`](Self::will_write); errors of DuckDB.
    pub fn will_run(
        &mut self,
        committer: &Committer,
        connection: &Connection,
        statement: &ParsedStatement,
    ) -> Result<()> {
        if statement.writes() {
            self.will_write(committer, connection)?;
        }
        if statement.defines() {
            self.will_define(connection)?;
        }
        match statement.reads_and_writes() {
            ReadsAndWrites::No => Ok(()),
            ReadsAndWrites::Table(table) => self.reads_and_writes(committer, connection, &table.to_string()),
            ReadsAndWrites::Unknown => self.reads_and_writes(committer, connection, ""),
            ReadsAndWrites::IfQueried { table, query } => {
                let read = connection.table_names(&query, false)?;
                // A query whose tables DuckDB does not report may read any table.
                if read.is_none_or(|read| read.iter().any(|read| conflict::same_table(read, &table))) {
                    self.reads_and_writes(committer, connection, &table.to_string())?;
                }
                Ok(())
            }
        }
    }

    /// Declares that it reads and writes rows of a table; an empty name is any table.
    pub(super) fn reads_and_writes(
        &mut self,
        committer: &Committer,
        connection: &Connection,
        name: &str,
    ) -> Result<()> {
        self.reads.add(name);
        if committer.remote && self.base.is_none() && !self.reads.is_empty() {
            self.base = Some(head::current(connection)?);
        }
        Ok(())
    }

    /// Declares that it will change the catalog.
    ///
    /// DuckLake caches each version of the catalog that it reads, and the objects that a transaction defines point into
    /// the cached copy. DuckLake (d8a1881e) keeps the copy alive only until the end of each statement; after that, it is
    /// freed
    ///
    /// * when another connection that reads the same version at the same time adds a copy of its own,
    /// * when the version is expired (`ducklake_expire_snapshots`),
    /// * when DuckDB evicts it because a query needs the memory.
    ///
    /// The COMMIT then reads freed memory: the server crashes, or the catalog names a schema that does not exist and
    /// cannot be loaded any more. So the version is read while no other connection reads one, and held until the
    /// transaction ends, by a statement on a table that does not exist.
    ///
    /// # Errors
    /// Cancelled if the task was interrupted; errors of DuckDB.
    pub(super) fn will_define(&mut self, connection: &Connection) -> Result<()> {
        if !self.defines {
            connection.exclusively(|connection| {
                let snapshot = head::current(connection)?;
                connection.hold(format!("FROM lake.main.\"no such table\" AT (VERSION => {snapshot})"))
            })?;
            self.defines = true;
        }
        Ok(())
    }

    /// Declares that it expires snapshots.
    pub(super) fn expires(&mut self) {
        self.expires = true;
    }

    /// Adds a description to the commit message.
    pub fn add_message(&mut self, done: String) {
        self.message.add(done);
    }

    /// Sets the commit message, and `details` for programs.
    pub fn sign(&mut self, message: String, details: Option<serde_json::Value>) {
        self.message = Message { first: Some(message), more: 0 };
        self.details = details;
    }

    /// Commits in the name of `author`. Returns the snapshot that was created; `None` if nothing in the lake changed.
    ///
    /// # Errors
    /// Conflict if another transaction committed first; other errors of DuckDB and of the operating system. The
    /// transaction is over and nothing is committed, except with Internal, if the catalog's database was lost during
    /// the commit; the message contains what is known.
    pub fn commit(self, committer: &Committer, connection: &Connection, author: &str) -> Result<Option<SnapshotId>> {
        self.try_commit(committer, connection, author).inspect_err(|_| connection.rollback())
    }

    fn try_commit(&self, committer: &Committer, connection: &Connection, author: &str) -> Result<Option<SnapshotId>> {
        let mark = self.mark();
        let params = [Value::varchar(author), Value::varchar(&self.message.text()), Value::varchar(&mark)];
        connection.execute("CALL lake.set_commit_message(?, ?, extra_info => ?)", &params)?;
        let before = head::last_committed(connection)?;
        let links = match &committer.fsync {
            Some(fsync) => fsync.sync(self.since).context(|| "sync data files")?,
            None => None,
        };
        let may_wait = || connection.check_interrupted();
        let commit = || committer.conflicts.commit(&self.reads, may_wait, || connection.commit());
        let outcome = if self.expires {
            committer.expiry.expire(self.expiry, commit)
        } else if self.has_written() {
            committer.expiry.commit(self.expiry, commit)
        } else {
            commit()
        };
        match outcome {
            Ok(()) => {
                // The commit has happened: later errors must not report that it has not.
                let after = head::last_committed(connection).ok().flatten();
                Ok(after.filter(|after| before != Some(*after)))
            }
            Err(err) if is_lost_commit(&err) => {
                // DuckLake removes the transaction's files until this is over.
                connection.rollback();
                let files_are_back = links.is_some_and(|links| links.put_back().is_ok());
                outcome::of_commit(connection, &mark, files_are_back).unwrap_or(Err(err))
            }
            Err(err) => Err(err),
        }
    }

    /// Whether a statement has written: each has added its message.
    fn has_written(&self) -> bool {
        self.message.first.is_some()
    }

    /// The mark that identifies the commit, with the information for other servers: JSON for `commit_extra_info`.
    /// PostgreSQL (`sql/05_postgres.sql`) recognises it by its first key.
    fn mark(&self) -> String {
        let mut mark = format!("{{\"commit\":\"{}\"", Uuid::new_v4());
        if let Some(base) = self.base {
            let reads = serde_json::json!({ "since": base, "tables": self.reads.tables() });
            mark += &format!(",\"reads\":{reads}");
        }
        for (name, value) in self.details.as_ref().and_then(serde_json::Value::as_object).into_iter().flatten() {
            mark += &format!(",{}:{value}", serde_json::Value::from(name.as_str()));
        }
        mark + "}"
    }
}

// === impl Message ===

impl Message {
    fn add(&mut self, done: String) {
        if self.first.is_none() {
            self.first = Some(done);
        } else {
            self.more += 1;
        }
    }

    fn text(&self) -> String {
        let first = self.first.clone().unwrap_or_default();
        if self.more == 0 { first } else { format!("{first} (and {} more)", self.more) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_tells_its_first_statement_and_counts_the_rest() {
        let mut message = Message::default();
        assert_eq!(message.text(), "");
        message.add("DELETE FROM t".into());
        assert_eq!(message.text(), "DELETE FROM t");
        message.add("INSERT INTO t".into());
        message.add("INSERT INTO t".into());
        assert_eq!(message.text(), "DELETE FROM t (and 2 more)");
    }
}

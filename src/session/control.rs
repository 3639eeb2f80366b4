//! Statements that control the session instead of running in DuckDB: BEGIN, COMMIT and ROLLBACK, SET, RESET and USE.

use std::sync::Arc;

use arrow::datatypes::Schema;

use super::{
    OptionFault, Session, Sessions,
    execution::Running,
    rows::Rows,
    set,
    statement::{Outcome, Statement},
};
use crate::{
    error::{Error, Result},
    ids::{SnapshotId, TransactionId},
    lake::snapshots,
};

/// What a statement controls.
#[derive(Clone, Copy, Debug)]
pub(super) enum Control {
    /// The transaction of the session.
    Transaction,
    /// The options of the session.
    Set,
}

/// BEGIN, COMMIT and ROLLBACK as SQL text.
pub(super) async fn transaction(
    sessions: &Sessions,
    session: &Session,
    running: Running,
    statement: &Statement,
) -> Result<Outcome> {
    let textual = *session.handles.textual.lock();
    // Read first: once the transaction has begun or ended, nothing may fail any more.
    let mut snapshot_id = newest(sessions, session).await?;
    match (first_word(&statement.sql).as_str(), textual) {
        ("BEGIN" | "START", Some(_)) => return Err(within_a_transaction()),
        ("BEGIN" | "START", None) if session.is_own() => {
            let id = session.begin(statement.connection)?;
            *session.handles.textual.lock() = Some(id);
        }
        ("BEGIN" | "START", None) => {
            return Err(Error::precondition(
                "BEGIN needs a session: log in first, or switch the client's autocommit off instead",
            ));
        }
        (word, None) => {
            let ending = if is_commit(word) { "commit" } else { "rollback" };
            let text = format!("TransactionContext Error: cannot {ending} - no transaction is active");
            return Err(Error::precondition(text));
        }
        (word, Some(id)) => {
            let made = session.end(id, is_commit(word)).await?;
            snapshot_id = made.unwrap_or(snapshot_id);
        }
    }
    Ok(nothing(running, snapshot_id))
}

/// BEGIN, COMMIT and ROLLBACK as SQL text in a transaction that the client named: drivers keep one open all the time, and
/// some tools send the words besides. The transaction stays open and is as new.
pub(super) async fn named_transaction(
    sessions: &Sessions,
    session: &Session,
    running: Running,
    id: TransactionId,
    sql: &str,
) -> Result<Outcome> {
    let Some(transaction) = session.transaction(Some(id))? else { return Err(super::unknown_transaction(id)) };
    let made = match first_word(sql).as_str() {
        "BEGIN" | "START" if transaction.hazards().lock().is_used() => return Err(within_a_transaction()),
        "BEGIN" | "START" => None,
        word => session.finish(&transaction, is_commit(word)).await?,
    };
    let snapshot_id = match made {
        Some(made) => made,
        None => newest(sessions, session).await?,
    };
    Ok(nothing(running, snapshot_id))
}

fn within_a_transaction() -> Error {
    Error::precondition("TransactionContext Error: cannot start a transaction within a transaction")
}

fn is_commit(word: &str) -> bool {
    word == "COMMIT" || word == "END"
}

/// SET, RESET and USE as SQL text.
pub(super) async fn set(sessions: &Sessions, session: &Session, running: Running, sql: &str) -> Result<Outcome> {
    let (name, value) = set::parse(sql)?;
    match sessions.set_option(session, &name, value).await? {
        Ok(()) => Ok(nothing(running, newest(sessions, session).await?)),
        Err(OptionFault::Name) => {
            Err(Error::unsupported(format!("SET {name}: settings like this one belong to the server")))
        }
        Err(OptionFault::Value) => Err(Error::invalid(format!("SET {name}: the setting cannot have this value"))),
    }
}

pub(super) async fn newest(sessions: &Sessions, session: &Session) -> Result<SnapshotId> {
    sessions.lease(session).await?.worker().run(snapshots::current).await
}

/// The outcome of a statement without rows.
fn nothing(execution: Running, snapshot_id: SnapshotId) -> Outcome {
    let rows = Rows::Complete(Arc::new(Schema::empty()), Vec::new());
    Outcome { execution, rows, changed: Some(0), snapshot_id }
}

/// The first word of a statement, in upper case, without the comments before it.
pub(super) fn first_word(sql: &str) -> String {
    let mut rest = sql.trim_start();
    loop {
        rest = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n').map_or("", |(_, after)| after),
            (_, Some(comment)) => comment.split_once("*/").map_or("", |(_, after)| after),
            (None, None) => break,
        }
        .trim_start();
    }
    rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase()
}

/// Why a statement that neither reads nor writes rows or tables is not run, and what to do instead.
pub(super) fn refuse(name: &str) -> Error {
    let remedy = match name {
        "COPY" | "EXPORT" => "files come in with the ingest action, and rows go out to the client",
        "VACUUM" | "ANALYZE" => "the server looks after its files",
        "CALL" => "the server's actions are called as merganser.<action>(…), or with DoAction",
        "PREPARE" | "EXECUTE" => "use the client's prepared statements",
        "PRAGMA" => "write SET for settings of the session, and SHOW or DESCRIBE to see tables",
        _ => "the server looks after its own databases and extensions",
    };
    Error::unsupported(format!("{name} is not offered to clients: {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_stands_after_comments() {
        assert_eq!(first_word("-- a\n /* b */ commit;"), "COMMIT");
        assert_eq!(first_word("  begin transaction"), "BEGIN");
        assert_eq!(first_word("/* open"), "");
    }
}

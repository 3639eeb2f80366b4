//! Classifies the errors of DuckLake and of the database that holds its catalog.
//!
//! DuckDB passes them on as texts, so they are recognised by words of the pinned versions.

use crate::error::{Error, ErrorKind};

/// Errors of the catalog's database: words of the text, kind, and the message for clients. The original texts contain
/// host names and SQL, which clients must not see.
const FOREIGN: &[(&[&str], ErrorKind, &str)] = &[
    (
        &["database is locked"],
        ErrorKind::Conflict,
        "conflict: another transaction has written to the catalog since this one began to read: repeat the transaction",
    ),
    (
        &["deadlock detected", "could not serialize access"],
        ErrorKind::Conflict,
        "conflict: the catalog's database ended the transaction in favour of another one: repeat the transaction",
    ),
    (
        &["too many clients", "too many connections", "connection slots are reserved"],
        ErrorKind::ResourceExhausted,
        "the catalog's PostgreSQL has no connection left: raise max_connections there, or lower it here",
    ),
    (LOST, ErrorKind::Unavailable, "the catalog's database does not answer: try again when it does"),
];

/// Errors of a lost connection to PostgreSQL.
const LOST: &[&str] = &[
    "Unable to connect to Postgres",
    "server closed the connection",
    "terminating connection",
    "the database system is",
    "no connection to the server",
    "SSL connection has been closed",
    "could not receive data from server",
    "could not send data to server",
    // DuckLake's error for the statements after the one that lost the connection.
    "from DuckLake: Current transaction is aborted",
    // The text contains no reason: it was lost with the connection.
    "Failed to execute query \"ROLLBACK\"",
    "Failed to execute query \"COMMIT\"",
];

/// Errors of damaged Parquet files in texts that name the file.
const DAMAGED: &[&str] = &[
    "No magic bytes found",
    "Footer length error",
    "too small to be a Parquet file",
    "Failed to read file",
    "Failed to read Parquet file",
    "Invalid string encoding found in Parquet file",
    "Could not read enough bytes",
    "Prefetch registered for bytes outside file",
    "(HTTP 416",
];

/// Errors of damaged Parquet files in texts that do not name the file.
const GARBLED: &[&str] = &[
    "Parquet footer length stored in file is not equal",
    "Parquet file is likely corrupted",
    "Corrupted file?",
    "Content-Length from server mismatches requested range",
    "Invalid Error: TProtocolException",
    "Invalid Error: don't know what type",
    "Invalid Error: invalid TType",
    "Invalid Error: Out of buffer",
];

/// The message for them.
const SOME_FILE_DAMAGED: &str = "a file that was read has changed since it was written, or its server does not support \
                                 range requests: \
     see the server's log";

/// The message if the connection to the catalog's database was lost during a commit.
const LOST_COMMIT: &str = "the connection to the catalog's database was lost during the commit, so its outcome is \
                           unknown: \
                           check lake.snapshots() before you repeat it";

/// The classified error; `None` for errors of DuckDB itself.
pub(super) fn read(text: &str) -> Option<Error> {
    of_foreign_database(text).or_else(|| of_damage(text))
}

/// Whether the outcome of the commit that failed with `err` is unknown.
pub fn is_lost_commit(err: &Error) -> bool {
    err.message() == LOST_COMMIT
}

/// The error of an attached database. The prefix distinguishes it from errors that quote a client's text.
fn of_foreign_database(text: &str) -> Option<Error> {
    let commits = text.starts_with("TransactionContext Error: Failed to commit");
    let may_be = commits
        || ["IO Error", "Invalid Error", "Binder Error: Failed to ", "TransactionContext Error: Failed to "]
            .iter()
            .any(|start| text.starts_with(start));
    let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let (words, kind, meaning) = FOREIGN.iter().find(|(words, ..)| may_be && has(words))?;
    let lost_commit = commits && *words == LOST;
    let (kind, meaning) = if lost_commit { (ErrorKind::Internal, LOST_COMMIT) } else { (*kind, *meaning) };
    Some(Error::new(kind, meaning).with_source(text))
}

/// The error of a data file that another program changed. Errors that name a file of the client's, and not one of the
/// lake's, are passed on as they are.
fn of_damage(text: &str) -> Option<Error> {
    if !["Invalid Input Error", "Invalid Error", "IO Error", "HTTP Error"].iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let message = match lake_file(text) {
        Some(file) if has(DAMAGED) => format!(
            "the lake's file \"{file}\" has changed since it was written: restore it from a copy and restart the server"
        ),
        _ if has(GARBLED) => SOME_FILE_DAMAGED.to_owned(),
        _ => return None,
    };
    Some(Error::new(ErrorKind::DataLoss, message).with_source(text))
}

/// The name of a data file in `text`, recognised by DuckLake's naming scheme.
fn lake_file(text: &str) -> Option<&str> {
    let name = &text[text.find("/ducklake-")? + 1..];
    let name = &name[..name.find(".parquet")? + ".parquet".len()];
    (!name.contains('/')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: Option<ErrorKind>) {
        assert_eq!(read(text).map(|err| err.kind()), kind, "{text}");
    }

    #[test]
    fn errors_of_the_catalogs_database_are_recognised_by_their_words() {
        check(
            "Invalid Error: Failed to get data file list from DuckLake: server closed the connection",
            Some(ErrorKind::Unavailable),
        );
        check("IO Error: Unable to connect to Postgres at \"\": too many clients", Some(ErrorKind::ResourceExhausted));
        check("Invalid Input Error: database is locked", None);
        let lost = read("TransactionContext Error: Failed to commit: Failed to execute query \"ROLLBACK\": ").unwrap();
        assert!(is_lost_commit(&lost) && lost.kind() == ErrorKind::Internal, "{lost}");
        let locked = read("TransactionContext Error: Failed to commit: x database is locked").unwrap();
        assert!(!is_lost_commit(&locked) && locked.kind() == ErrorKind::Conflict, "{locked}");
    }

    #[test]
    fn damage_of_the_lakes_files_is_reported_with_their_names() {
        check("Invalid Error: don't know what type: ", Some(ErrorKind::DataLoss));
        check("Invalid Input Error: No magic bytes found at end of file '/tmp/mine.parquet'", None);
        let damaged =
            read("HTTP Error: HTTP GET error reading 'http://s/l/ducklake-01.parquet' (HTTP 416 Range)").unwrap();
        assert_eq!(damaged.kind(), ErrorKind::DataLoss);
        let message = damaged.message();
        assert!(message.contains("\"ducklake-01.parquet\"") && !message.contains("http"), "{damaged}");
    }
}

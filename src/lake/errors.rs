//! What the errors of DuckLake, and of the database that holds its catalog, mean for the caller.
//!
//! DuckDB hands them on as texts, whose words decide; they are those of the versions that are pinned here.

use crate::error::{Error, ErrorKind};

/// What the database of an attached catalog says, and what that means for the caller. Clients get the words on the
/// right: its own name hosts and SQL that are none of theirs.
const FOREIGN: &[(&[&str], ErrorKind, &str)] = &[
    (
        &["database is locked"],
        ErrorKind::Conflict,
        "another transaction has written to the catalog since this one began to read: repeat the transaction",
    ),
    (
        &["deadlock detected", "could not serialize access"],
        ErrorKind::Conflict,
        "the catalog's database ended the transaction in favour of another one: repeat the transaction",
    ),
    (
        &["too many clients", "too many connections", "connection slots are reserved"],
        ErrorKind::ResourceExhausted,
        "the catalog's PostgreSQL has no connection left: raise max_connections there, or lower it here",
    ),
    (LOST, ErrorKind::Unavailable, "the catalog's database does not answer: try again when it does"),
];

/// How a connection to PostgreSQL ends that was not meant to.
const LOST: &[&str] = &[
    "Unable to connect to Postgres",
    "server closed the connection",
    "terminating connection",
    "the database system is",
    "no connection to the server",
    "SSL connection has been closed",
    "could not receive data from server",
    "could not send data to server",
    // What DuckLake says after the statement in which it lost its connection.
    "from DuckLake: Current transaction is aborted",
    // The reason why it rolls back is lost with the connection.
    "Failed to execute query \"ROLLBACK\"",
    "Failed to execute query \"COMMIT\"",
];

/// What DuckDB says of a Parquet file in which it does not find what must be there, when it names the file.
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

/// What it says of one that it does not name: of its footer, its pages and its size.
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

/// What is said then.
const SOME_FILE_DAMAGED: &str = "a file that was read is not what it was when it was written, or the server it lies on \
                                 sends no parts of files: the server's log says more";

/// What is said when the catalog's database was lost during a commit.
const LOST_COMMIT: &str = "the catalog's database was lost during the commit, which may have happened or not: look at \
                           lake.snapshots() before you repeat it";

/// What an error means; `None` for one that is DuckDB's own.
pub(super) fn read(text: &str) -> Option<Error> {
    of_foreign_database(text).or_else(|| of_damage(text))
}

/// Whether a commit failed in such a way that it may have happened.
pub fn is_lost_commit(err: &Error) -> bool {
    err.message() == LOST_COMMIT
}

/// The error of a database that DuckDB has attached. Such errors start with the words for a file that cannot be read, for
/// a commit, or for nothing in particular; texts of a client start otherwise.
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

/// The error of a file that was changed behind the lake's back. Damage of a file that a client has named is the client's
/// to know, and its text stays as it is, where DuckDB names the file.
fn of_damage(text: &str) -> Option<Error> {
    if !["Invalid Input Error", "Invalid Error", "IO Error", "HTTP Error"].iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
    let message = match lake_file(text) {
        Some(file) if has(DAMAGED) => format!(
            "the lake's file \"{file}\" is not what was written: put it back from a copy and restart the server"
        ),
        _ if has(GARBLED) => SOME_FILE_DAMAGED.to_owned(),
        _ => return None,
    };
    Some(Error::new(ErrorKind::DataLoss, message).with_source(text))
}

/// The name of a file in a text, if it is one that DuckLake has given.
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
    fn the_words_of_the_catalogs_database_decide() {
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

//! Converts DuckDB's errors to the crate's.
//!
//! The C interface reports errors of preparation without an error type, only with a message, but every message starts
//! with the name of its type. So errors are classified by their message, in one table for all.

use std::{
    ffi::{CStr, c_char},
    sync::{LazyLock, OnceLock},
};

use duckdb::ffi;
use serde::Deserialize;
use tokio::sync::watch;

use crate::error::{Error, ErrorKind};

/// DuckDB's error types and the corresponding kinds. The order does not matter: no entry is a prefix of another.
const KINDS: &[(&str, ErrorKind)] = &[
    ("Parser Error", ErrorKind::InvalidArgument),
    ("Syntax Error", ErrorKind::InvalidArgument),
    ("Binder Error", ErrorKind::InvalidArgument),
    ("Conversion Error", ErrorKind::InvalidArgument),
    ("Invalid Input Error", ErrorKind::InvalidArgument),
    ("Invalid Type Error", ErrorKind::InvalidArgument),
    ("Mismatch Type Error", ErrorKind::InvalidArgument),
    ("Out of Range Error", ErrorKind::InvalidArgument),
    ("Divide by Zero Error", ErrorKind::InvalidArgument),
    ("Constraint Error", ErrorKind::InvalidArgument),
    ("Expression Error", ErrorKind::InvalidArgument),
    ("Parameter Not Resolved Error", ErrorKind::InvalidArgument),
    ("Parameter Not Allowed Error", ErrorKind::InvalidArgument),
    ("Sequence Error", ErrorKind::InvalidArgument),
    ("Catalog Error", ErrorKind::InvalidArgument),
    ("Settings Error", ErrorKind::InvalidArgument),
    ("Invalid Configuration Error", ErrorKind::InvalidArgument),
    ("Dependency Error", ErrorKind::FailedPrecondition),
    ("TransactionContext Error", ErrorKind::FailedPrecondition),
    ("Permission Error", ErrorKind::PermissionDenied),
    ("Missing Extension Error", ErrorKind::FailedPrecondition),
    ("Extension Autoloading Error", ErrorKind::FailedPrecondition),
    ("Not implemented Error", ErrorKind::Unsupported),
    ("INTERRUPT Error", ErrorKind::Cancelled),
    ("Out of Memory Error", ErrorKind::ResourceExhausted),
    ("IO Error", ErrorKind::Unavailable),
    ("HTTP Error", ErrorKind::Unavailable),
    ("Connection Error", ErrorKind::Unavailable),
    ("FATAL Error", ErrorKind::Internal),
    ("INTERNAL Error", ErrorKind::Internal),
];

/// Phrases in the message that determine a narrower kind than the error type.
const NARROWER: &[(ErrorKind, &str, ErrorKind)] = &[
    (ErrorKind::InvalidArgument, "does not exist", ErrorKind::NotFound),
    (ErrorKind::InvalidArgument, "already exists", ErrorKind::AlreadyExists),
    (ErrorKind::InvalidArgument, "No snapshot found", ErrorKind::NotFound),
    (ErrorKind::InvalidArgument, OF_FUNCTIONS[0].1, OF_FUNCTIONS[0].0),
    (ErrorKind::InvalidArgument, OF_FUNCTIONS[1].1, OF_FUNCTIONS[1].0),
    (ErrorKind::InvalidArgument, OF_FUNCTIONS[2].1, OF_FUNCTIONS[2].0),
    (ErrorKind::InvalidArgument, OF_FUNCTIONS[3].1, OF_FUNCTIONS[3].0),
    (ErrorKind::FailedPrecondition, "onflict", ErrorKind::Conflict),
    (ErrorKind::Unavailable, "Parquet files do not support", ErrorKind::InvalidArgument),
    (ErrorKind::Unavailable, "No files found", ErrorKind::NotFound),
    (ErrorKind::Unavailable, "No such file", ErrorKind::NotFound),
    (ErrorKind::Unavailable, "No space left", ErrorKind::ResourceExhausted),
];

/// The words by which errors of this program's functions keep their kind: DuckDB calls them all errors of the input.
pub(super) const OF_FUNCTIONS: [(ErrorKind, &str); 4] = [
    (ErrorKind::Unavailable, "unavailable: "),
    (ErrorKind::ResourceExhausted, "too much at once: "),
    (ErrorKind::Internal, "internal error: "),
    (ErrorKind::Cancelled, "cancelled: "),
];

/// What precedes the status of an HTTP response.
const BEFORE_STATUS: &[&str] = &["(HTTP ", "\": ", "HTTP/1.1 "];

/// The message if the object store denies access.
const REFUSED: &str =
    "the object store denies access: allow the server's key to list, read, write and delete objects there";

/// The message if all responses were temporary failures.
const TROUBLED: &str = "the object store failed at every attempt: try again later";

/// The message if there was no response.
const SILENT: &str = "the object store, or the host of the file, does not answer: try again when it does";

/// DuckDB's remedy for an expression that is nested too deeply, and the one that there is.
const DEEPER: &str = " Use \"SET max_expression_depth TO x\" to increase the maximum expression depth.";
const SHALLOWER: &str = " Use list_sum([…]) or concat(…) for long chains, or split the expression with a subquery.";

/// The prefix of errors after which DuckDB rejects everything; no string of a client can appear there.
const FATAL: &str = "FATAL Error";

/// The first fatal error. One for the process: DuckDB requests a restart, and errors do not contain their instance.
static FATAL_ERROR: LazyLock<watch::Sender<Option<String>>> = LazyLock::new(watch::Sender::default);

/// The additional reader of error messages.
static READER: OnceLock<Reader> = OnceLock::new();

/// Classifies a message that it knows better than by its error type.
pub type Reader = fn(&str) -> Option<Error>;

/// The form in which some functions of the C interface return an error: DuckDB's internal one.
#[derive(Deserialize)]
struct Serialized {
    exception_type: String,
    exception_message: String,
}

/// Reports the error after which DuckDB rejects everything until the process is restarted; `None` until then.
pub fn fatal_error() -> watch::Receiver<Option<String>> {
    FATAL_ERROR.subscribe()
}

/// Registers `reader`, which is called first for every error: databases attached to DuckDB report their errors through
/// it. The first registered reader is kept.
pub fn read_errors_with(reader: Reader) {
    let _ = READER.set(reader);
}

/// An error with DuckDB's own message and the kind derived from it.
pub(super) fn from_text(text: &str) -> Error {
    if let Ok(Serialized { exception_type, exception_message }) = serde_json::from_str(text) {
        return from_text(&format!("{exception_type} Error: {exception_message}"));
    }
    if text.starts_with(FATAL) {
        FATAL_ERROR.send_if_modified(|first| first.is_none() && first.insert(text.to_owned()).starts_with(FATAL));
    }
    if let Some(err) = READER.get().and_then(|read| read(text)).or_else(|| of_object_store(text)) {
        return err;
    }
    if let Some((limit, rest)) = text.split_once(DEEPER) {
        return Error::invalid(format!("{limit}{SHALLOWER}{rest}"));
    }
    let found = KINDS.iter().find(|(start, _)| text.starts_with(start));
    let kind = found.map_or(ErrorKind::Internal, |(_, kind)| *kind);
    let narrower = NARROWER.iter().find(|(of, words, _)| *of == kind && text.contains(words));
    // A binder's "column does not exist" is a mistake in the SQL; only the catalog's is a missing object.
    let narrower = narrower.filter(|_| !text.starts_with("Binder Error") && !text.starts_with("Conversion Error"));
    Error::new(narrower.map_or(kind, |(_, _, kind)| *kind), text)
}

/// The error of an HTTP request. DuckDB's own message contains host and bucket.
fn of_object_store(text: &str) -> Option<Error> {
    let silent = text.starts_with("IO Error") && text.contains(" error for HTTP ");
    if !silent && !text.starts_with("HTTP Error") {
        return None;
    }
    let (kind, meaning) = match status(text) {
        Some(401 | 403) => (ErrorKind::FailedPrecondition, REFUSED),
        Some(404) => (ErrorKind::NotFound, text),
        Some(429 | 500..=599) => (ErrorKind::Unavailable, TROUBLED),
        None if silent => (ErrorKind::Unavailable, SILENT),
        _ => return None,
    };
    Some(Error::new(kind, meaning).with_source(text))
}

/// The status in the message of an HTTP error.
fn status(text: &str) -> Option<u16> {
    let mut behind = BEFORE_STATUS.iter().filter_map(|before| text.split_once(before)).map(|(_, behind)| behind);
    behind.find_map(|behind| behind.get(..3)?.parse().ok())
}

/// The error whose message is at `text`, which remains owned by DuckDB; a null pointer is an unknown failure.
///
/// # Safety
/// `text` is null or points to a string that lives until this returns.
pub(super) unsafe fn from_pointer(text: *const c_char) -> Error {
    if text.is_null() {
        return Error::internal("DuckDB failed without a reason");
    }
    // SAFETY: not null, and alive by this function's own contract.
    from_text(&unsafe { CStr::from_ptr(text) }.to_string_lossy())
}

/// Takes and frees `data`; returns an error if it contains one.
///
/// # Safety
/// `data` comes from DuckDB and is not used afterwards.
pub(super) unsafe fn check_error_data(mut data: ffi::duckdb_error_data) -> Result<(), Error> {
    if data.is_null() {
        return Ok(());
    }
    // SAFETY: `data` is alive until `duckdb_destroy_error_data`, and so is its message.
    unsafe {
        let failed = ffi::duckdb_error_data_has_error(data);
        let outcome = if failed { Err(from_pointer(ffi::duckdb_error_data_message(data))) } else { Ok(()) };
        ffi::duckdb_destroy_error_data(&raw mut data);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: ErrorKind) {
        assert_eq!(from_text(text).kind(), kind, "{text}");
    }

    #[test]
    fn the_first_words_decide_and_later_ones_narrow() {
        check("Parser Error: syntax error at or near \"selec\"", ErrorKind::InvalidArgument);
        check("Catalog Error: Table with name t does not exist!", ErrorKind::NotFound);
        check("Catalog Error: Table with name \"t\" already exists!", ErrorKind::AlreadyExists);
        check("Binder Error: column \"does not exist\"", ErrorKind::InvalidArgument);
        check("TransactionContext Error: Failed to commit: Transaction conflict - x", ErrorKind::Conflict);
        check("TransactionContext Error: cannot commit - no transaction is active", ErrorKind::FailedPrecondition);
        check("IO Error: No files found that match the pattern", ErrorKind::NotFound);
        check("IO Error: Could not set lock", ErrorKind::Unavailable);
        check("Invalid Input Error: database is locked", ErrorKind::InvalidArgument);
        check("IO Error: Timeout was reached error for HTTP GET to 'http://store/lake/x'", ErrorKind::Unavailable);
        check("HTTP Error: Unable to connect to URL \"http://store/lake/x\": 503 (Slow Down).", ErrorKind::Unavailable);
        check("HTTP Error: HTTP GET error reading 's3://lake/x' (HTTP 404 Not Found)", ErrorKind::NotFound);
        check("IO Error: HTTP/1.1 500 Oh error for HTTP GET to 'http://store/x'", ErrorKind::Unavailable);
        check("IO Error: HTTP/1.1 403 Forbidden error for HTTP GET to 'http://x'", ErrorKind::FailedPrecondition);
        check("HTTP Error: HTTP POST error (HTTP 400 Bad Request)", ErrorKind::Unavailable);
        let refused = from_text("HTTP Error: HTTP GET error reading 's3://lake/x' in region '' (HTTP 403 Forbidden)");
        assert_eq!((refused.kind(), refused.message()), (ErrorKind::FailedPrecondition, REFUSED));
        check("something new", ErrorKind::Internal);
        check(
            "Invalid Input Error: No magic bytes found at end of file '/tmp/mine.parquet'",
            ErrorKind::InvalidArgument,
        );
        let serialized = r#"{"exception_type":"Not implemented","exception_message":"Unsupported Arrow type VARIANT"}"#;
        check(serialized, ErrorKind::Unsupported);
    }
}

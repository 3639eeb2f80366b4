//! The configuration file: TOML, read so that one broken line does not hide the faults of the others.
//!
//! 1. Parse. At the first syntax fault: report it, blank the line where its statement starts, and parse again. The
//!    parser recovers by itself only inside values; at `threads "4"` it gives up on the rest of the file.
//! 2. Take every entry that is left: a known key with a string, a number or a boolean is a text with its line, the
//!    tables `users` and `tokens` are credentials, all else is a fault.
//!
//! A line that was blanked says nothing more, so one mistake is one fault.

use std::{ops::Range, path::Path};

use toml::de::{DeInteger, DeTable, DeValue, Error};

use super::{
    fault::{Fault, nearest},
    source::{Given, Origin, Source},
    table::TABLE,
};
use crate::auth::Credentials;

/// After so many syntax faults the file is something else than TOML, and the rest would be noise.
const MAX_SYNTAX_FAULTS: usize = 20;

/// The toml crate's message for a key that is given twice; a test notices when it changes.
const DUPLICATE_KEY: &str = "duplicate key";

/// The tables of credentials.
const CREDENTIALS: [&str; 2] = ["users", "tokens"];

/// What a file says.
#[derive(Default)]
pub(super) struct Content {
    pub(super) settings: Source,
    pub(super) credentials: Credentials,
}

/// Takes settings and credentials from `text`, the content of the file at `path`.
pub(super) fn read(path: &Path, text: &str, faults: &mut Vec<Fault>) -> Content {
    let text = without_syntax_faults(path, text, faults);
    let (table, _) = DeTable::parse_recoverable(&text);
    let mut content = Content::default();
    let Content { settings, credentials } = &mut content;
    for (key, value) in table.into_inner() {
        let origin = origin(path, line_of(&text, key.span().start));
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("users", DeValue::Table(users)) => {
                let add = |name: &str, hash: &str| credentials.add_user(name, hash);
                faults.extend(read_credentials("user", users, add, |at| self::origin(path, line_of(&text, at))));
            }
            ("tokens", DeValue::Table(tokens)) => {
                let add = |name: &str, hash: &str| credentials.add_token(name, hash);
                faults.extend(read_credentials("token", tokens, add, |at| self::origin(path, line_of(&text, at))));
            }
            (name, value) => match TABLE.iter().find(|setting| setting.key == name) {
                None => faults.push(Fault::new(origin, unknown(name, value))),
                Some(setting) => match scalar(value) {
                    Ok(text) => _ = settings.insert(setting.key, Given { text, origin }),
                    Err(message) => faults.push(Fault::about(setting.key, origin, message)),
                },
            },
        }
    }
    content
}

/// Gives `add` the entries of a table of credentials, and its faults back. No fault repeats a value.
fn read_credentials(
    what: &str,
    table: &DeTable<'_>,
    mut add: impl FnMut(&str, &str) -> Result<(), String>,
    origin: impl Fn(usize) -> Origin,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, value) in table {
        let outcome = match value.get_ref() {
            DeValue::String(hash) => add(name.get_ref(), hash),
            _ => Err("expected its hash, as a text in quotes".to_owned()),
        };
        if let Err(message) = outcome {
            let is_setting = TABLE.iter().any(|setting| setting.key == name.get_ref());
            let hint = if is_setting { "; settings stand above all tables" } else { "" };
            faults.push(Fault::new(origin(name.span().start), format!("{what} {:?}: {message}{hint}", name.get_ref())));
        }
    }
    faults
}

/// `text` with each statement that is not TOML blanked and reported, on the line where it starts.
fn without_syntax_faults(path: &Path, text: &str, faults: &mut Vec<Fault>) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    for _ in 0..MAX_SYNTAX_FAULTS {
        let text = lines.join("\n");
        let (table, errors) = DeTable::parse_recoverable(&text);
        // The first is of the structure; those of single values come behind, and often are its consequences.
        let Some(error) = errors.first() else {
            break;
        };
        let span = error.span().unwrap_or(text.len()..text.len());
        let line = line_of(&text, statement_start(table.get_ref(), span.start));
        faults.push(Fault::new(origin(path, line), syntax_message(&text, table.get_ref(), span, error)));
        match lines.get_mut(line - 1) {
            Some(line) if !line.is_empty() => *line = "",
            _ => break,
        }
    }
    lines.join("\n")
}

/// Where the statement starts that `offset` is in: a string or an array that is never closed goes on for many lines.
fn statement_start(table: &DeTable<'_>, offset: usize) -> usize {
    let statements = table.iter().map(|(key, value)| key.span().start..value.span().end + 1);
    statements.filter(|statement| statement.contains(&offset)).map(|statement| statement.start).max().unwrap_or(offset)
}

/// What is wrong at `span`. Says nothing of the text there but a key: a value can hold a password.
fn syntax_message(text: &str, table: &DeTable<'_>, span: Range<usize>, error: &Error) -> String {
    if error.message() != DUPLICATE_KEY {
        return format!("not TOML: {}", error.message());
    }
    let start = span.start;
    let key = text.get(span).unwrap_or_default().trim_matches(['"', '\'']);
    match table.keys().find(|first| first.get_ref() == key && first.span().start < start) {
        Some(first) => format!("{key:?}: given twice, first on line {}", line_of(text, first.span().start)),
        None => format!("{key:?}: given twice"),
    }
}

/// The text of a value: numbers in decimal, whatever they were written in.
fn scalar(value: &DeValue<'_>) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(integer) => Ok(decimal(integer)),
        DeValue::Float(float) => Ok(float.as_str().to_owned()),
        DeValue::Boolean(boolean) => Ok(boolean.to_string()),
        DeValue::Datetime(_) => Err("expected a single value, got a date or time"),
        DeValue::Array(_) => Err("expected a single value, got an array"),
        DeValue::Table(_) => Err("expected a single value, got a table"),
    }
}

/// The decimal text of an integer; one beyond all settings stays as it is.
fn decimal(integer: &DeInteger<'_>) -> String {
    let number = i128::from_str_radix(integer.as_str(), integer.radix());
    number.map_or_else(|_| integer.to_string(), |number| number.to_string())
}

/// The message for a key that names no setting, with a guess at the one that was meant.
fn unknown(key: &str, value: &DeValue<'_>) -> String {
    if CREDENTIALS.contains(&key) {
        return format!("{key:?}: expected a table of names and hashes");
    }
    if matches!(value, DeValue::Table(_)) {
        if let Some(near) = nearest(key, CREDENTIALS.into_iter()) {
            return format!("unknown table {key:?}; did you mean {near:?}?");
        }
        return format!("unknown table {key:?}; settings stand at the top of the file, outside tables");
    }
    match nearest(key, TABLE.iter().map(|setting| setting.key)) {
        Some(near) => format!("unknown setting {key:?}; did you mean {near:?}?"),
        None => format!("unknown setting {key:?}"),
    }
}

/// The line of `text`, from 1, that `offset` is on.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.get(..offset).unwrap_or(text).matches('\n').count()
}

/// A line of the file at `path`.
fn origin(path: &Path, line: usize) -> Origin {
    Origin::File { path: path.to_path_buf(), line }
}

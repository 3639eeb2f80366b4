//! The configuration file: TOML, parsed so that one invalid line does not hide faults in others.
//!
//! 1. Parse. At the first syntax error, report it, blank the line where the statement starts, and parse again. The parser
//!    recovers inside of values only; at `threads "4"` it ignores the rest of the file.
//! 2. Read all remaining entries: known keys with a string, a number or a boolean are settings, the tables `users` and
//!    `tokens` are credentials, everything else is a fault.
//!
//! A blanked line causes no further faults, so one mistake is reported once.

use std::{ops::Range, path::Path};

use toml::de::{DeInteger, DeTable, DeValue, Error};

use super::{
    fault::{Fault, nearest},
    source::{Given, Origin, Source},
    table::TABLE,
};
use crate::auth::Credentials;

/// The maximum number of reported syntax errors; with more, the file is hardly TOML.
const MAX_SYNTAX_FAULTS: usize = 20;

/// The toml crate's message for a duplicate key; a test detects when it changes.
const DUPLICATE_KEY: &str = "duplicate key";

/// The tables of credentials.
const CREDENTIALS: [&str; 2] = ["users", "tokens"];

/// The content of the file.
#[derive(Default)]
pub(super) struct Content {
    pub(super) settings: Source,
    pub(super) credentials: Credentials,
}

/// Reads settings and credentials from `text`, the content of the file at `path`.
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

/// Passes the entries of a table of credentials to `add`, and returns its faults, which contain no values.
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
            _ => Err("expected a hash as a quoted string".to_owned()),
        };
        if let Err(message) = outcome {
            let is_setting = TABLE.iter().any(|setting| setting.key == name.get_ref());
            let hint = if is_setting { "; settings must precede all tables" } else { "" };
            faults.push(Fault::new(origin(name.span().start), format!("{what} {:?}: {message}{hint}", name.get_ref())));
        }
    }
    faults
}

/// Blanks and reports each invalid statement in `text`, with the line where it starts.
fn without_syntax_faults(path: &Path, text: &str, faults: &mut Vec<Fault>) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    for _ in 0..MAX_SYNTAX_FAULTS {
        let text = lines.join("\n");
        let (table, errors) = DeTable::parse_recoverable(&text);
        // The first error concerns the structure; errors of values follow, and are often consequences.
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

/// The start of the statement that contains `offset`: an unterminated string or array spans many lines.
fn statement_start(table: &DeTable<'_>, offset: usize) -> usize {
    let statements = table.iter().map(|(key, value)| key.span().start..value.span().end + 1);
    statements.filter(|statement| statement.contains(&offset)).map(|statement| statement.start).max().unwrap_or(offset)
}

/// The message for an error at `span`. It contains keys but no values, which can be passwords.
fn syntax_message(text: &str, table: &DeTable<'_>, span: Range<usize>, error: &Error) -> String {
    if error.message() != DUPLICATE_KEY {
        return format!("invalid TOML: {}", error.message());
    }
    let start = span.start;
    let key = text.get(span).unwrap_or_default().trim_matches(['"', '\'']);
    match table.keys().find(|first| first.get_ref() == key && first.span().start < start) {
        Some(first) => format!("{key:?}: duplicate key, first set on line {}", line_of(text, first.span().start)),
        None => format!("{key:?}: duplicate key"),
    }
}

/// The text of a value; integers are converted to decimal.
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

/// The decimal text of an integer, unless it is too large.
fn decimal(integer: &DeInteger<'_>) -> String {
    let number = i128::from_str_radix(integer.as_str(), integer.radix());
    number.map_or_else(|_| integer.to_string(), |number| number.to_string())
}

/// The message for an unknown key, with a suggestion.
fn unknown(key: &str, value: &DeValue<'_>) -> String {
    if CREDENTIALS.contains(&key) {
        return format!("{key:?}: expected a table of names and hashes");
    }
    if matches!(value, DeValue::Table(_)) {
        if let Some(near) = nearest(key, CREDENTIALS.into_iter()) {
            return format!("unknown table {key:?}; did you mean {near:?}?");
        }
        return format!("unknown table {key:?}; settings must be at the top of the file, outside of tables");
    }
    match nearest(key, TABLE.iter().map(|setting| setting.key)) {
        Some(near) => format!("unknown setting {key:?}; did you mean {near:?}?"),
        None => format!("unknown setting {key:?}"),
    }
}

/// The line number of `offset` in `text`, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.get(..offset).unwrap_or(text).matches('\n').count()
}

/// The origin at a line of the file at `path`.
fn origin(path: &Path, line: usize) -> Origin {
    Origin::File { path: path.to_path_buf(), line }
}

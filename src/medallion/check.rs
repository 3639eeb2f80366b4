//! Checks: their names, their arguments, and the query that finds the failing rows.

use std::fmt;

use super::nearest::hint;

/// The names of checks.
const NAMES: [&str; 5] = ["unique", "not_null", "accepted_values", "row_count", "sql"];

/// A condition on the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The condition.
    pub kind: CheckKind,
    /// The line of the model file, from 1.
    pub line: usize,
}

/// The kinds of checks; columns and values are SQL as written in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// No two rows have the same values in these columns.
    Unique(Vec<String>),
    /// None of these columns is NULL.
    NotNull(Vec<String>),
    /// The column is NULL or one of the values.
    AcceptedValues {
        /// The column.
        column: String,
        /// The values as SQL literals.
        values: Vec<String>,
    },
    /// The number of rows has this relation to the bound.
    RowCount(Relation, Bound),
    /// The query returns no rows.
    Sql {
        /// The title in messages.
        title: String,
        /// Returns the rows that fail.
        query: String,
    },
}

/// A comparison of two numbers of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `<>`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// The bound of a number of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A number.
    Number(u64),
    /// The number of rows of a table.
    Table(String),
}

/// Longer signs precede their prefixes.
const RELATIONS: [(&str, Relation); 6] = [
    ("<>", Relation::Unequal),
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("=", Relation::Equal),
    ("<", Relation::Less),
    (">", Relation::More),
];

// === impl Check ===

impl Check {
    /// Parses the text after `check:` on `line`. The error is a message without the position.
    pub(super) fn parse(text: &str, line: usize) -> Result<Self, String> {
        let text = text.trim();
        let (name, rest) = text.split_once('(').map_or((text, None), |(name, rest)| (name.trim(), Some(rest)));
        if !NAMES.contains(&name) {
            return Err(format!("unknown check \"{name}\"{}; there are {}", hint(name, NAMES), NAMES.join(", ")));
        }
        let rest = rest.ok_or_else(|| format!("check {name} needs its arguments in parentheses"))?;
        let kind = if name == "sql" { parse_sql(rest)? } else { parse_call(name, rest)? };
        Ok(Self { kind, line })
    }

    /// The query for the failing rows of `table`; without a semicolon, so that it can be put in parentheses.
    pub(super) fn failing_rows(&self, table: &str) -> String {
        match &self.kind {
            CheckKind::Unique(columns) => {
                let (key, any_null) = (columns.join(", "), any_null(columns));
                format!(
                    "SELECT * FROM {table} WHERE ({key}) IN \
                     (SELECT ({key}) FROM {table} WHERE NOT ({any_null}) GROUP BY ALL HAVING system.main.count(*) > 1)",
                )
            }
            CheckKind::NotNull(columns) => format!("SELECT * FROM {table} WHERE {}", any_null(columns)),
            CheckKind::AcceptedValues { column, values } => {
                format!("SELECT * FROM {table} WHERE {column} NOT IN ({})", values.join(", "))
            }
            CheckKind::RowCount(relation, bound) => {
                let bound = match bound {
                    Bound::Number(number) => number.to_string(),
                    Bound::Table(other) => format!("(SELECT system.main.count(*) FROM {other})"),
                };
                format!(
                    "SELECT * FROM (SELECT (SELECT system.main.count(*) FROM {table}) AS rows, {bound} AS bound) \
                     WHERE NOT (rows {relation} bound)",
                )
            }
            CheckKind::Sql { query, .. } => query.clone(),
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            CheckKind::Unique(columns) => write!(f, "unique({})", columns.join(", ")),
            CheckKind::NotNull(columns) => write!(f, "not_null({})", columns.join(", ")),
            CheckKind::AcceptedValues { column, values } => {
                write!(f, "accepted_values({column}, {})", values.join(", "))
            }
            CheckKind::RowCount(relation, Bound::Number(number)) => write!(f, "row_count({relation} {number})"),
            CheckKind::RowCount(relation, Bound::Table(table)) => write!(f, "row_count({relation} {table})"),
            CheckKind::Sql { title, .. } => write!(f, "sql({title})"),
        }
    }
}

fn any_null(columns: &[String]) -> String {
    columns.iter().map(|column| format!("{column} IS NULL")).collect::<Vec<_>>().join(" OR ")
}

// === impl Relation ===

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = RELATIONS.iter().find(|(_, relation)| relation == self).map_or("=", |(sign, _)| sign);
        f.write_str(sign)
    }
}

/// `title) SELECT …`
fn parse_sql(rest: &str) -> Result<CheckKind, String> {
    let (title, query) = rest.split_once(')').ok_or("check sql needs its title in parentheses")?;
    let query = query.trim().trim_end_matches(';').trim_end();
    if title.trim().is_empty() || query.is_empty() {
        return Err("check sql needs a title and a query: sql(title) SELECT …".into());
    }
    Ok(CheckKind::Sql { title: title.trim().to_owned(), query: query.to_owned() })
}

/// `arguments)` of the check `name`.
fn parse_call(name: &str, rest: &str) -> Result<CheckKind, String> {
    let (mut arguments, behind) =
        split_arguments(rest).ok_or_else(|| format!("the parenthesis of check {name} is not closed"))?;
    if !behind.trim().is_empty() {
        return Err(format!("check {name} ends at its parenthesis; unexpected \"{}\"", behind.trim()));
    }
    if arguments.iter().any(String::is_empty) {
        return Err(format!("check {name} has an empty argument"));
    }
    match name {
        "unique" => Ok(CheckKind::Unique(arguments)),
        "not_null" => Ok(CheckKind::NotNull(arguments)),
        "row_count" => parse_row_count(&arguments),
        _ if arguments.len() < 2 => Err("check accepted_values needs a column and at least one value".into()),
        _ => {
            let column = arguments.remove(0);
            Ok(CheckKind::AcceptedValues { column, values: arguments })
        }
    }
}

fn parse_row_count(arguments: &[String]) -> Result<CheckKind, String> {
    let usage = || "check row_count needs a relation and a number or table, such as row_count(<= raw.t)".to_owned();
    let [argument] = arguments else { return Err(usage()) };
    let found = RELATIONS.iter().find_map(|(sign, relation)| Some((*relation, argument.strip_prefix(sign)?.trim())));
    let (relation, bound) = found.ok_or_else(usage)?;
    if let Ok(number) = bound.parse() {
        return Ok(CheckKind::RowCount(relation, Bound::Number(number)));
    }
    let is_name = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !bound.split('.').all(is_name) {
        return Err(usage());
    }
    Ok(CheckKind::RowCount(relation, Bound::Table(bound.to_owned())))
}

/// The arguments up to the closing parenthesis, and the text after it. Commas and parentheses within quotes,
/// parentheses or brackets belong to an argument.
fn split_arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let mut arguments = vec![String::new()];
    let mut quote = None;
    let mut depth = 0_usize;
    for (index, c) in text.char_indices() {
        match c {
            _ if quote.is_some() => quote = quote.filter(|open| *open != c),
            '\'' | '"' => quote = Some(c),
            '(' | '[' => depth += 1,
            ')' if depth == 0 => {
                let arguments = arguments.iter().map(|argument| argument.trim().to_owned()).collect();
                return Some((arguments, text.get(index + 1..).unwrap_or_default()));
            }
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(argument) = arguments.last_mut() {
            argument.push(c);
        }
    }
    None
}

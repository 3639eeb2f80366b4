//! Extracts the values of an INSERT.
//!
//! Several executions of INSERTs are combined to one statement: of one statement for many rows of parameters
//! (`write::bulk`), and of several sessions (`write::group_commit`). Anything whose meaning might change (subqueries,
//! aggregates, RETURNING, ON CONFLICT) is not combined, and runs as it is.

use super::{
    cursor::Cursor,
    kind::Kind,
    statement::ParsedStatement,
    token::{Token, TokenKind},
};

/// Keywords whose meaning depends on the surrounding statement.
const OWN_MEANING: &[&str] = &[
    "SELECT",
    "FROM",
    "TABLE",
    "VALUES",
    "WITH",
    "OVER",
    "COLUMNS",
    "DISTINCT",
    "WHERE",
    "GROUP",
    "HAVING",
    "QUALIFY",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "USING",
    "SAMPLE",
    "TABLESAMPLE",
    "WINDOW",
    "RETURNING",
    "ON",
];

/// An INSERT of values.
#[derive(Clone, Debug)]
pub struct InsertValues {
    /// `INSERT INTO t (a, b)`.
    pub head: String,
    /// The location of the values.
    pub source: InsertSource,
    /// The values of each row.
    pub rows: Vec<Expressions>,
}

/// The location of an INSERT's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertSource {
    /// After VALUES, in any number of rows.
    Values,
    /// After SELECT, one row.
    Select,
}

/// The values of one row, as they are written between the parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expressions {
    text: String,
    parameters: Vec<Parameter>,
    /// Whether a value is DEFAULT.
    pub has_default: bool,
    /// Whether a name is in double quotes.
    pub has_quoted_name: bool,
    /// The called functions, in lower case.
    pub functions: Vec<String>,
}

/// A parameter among the values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parameter {
    start: usize,
    end: usize,
    /// Its number, from 1, across all rows of the statement.
    number: usize,
}

/// How the parameters of a statement are numbered.
#[derive(Debug, Default)]
struct Numbering {
    /// The number of `?` so far.
    plain: usize,
    /// Whether any parameter had a number.
    numbered: bool,
}

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The values that it inserts; `None` for any other form.
    pub fn insert_values(&self) -> Option<InsertValues> {
        if *self.kind() != Kind::Insert {
            return None;
        }
        let mut cursor = self.cursor();
        if !cursor.take_phrase(&["INSERT", "INTO"]) {
            return None;
        }
        cursor.take_name()?;
        if cursor.is("(") {
            let columns = cursor.take_parentheses()?;
            let is_name = |token: &Token| {
                matches!(token.kind, TokenKind::Word | TokenKind::Quoted) || columns.spelling(*token) == ","
            };
            if !columns.rest().iter().all(is_name) {
                return None;
            }
        }
        let source = cursor.peek()?;
        let head = self.text()[self.tokens()[0].start..source.start].trim_end().to_owned();
        let source = match () {
            () if cursor.take("VALUES") => InsertSource::Values,
            () if cursor.take("SELECT") => InsertSource::Select,
            () => return None,
        };
        let mut numbering = Numbering::default();
        let rows = match source {
            InsertSource::Values => take_rows(&mut cursor)?,
            InsertSource::Select => vec![cursor],
        };
        let rows = rows.into_iter().map(|row| Expressions::read(row, &mut numbering)).collect::<Option<Vec<_>>>()?;
        Some(InsertValues { head, source, rows })
    }
}

/// The contents of the comma-separated parentheses, up to the end of the statement.
fn take_rows<'a>(cursor: &mut Cursor<'a>) -> Option<Vec<Cursor<'a>>> {
    let mut rows = Vec::new();
    loop {
        rows.push(cursor.take_parentheses()?);
        if cursor.is_at_end() {
            return Some(rows);
        }
        // A comma is allowed after the last row.
        if !cursor.take(",") || cursor.is_at_end() {
            return None;
        }
    }
}

// === impl InsertValues ===

impl InsertValues {
    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.parameters).map(|parameter| parameter.number).max().unwrap_or_default()
    }
}

// === impl Expressions ===

impl Expressions {
    /// Parses the values; `None` if one of them could depend on the surrounding statement, or a parameter has a name.
    fn read(cursor: Cursor<'_>, numbering: &mut Numbering) -> Option<Self> {
        let first = cursor.peek()?;
        let mut read = Self {
            text: cursor.source().to_owned(),
            parameters: Vec::new(),
            has_default: false,
            has_quoted_name: false,
            functions: Vec::new(),
        };
        for (at, token) in cursor.rest().iter().enumerate() {
            let spelling = cursor.spelling(*token);
            match token.kind {
                TokenKind::Word if OWN_MEANING.iter().any(|word| spelling.eq_ignore_ascii_case(word)) => return None,
                TokenKind::Sign if matches!(spelling, "$" | ";") => return None,
                TokenKind::Word => read.has_default |= spelling.eq_ignore_ascii_case("DEFAULT"),
                TokenKind::Quoted => read.has_quoted_name = true,
                TokenKind::Parameter => {
                    let number = numbering.number(spelling)?;
                    let (start, end) = (token.start - first.start, token.end - first.start);
                    read.parameters.push(Parameter { start, end, number });
                }
                TokenKind::Text | TokenKind::Number | TokenKind::Sign => {}
            }
            if token.kind == TokenKind::Word && cursor.is_at(at + 1, "(") {
                read.functions.push(spelling.to_lowercase());
            }
        }
        Some(read)
    }

    /// The values, with `name` of its number for each parameter.
    pub fn with_parameters(&self, name: impl Fn(usize) -> String) -> String {
        let (mut text, mut after) = (String::new(), 0);
        for parameter in &self.parameters {
            text += &self.text[after..parameter.start];
            text += &name(parameter.number);
            after = parameter.end;
        }
        text + &self.text[after..]
    }
}

// === impl Numbering ===

impl Numbering {
    /// The number of a parameter; `None` for one with a name, or if only some have numbers.
    fn number(&mut self, spelling: &str) -> Option<usize> {
        if spelling == "?" {
            self.plain += 1;
            return (!self.numbered).then_some(self.plain);
        }
        self.numbered = true;
        let number: usize = spelling[1..].parse().ok()?;
        (self.plain == 0 && number > 0).then_some(number)
    }
}

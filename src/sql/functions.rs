//! The functions that a statement calls.

use super::{
    cursor::{Cursor, text_value, unquoted},
    statement::{ParsedStatement, parse},
    token::TokenKind,
};

/// The functions that a statement calls, both in it and in strings that DuckDB runs as SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// The names of functions, in lower case, without schemas and quotes. Includes what only looks like a call (`IN
    /// (…)`).
    pub functions: Vec<String>,
    /// Whether `query()` runs SQL that cannot be parsed here, because it is concatenated or a parameter.
    pub runs_unread_text: bool,
}

/// The maximum nesting depth of strings that are run as SQL.
const MAX_DEPTH: usize = 8;

/// Functions that run their argument as SQL.
const RUNNING: &[&str] = &["query"];

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The functions that it calls.
    pub fn calls(&self) -> Calls {
        let mut calls = Calls::default();
        calls.add(self.cursor(), 0);
        calls
    }
}

// === impl Calls ===

impl Calls {
    fn add(&mut self, mut cursor: Cursor<'_>, depth: usize) {
        while let Some(token) = cursor.next() {
            if !cursor.is("(") {
                continue;
            }
            let name = match token.kind {
                TokenKind::Word => cursor.spelling(token).to_lowercase(),
                TokenKind::Quoted => unquoted(cursor.spelling(token)).to_lowercase(),
                _ => continue,
            };
            if RUNNING.contains(&name.as_str()) {
                self.add_text(cursor, depth);
            }
            self.functions.push(name);
        }
    }

    /// Adds the functions called by the string that is the only argument in the parentheses that follow.
    fn add_text(&mut self, mut cursor: Cursor<'_>, depth: usize) {
        let argument = (cursor.next(), cursor.next(), cursor.next());
        let text = match argument {
            (Some(_), Some(text), Some(end)) if text.kind == TokenKind::Text && cursor.spelling(end) == ")" => {
                text_value(cursor.spelling(text))
            }
            _ => None,
        };
        let statements = text.filter(|_| depth < MAX_DEPTH).and_then(|text| parse(&text).ok());
        let Some(statements) = statements else {
            self.runs_unread_text = true;
            return;
        };
        for statement in statements {
            self.add(statement.cursor(), depth + 1);
        }
    }
}

//! What a statement calls.

use super::{
    cursor::{Cursor, text_value, unquoted},
    statement::{ParsedStatement, parse},
    token::TokenKind,
};

/// What a statement calls, wherever: in it, and in texts that DuckDB runs as SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// The names of functions, in lower case, without schemas and quotes. What only looks like a call (`IN (…)`) is
    /// among them.
    pub functions: Vec<String>,
    /// Whether `query()` runs a text that cannot be read here, because it is put together or comes with the call.
    pub runs_unread_text: bool,
}

/// How deeply texts that are run may stand in one another.
const MAX_DEPTH: usize = 8;

/// Functions that run their argument as SQL.
const RUNNING: &[&str] = &["query"];

// === impl ParsedStatement ===

impl ParsedStatement {
    /// What it calls.
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

    /// What the text calls that is the only argument in the parentheses that follow.
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

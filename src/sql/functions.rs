//! What a statement calls.

use super::{
    cursor::{Cursor, text_value, unquoted},
    statement::ParsedStatement,
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

/// Functions that run their argument as SQL.
const RUNNING: &[&str] = &["query"];

// === impl ParsedStatement ===

impl ParsedStatement {
    /// What it calls.
    pub fn calls(&self) -> Calls {
        let mut calls = Calls::default();
        calls.add(self.cursor());
        calls
    }
}

// === impl Calls ===

impl Calls {
    fn add(&mut self, mut cursor: Cursor<'_>) {
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
                self.add_text(cursor);
            }
            self.functions.push(name);
        }
    }

    /// What the text calls that is the only argument in the parentheses that follow.
    fn add_text(&mut self, mut cursor: Cursor<'_>) {
        let argument = cursor.take_parentheses();
        let text = argument.and_then(|mut inside| match (inside.next(), inside.is_at_end()) {
            (Some(token), true) if token.kind == TokenKind::Text => text_value(inside.spelling(token)),
            _ => None,
        });
        match text.map(|text| super::statement::parse(&text)) {
            Some(Ok(statements)) => {
                for statement in statements {
                    let calls = statement.calls();
                    self.functions.extend(calls.functions);
                    self.runs_unread_text |= calls.runs_unread_text;
                }
            }
            Some(Err(_)) | None => self.runs_unread_text = true,
        }
    }
}

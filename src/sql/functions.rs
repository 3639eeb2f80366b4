//! The functions that a statement calls.

use super::{
    cursor::{Cursor, text_value, unquoted},
    statement::{ParsedStatement, parse},
    token::TokenKind,
};

/// The functions that a statement calls, both in it and in strings that DuckDB runs as SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Includes what only looks like a call (`IN (…)`).
    pub functions: Vec<Function>,
    /// Whether `query()` runs SQL that cannot be parsed here, because it is concatenated or a parameter.
    pub runs_unread_text: bool,
}

/// A function that is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name in lower case, without schema and quotes.
    pub name: String,
    /// Whether one argument is `dry_run => true`.
    pub is_dry_run: bool,
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
            self.functions.push(Function { name, is_dry_run: is_dry_run(cursor) });
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

/// Whether the parentheses that follow contain the argument `dry_run => true`, and the name nowhere else.
fn is_dry_run(mut cursor: Cursor<'_>) -> bool {
    let Some(inside) = cursor.take_parentheses() else { return false };
    let is_name = |name: &str| name.trim_matches('"').eq_ignore_ascii_case("dry_run");
    let names = inside.rest().iter().filter(|token| is_name(inside.spelling(**token))).count();
    let mut arguments = inside.split_at_commas().into_iter();
    let given = arguments.any(|mut argument| {
        let is_named = argument.take_part().is_some_and(|name| is_name(&name));
        // In a macro, `dry_run = true` may be a comparison with its parameter.
        is_named && ["=>", ":="].iter().any(|sign| argument.take(sign)) && argument.take("true") && argument.is_at_end()
    });
    given && names == 1
}

//! Constants in SET and in CALL.

use super::{
    cursor::{Cursor, text_value},
    token::TokenKind,
};

/// The maximum nesting depth of lists and structs.
const MAX_DEPTH: usize = 64;

/// A literal value in a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// NULL.
    Null,
    /// true or false.
    Flag(bool),
    /// A number, with its sign, as written.
    Number(String),
    /// A string.
    Text(String),
    /// `['a', 'b']`.
    List(Vec<Constant>),
    /// `{'version': 3}`.
    Struct(Vec<(String, Constant)>),
}

// === impl Constant ===

impl Constant {
    /// Takes the next constant; `None` if there is none, or it is nested too deeply.
    pub(super) fn take(cursor: &mut Cursor<'_>) -> Option<Self> {
        Self::take_within(cursor, MAX_DEPTH)
    }

    fn take_within(cursor: &mut Cursor<'_>, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        if cursor.is("(") {
            let mut inside = cursor.take_parentheses()?;
            let value = Self::take_within(&mut inside, depth)?;
            return inside.is_at_end().then_some(value);
        }
        if cursor.take("[") {
            return take_items(cursor, "]", |cursor| Self::take_within(cursor, depth)).map(Self::List);
        }
        if cursor.take("{") {
            let field = |cursor: &mut Cursor<'_>| {
                let name = cursor.take_part()?;
                cursor.take(":").then_some(())?;
                Some((name, Self::take_within(cursor, depth)?))
            };
            return take_items(cursor, "}", field).map(Self::Struct);
        }
        if cursor.take("-") {
            let Self::Number(digits) = Self::take_within(cursor, depth)? else { return None };
            return Some(Self::Number(format!("-{digits}")));
        }
        Self::take_scalar(cursor)
    }

    fn take_scalar(cursor: &mut Cursor<'_>) -> Option<Self> {
        let token = cursor.next()?;
        let spelling = cursor.spelling(token);
        match token.kind {
            TokenKind::Number => Some(Self::Number(spelling.replace('_', ""))),
            TokenKind::Text => text_value(spelling).map(Self::Text),
            TokenKind::Word => match spelling.to_ascii_lowercase().as_str() {
                "null" => Some(Self::Null),
                "true" => Some(Self::Flag(true)),
                "false" => Some(Self::Flag(false)),
                // TIMESTAMP '2026-01-31 12:00:00'
                "timestamp" | "timestamptz" | "date" | "time" | "interval" => match Self::take_scalar(cursor)? {
                    text @ Self::Text(_) => Some(text),
                    _ => None,
                },
                _ => None,
            },
            TokenKind::Quoted | TokenKind::Parameter | TokenKind::Sign => None,
        }
    }
}

/// Takes comma-separated items, and the closing sign.
fn take_items<'a, T>(
    cursor: &mut Cursor<'a>,
    close: &str,
    item: impl Fn(&mut Cursor<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut items = Vec::new();
    while !cursor.take(close) {
        if !items.is_empty() && !cursor.take(",") {
            return None;
        }
        items.push(item(cursor)?);
    }
    Some(items)
}

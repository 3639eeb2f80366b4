//! Macros that DuckLake (of the pinned version) accepts but does not support.
//!
//! For a parameter, its catalog stores only the name of its type and the text of its default, which is insufficient for
//! lists, structs and maps: with such a default, or a typed NULL, the catalog of the whole lake cannot be loaded any
//! more, and a macro with such a type fails whenever it is called.

use super::{
    cursor::Cursor,
    definition::Object,
    kind::Kind,
    statement::ParsedStatement,
    token::{Token, TokenKind},
};
use crate::error::{Error, Result};

// === impl ParsedStatement ===

impl ParsedStatement {
    /// Rejects a macro of the lake with parameters that DuckLake does not store.
    ///
    /// # Errors
    /// Unsupported.
    pub fn check_macro(&self) -> Result<()> {
        let is_macro =
            |definition: &super::definition::Definition| definition.object == Object::Macro && !definition.is_temp();
        if *self.kind() != Kind::Create || !self.definition().is_some_and(is_macro) {
            return Ok(());
        }
        for parameter in parameter_lists(self.cursor()).into_iter().flat_map(Cursor::split_at_commas) {
            check_parameter(parameter)?;
        }
        Ok(())
    }
}

fn check_parameter(parameter: Cursor<'_>) -> Result<()> {
    let tokens = parameter.rest();
    let gives = |token: &Token| matches!(parameter.spelling(*token), ":=" | "=>");
    let split = tokens.iter().position(gives).unwrap_or(tokens.len());
    let (named, default) = (&tokens[..split], tokens.get(split + 1..));
    if named.iter().skip(1).any(|token| is_nested(parameter, *token)) {
        return Err(Error::unsupported(
            "a macro of the lake can have parameters of plain types only, no lists, structs or maps: DuckLake does not \
             keep what they are made of; make it a TEMP macro, or leave the type away",
        ));
    }
    if default.is_some_and(|default| !is_plain(Cursor::new(parameter.text(), default))) {
        return Err(Error::unsupported(
            "a macro of the lake can have plain values as defaults only, such as 1, 'text' or DATE '2026-01-31', no \
             NULL and no expressions: DuckLake could not read its catalog any more; make it a TEMP macro, or give the \
             value with each call",
        ));
    }
    Ok(())
}

/// The contents of the parentheses with parameters: the first, and for each further form of the macro those between a
/// comma and AS. In a table macro, AS TABLE follows, which distinguishes them from columns of its query.
fn parameter_lists(cursor: Cursor<'_>) -> Vec<Cursor<'_>> {
    let tokens = cursor.rest();
    let (mut lists, mut opened, mut is_table) = (Vec::new(), Vec::new(), false);
    for (at, token) in tokens.iter().enumerate() {
        match cursor.spelling(*token) {
            "(" => opened.push(at),
            ")" => {
                let Some(start) = opened.pop() else { continue };
                let (is_before_as, is_before_table) = (cursor.is_at(at + 1, "AS"), cursor.is_at(at + 2, "TABLE"));
                let is_further = start > 0 && cursor.is_at(start - 1, ",") && (!is_table || is_before_table);
                if opened.is_empty() && is_before_as && (lists.is_empty() || is_further) {
                    is_table |= is_before_table;
                    lists.push(Cursor::new(cursor.text(), &tokens[start + 1..at]));
                }
            }
            _ => {}
        }
    }
    lists
}

/// Whether it belongs to a nested type.
fn is_nested(cursor: Cursor<'_>, token: Token) -> bool {
    let spelling = cursor.spelling(token).trim_matches('"');
    spelling == "["
        || ["STRUCT", "MAP", "UNION", "ROW", "ARRAY", "LIST"].iter().any(|word| spelling.eq_ignore_ascii_case(word))
}

/// Whether a default is a value that is certainly not NULL: a number, string or Boolean, optionally with one cast, or a
/// string after its type.
fn is_plain(mut default: Cursor<'_>) -> bool {
    let _sign = default.take("-") || default.take("+");
    let default = default;
    let is_word =
        |token: &Token| token.kind == TokenKind::Word && !default.spelling(*token).eq_ignore_ascii_case("NULL");
    let is_text = |token: &Token| token.kind == TokenKind::Text;
    let tokens = default.rest();
    match tokens {
        [_, number, unit] if default.is("INTERVAL") && number.kind == TokenKind::Number => return is_word(unit),
        [kind @ .., text] if is_text(text) => {
            let is_type = |token: &Token| is_word(token) && !default.spelling(*token).eq_ignore_ascii_case("CASE");
            return kind.iter().all(is_type);
        }
        _ => {}
    }
    let Some((value, cast)) = tokens.split_first() else { return false };
    let is_value = is_text(value) || value.kind == TokenKind::Number || default.is_any(&["TRUE", "FALSE"]);
    let is_of_type = |token: &Token| {
        is_word(token) || token.kind == TokenKind::Number || matches!(default.spelling(*token), "(" | ")" | ",")
    };
    let casts = cast.is_empty() || default.is_at(1, "::");
    is_value && casts && cast.iter().skip(1).all(|token| is_of_type(token) && !is_nested(default, *token))
}

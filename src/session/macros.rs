//! Macros that DuckLake (of the version that is pinned here) takes but does not survive.
//!
//! Its catalog keeps of a parameter the name of its type and the text of its default, which for lists, structs and maps
//! is not enough: with such a default, or a typed NULL, the catalog of the whole lake cannot be loaded any more, and a
//! macro with such a type fails whenever it is called.

use sqlparser::{keywords::Keyword, tokenizer::Token};

use super::tokens::{keyword, tokens};
use crate::error::{Error, Result};

/// Refuses a CREATE MACRO for the lake with parameters that DuckLake does not keep.
///
/// # Errors
/// Unsupported.
pub(super) fn check(sql: &str) -> Result<()> {
    let tokens: Vec<_> = tokens(sql).unwrap_or_default();
    let tokens: Vec<_> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let Some(definition) = definition(&tokens) else { return Ok(()) };
    for parameters in parameter_lists(definition) {
        if parameters.iter().any(|token| is_nested(token)) {
            return Err(Error::unsupported(
                "a macro of the lake can have parameters of plain types and plain values as defaults only, no lists, \
                 structs or maps: DuckLake could not read its catalog any more; make it a TEMP macro, or leave the type \
                 away and give the value with each call",
            ));
        }
        if defaults(parameters).any(|default| default.iter().any(|token| is_computed(token))) {
            return Err(Error::unsupported(
                "a macro of the lake can have plain values as defaults only, no NULL and no expressions: DuckLake could \
                 not read its catalog any more; make it a TEMP macro, or give the value with each call",
            ));
        }
    }
    Ok(())
}

/// What follows MACRO in a statement that makes one for the lake.
fn definition<'a>(tokens: &'a [&'a Token]) -> Option<&'a [&'a Token]> {
    let [create, rest @ ..] = tokens else { return None };
    let rest = match rest {
        [or, replace, rest @ ..] if keyword(or) == Keyword::OR && keyword(replace) == Keyword::REPLACE => rest,
        rest => rest,
    };
    let (kind, rest) = rest.split_first()?;
    let is_macro = matches!(keyword(kind), Keyword::MACRO | Keyword::FUNCTION);
    (keyword(create) == Keyword::CREATE && is_macro).then_some(rest)
}

/// What stands in the parentheses that hold parameters: the first, and for each further form of the macro those between
/// a comma and AS.
fn parameter_lists<'a>(tokens: &'a [&'a Token]) -> Vec<&'a [&'a Token]> {
    let mut lists = Vec::new();
    let mut opened = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::LParen => opened.push(at),
            Token::RParen => {
                let Some(start) = opened.pop() else { continue };
                let follows_comma = start > 0 && *tokens[start - 1] == Token::Comma;
                let is_before_as = tokens.get(at + 1).is_some_and(|next| keyword(next) == Keyword::AS);
                if opened.is_empty() && is_before_as && (lists.is_empty() || follows_comma) {
                    lists.push(&tokens[start + 1..at]);
                }
            }
            _ => {}
        }
    }
    lists
}

/// The tokens of each default, up to the next comma.
fn defaults<'a>(parameters: &'a [&'a Token]) -> impl Iterator<Item = &'a [&'a Token]> {
    let gives = |token: &&Token| matches!(token, Token::Assignment | Token::RArrow);
    parameters.split(gives).skip(1).map(|rest| rest.split(|token| **token == Token::Comma).next().unwrap_or_default())
}

/// Whether it belongs to a type or a value that has parts.
fn is_nested(token: &Token) -> bool {
    let is_type =
        |word: &str| ["STRUCT", "MAP", "UNION", "ROW", "ARRAY"].iter().any(|it| it.eq_ignore_ascii_case(word));
    match token {
        Token::LBracket | Token::LBrace => true,
        Token::Word(word) => word.quote_style.is_none() && is_type(&word.value),
        _ => false,
    }
}

/// Whether it makes a default more than a plain value.
fn is_computed(token: &Token) -> bool {
    *token == Token::LParen || keyword(token) == Keyword::NULL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_parameters_are_let_through() {
        for sql in [
            "CREATE MACRO lake.m(a, b := 5) AS a + b",
            "CREATE OR REPLACE MACRO m(a, b := 'x [y]') AS [a, b]",
            "CREATE MACRO m(a) AS list_transform(a, lambda x: x + 1)",
            "CREATE MACRO m(a DECIMAL(10, 2) := 1.5, b => DATE '2026-01-01') AS TABLE SELECT a, (b) AS b",
            "CREATE MACRO m(a) AS list_sort(a, x := [1]), (a, b) AS coalesce(a, NULL)",
            "CREATE TEMP MACRO m(a := [1, 2]) AS a",
            "CREATE OR REPLACE TEMPORARY FUNCTION m(a INTEGER[]) AS a",
            "CREATE TABLE macro (a INTEGER[] DEFAULT NULL)",
        ] {
            assert!(check(sql).is_ok(), "{sql}");
        }
    }

    #[test]
    fn what_the_catalog_does_not_survive_is_refused() {
        for sql in [
            "CREATE MACRO lake.m(a, b := [1, 2]) AS a",
            "CREATE MACRO m(temp := [1]) AS temp",
            "CREATE MACRO m(a := $$'$$, b := [1]) AS a",
            "/* /* */ ' */ create or replace function m(b => {'x': 1}) as b",
            "CREATE MACRO m(a := MAP {'x': 1}, b := 2) AS TABLE SELECT a",
            "CREATE MACRO m(a := list_value(1)) AS a",
            "CREATE MACRO m(a) AS a, (a, b := [1]) AS b",
            "CREATE MACRO m(a := NULL::INTEGER) AS a",
            "CREATE MACRO m(a := 1 + null) AS a",
            "CREATE MACRO m(a INTEGER[]) AS len(a)",
            "CREATE MACRO m(a, b struct(x INTEGER)) AS b.x",
        ] {
            assert!(check(sql).is_err(), "{sql}");
        }
    }
}

//! Macros that DuckLake (of the version that is pinned here) takes but does not survive.
//!
//! Its catalog keeps of a parameter the name of its type and the text of its default, which for lists, structs and maps
//! is not enough: with such a default, or a typed NULL, the catalog of the whole lake cannot be loaded any more, and a
//! macro with such a type fails whenever it is called.

use sqlparser::{keywords::Keyword, tokenizer::Token};

use super::tokens::{keyword, significant, words};
use crate::error::{Error, Result};

/// Refuses a CREATE MACRO for the lake with parameters that DuckLake does not keep.
///
/// # Errors
/// Unsupported.
pub(super) fn check(sql: &str) -> Result<()> {
    let Some(tokens) = significant(sql) else {
        let makes_macro = words(sql).iter().take(4).any(|word| word == "MACRO" || word == "FUNCTION");
        let refusal =
            || Error::unsupported("the server cannot read this CREATE MACRO: write its texts without escapes");
        return if makes_macro { Err(refusal()) } else { Ok(()) };
    };
    let Some(definition) = definition(&tokens) else { return Ok(()) };
    for parameter in parameter_lists(definition).into_iter().flat_map(split_at_commas) {
        let gives = |token: &Token| matches!(token, Token::Assignment | Token::RArrow);
        let mut parts = parameter.splitn(2, gives);
        let (named, default) = (parts.next().unwrap_or_default(), parts.next());
        if named.iter().skip(1).any(is_nested) {
            return Err(Error::unsupported(
                "a macro of the lake can have parameters of plain types only, no lists, structs or maps: DuckLake does not \
                 keep what they are made of; make it a TEMP macro, or leave the type away",
            ));
        }
        if default.is_some_and(|default| !is_plain(default)) {
            return Err(Error::unsupported(
                "a macro of the lake can have plain values as defaults only, such as 1, 'text' or DATE '2026-01-31', no \
                 NULL and no expressions: DuckLake could not read its catalog any more; make it a TEMP macro, or give the \
                 value with each call",
            ));
        }
    }
    Ok(())
}

/// What follows MACRO in a statement that makes one for the lake.
fn definition(tokens: &[Token]) -> Option<&[Token]> {
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
/// a comma and AS. In a table macro AS TABLE follows, by which they are told from columns of its query.
fn parameter_lists(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut lists, mut opened, mut is_table) = (Vec::new(), Vec::new(), false);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::LParen => opened.push(at),
            Token::RParen => {
                let Some(start) = opened.pop() else { continue };
                let follows =
                    |place: usize, word: Keyword| tokens.get(at + place).is_some_and(|it| keyword(it) == word);
                let (is_before_as, is_before_table) = (follows(1, Keyword::AS), follows(2, Keyword::TABLE));
                let is_further = start > 0 && tokens[start - 1] == Token::Comma && (!is_table || is_before_table);
                if opened.is_empty() && is_before_as && (lists.is_empty() || is_further) {
                    is_table |= is_before_table;
                    lists.push(&tokens[start + 1..at]);
                }
            }
            _ => {}
        }
    }
    lists
}

/// The parts between the commas that stand outside of parentheses.
fn split_at_commas(list: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_i32;
    let is_comma = |token: &Token| {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
            Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
            _ => {}
        }
        depth == 0 && *token == Token::Comma
    };
    list.split(is_comma).collect()
}

/// Whether it belongs to a type that has parts.
fn is_nested(token: &Token) -> bool {
    let is_type =
        |word: &str| ["STRUCT", "MAP", "UNION", "ROW", "ARRAY"].iter().any(|it| it.eq_ignore_ascii_case(word));
    match token {
        Token::LBracket => true,
        Token::Word(word) => is_type(&word.value),
        _ => false,
    }
}

/// Whether a default is a value that is surely not NULL: a number, text or truth value, which may have one cast, or a
/// text behind its type.
fn is_plain(default: &[Token]) -> bool {
    let is_text = |token: &Token| matches!(token, Token::SingleQuotedString(_) | Token::DollarQuotedString(_));
    let is_word =
        |token: &Token| matches!(token, Token::Word(word) if keyword(token) != Keyword::NULL && !word.value.is_empty());
    let unsigned = match default {
        [Token::Minus | Token::Plus, rest @ ..] | rest => rest,
    };
    match unsigned {
        [interval, Token::Number(..), unit] if keyword(interval) == Keyword::INTERVAL => is_word(unit),
        [kind @ .., text] if is_text(text) && kind.iter().all(|it| is_word(it) && keyword(it) != Keyword::CASE) => true,
        [value] | [value, Token::DoubleColon, ..] => {
            let cast = unsigned.get(2..).unwrap_or_default();
            let is_value = is_text(value)
                || matches!(value, Token::Number(..))
                || matches!(keyword(value), Keyword::TRUE | Keyword::FALSE);
            let is_of_type = |it: &Token| {
                is_word(it) || matches!(it, Token::Number(..) | Token::LParen | Token::RParen | Token::Comma)
            };
            is_value && cast.iter().all(|it| is_of_type(it) && !is_nested(it))
        }
        _ => false,
    }
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
            "CREATE MACRO m(x) AS TABLE SELECT id, (tags[x]) AS tag FROM t",
            "CREATE MACRO m(map, array := -1, c := true, d := '1'::DECIMAL(3, 1), e := INTERVAL 3 DAY) AS map",
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
            "CREATE MACRO m(a := 1 % 0) AS a",
            "CREATE MACRO m(a := CASE WHEN false THEN 1 END) AS a",
            "CREATE MACRO m(a := 'null'::JSON::INTEGER) AS a",
            "CREATE MACRO m(a := JSON 'null'::INTEGER) AS a",
            "CREATE MACRO m(a) AS TABLE SELECT a, (a, b := [1]) AS TABLE SELECT b",
            "; CREATE\u{a0}MACRO m(a := [1]) AS a",
            r"CREATE MACRO m(a := E'\xC3\xA4', b := [1]) AS a",
            "CREATE MACRO m(a INTEGER[]) AS len(a)",
            "CREATE MACRO m(a, b struct(x INTEGER)) AS b.x",
        ] {
            assert!(check(sql).is_err(), "{sql}");
        }
    }
}

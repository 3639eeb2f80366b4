//! Limits of statements: DuckDB's planning of long chains takes time that grows with the square of their length or faster,
//! of nested lambda functions exponentially, and cannot be interrupted there. Each limit is a few seconds of one core.

use super::token::{Token, TokenKind};
use crate::error::{Error, Result};

/// How deep lambda functions may be nested.
const LAMBDA_DEPTH_MAX: usize = 20;

/// Words, how many of them a text may have, and what to use instead.
const LIMITS: &[(&[&str], usize, &str)] = &[
    (&["and", "or"], 20_000, "use IN, or join a table of the values"),
    (&["union", "intersect", "except"], 5_000, "insert the rows into a table, or use VALUES"),
    (&["join"], 100, "split the statement with TEMP tables"),
];

/// Checks the numbers of words, and the depth of lambda functions.
///
/// # Errors
/// `InvalidArgument` with the limit and the remedy.
pub(super) fn check(text: &str, tokens: &[Token]) -> Result<()> {
    check_words(text, tokens)?;
    check_lambdas(text, tokens)
}

/// All syntaxes are counted, `lambda x: …`, `x -> …` and `[… FOR x IN …]`, once for each bracket: an arrow is also an operator
/// of JSON, in chains. Those of macros are not seen here.
fn check_lambdas(text: &str, tokens: &[Token]) -> Result<()> {
    // Whether each open bracket contains one, and how many do.
    let (mut open, mut depth) = (vec![false], 0);
    for token in tokens.iter().filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Sign)) {
        let spelling = &text[token.start..token.end];
        match spelling {
            "(" | "[" => open.push(false),
            ")" | "]" if open.len() > 1 => depth -= usize::from(open.pop() == Some(true)),
            _ if is_lambda(text, token) => {
                let contains = open.last_mut().map(|contains| std::mem::replace(contains, true));
                depth += usize::from(contains == Some(false));
            }
            _ => {}
        }
        if depth > LAMBDA_DEPTH_MAX {
            return Err(Error::invalid(format!(
                "lambda functions are nested more than {LAMBDA_DEPTH_MAX} levels deep, which DuckDB cannot plan in \
                 reasonable time: unnest the lists instead"
            )));
        }
    }
    Ok(())
}

fn is_lambda(text: &str, token: &Token) -> bool {
    let spelling = &text[token.start..token.end];
    // `->>` is an operator of JSON, `<->` one of distance.
    let is_arrow = spelling == "->" && !text[token.end..].starts_with('>') && !text[..token.start].ends_with('<');
    is_arrow || spelling.eq_ignore_ascii_case("lambda") || spelling.eq_ignore_ascii_case("for")
}

fn check_words(text: &str, tokens: &[Token]) -> Result<()> {
    let words =
        || tokens.iter().filter(|token| token.kind == TokenKind::Word).map(|token| &text[token.start..token.end]);
    for (counted, limit, remedy) in LIMITS {
        let count = words().filter(|word| counted.iter().any(|counted| word.eq_ignore_ascii_case(counted))).count();
        if count > *limit {
            let names = counted.join(", ").to_uppercase();
            return Err(Error::invalid(format!(
                "the SQL text contains {count} times {names}, which DuckDB cannot plan in reasonable time; at most {limit} \
                 are accepted: {remedy}"
            )));
        }
    }
    Ok(())
}

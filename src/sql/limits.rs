//! Limits of statements: DuckDB's planning of long chains takes time that grows with the square of their length or faster,
//! and cannot be interrupted there. Each limit is a few seconds of one core.

use super::token::{Token, TokenKind};
use crate::error::{Error, Result};

/// Words, how many of them a text may have, and what to use instead.
const LIMITS: &[(&[&str], usize, &str)] = &[
    (&["and", "or"], 20_000, "use IN, or join a table of the values"),
    (&["union", "intersect", "except"], 5_000, "insert the rows into a table, or use VALUES"),
    (&["join"], 100, "split the statement with TEMP tables"),
];

/// Checks the numbers of words.
///
/// # Errors
/// `InvalidArgument` with the limit and the remedy.
pub(super) fn check(text: &str, tokens: &[Token]) -> Result<()> {
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

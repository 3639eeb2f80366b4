//! The text of an INSERT, taken apart.
//!
//! Several executions of INSERTs become one statement: of one text for many rows of parameters ([`bulk`](super::bulk)),
//! and of several sessions ([`group`](super::group)). The text is taken apart into tokens and put together again, so that
//! nothing changes that is not meant to. Whatever would not surely mean the same (subqueries, aggregates, RETURNING,
//! ON CONFLICT, another statement) is not taken apart, and runs as it is.

use sqlparser::{keywords::Keyword, tokenizer::Token};

use super::tokens::{keyword, tokens};

/// Words that give values a meaning which depends on the statement around them.
const OWN_MEANING: &[Keyword] = &[
    Keyword::SELECT,
    Keyword::FROM,
    Keyword::TABLE,
    Keyword::VALUES,
    Keyword::WITH,
    Keyword::OVER,
    Keyword::COLUMNS,
    Keyword::DISTINCT,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::QUALIFY,
    Keyword::ORDER,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::UNION,
    Keyword::EXCEPT,
    Keyword::INTERSECT,
    Keyword::USING,
    Keyword::SAMPLE,
    Keyword::WINDOW,
    Keyword::RETURNING,
    Keyword::ON,
];

/// An INSERT of values.
#[derive(Debug)]
pub(super) struct Insert {
    tokens: Vec<Token>,
    /// Where `VALUES` or `SELECT` stands.
    source: usize,
}

// === impl Insert ===

impl Insert {
    /// Takes an INSERT apart; `None` for any other form.
    pub fn parse(sql: &str) -> Option<Self> {
        let insert = Self::find(statement(sql)?)?;
        let values = insert.values();
        let plain = |token: &Token| !OWN_MEANING.contains(&keyword(token)) && !matches!(token, Token::SemiColon);
        (is_target(insert.head()) && !values.is_empty() && values.iter().all(plain)).then_some(insert)
    }

    fn find(tokens: Vec<Token>) -> Option<Self> {
        let mut words = tokens.iter().enumerate().filter(|(_, token)| !matches!(token, Token::Whitespace(_)));
        let (_, insert) = words.next()?;
        let (_, into) = words.next()?;
        if keyword(insert) != Keyword::INSERT || keyword(into) != Keyword::INTO {
            return None;
        }
        let (source, _) = words.find(|(_, token)| matches!(keyword(token), Keyword::VALUES | Keyword::SELECT))?;
        Some(Self { tokens, source })
    }

    /// `INSERT INTO t (a, b)`.
    pub fn head(&self) -> &[Token] {
        &self.tokens[..self.source]
    }

    /// What stands behind VALUES or SELECT.
    pub fn values(&self) -> &[Token] {
        trim(&self.tokens[self.source + 1..])
    }

    /// Whether [`values`](Self::values) stand behind SELECT.
    pub fn selects(&self) -> bool {
        keyword(&self.tokens[self.source]) == Keyword::SELECT
    }
}

/// The tokens of a statement, without a semicolon at the end; `None` for what is none, or would not print as it stood
/// (the library prints `E'it\'s'` without the backslash).
fn statement(sql: &str) -> Option<Vec<Token>> {
    let mut tokens = tokens(sql)?;
    if tokens.iter().map(Token::to_string).collect::<String>() != sql {
        return None;
    }
    while let Some(Token::Whitespace(_) | Token::SemiColon) = tokens.last() {
        tokens.pop();
    }
    Some(tokens)
}

/// Whether these are `INSERT INTO`, a name, and perhaps a list of columns: no other clause stands before the values.
fn is_target(head: &[Token]) -> bool {
    let mut depth = 0_u32;
    let mut closed = false;
    head.iter().filter(|token| !matches!(token, Token::Whitespace(_))).skip(2).all(|token| match token {
        Token::LParen => {
            depth += 1;
            depth == 1 && !closed
        }
        Token::RParen => {
            depth = depth.saturating_sub(1);
            closed = true;
            true
        }
        Token::Comma => depth == 1,
        Token::Period => depth == 0,
        Token::Word(word) => !closed && !matches!(word.keyword, Keyword::BY | Keyword::AS),
        _ => false,
    })
}

/// What stands in each of the parentheses that follow one another with commas between them; `None` when `tokens` are
/// something else.
pub(super) fn rows(tokens: &[Token]) -> Option<Vec<&[Token]>> {
    let mut rows = Vec::new();
    let mut rest = trim(tokens);
    loop {
        let [Token::LParen, inside @ ..] = rest else { return None };
        let mut depth = 1_u32;
        let end = inside.iter().position(|token| {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        rows.push(trim(&inside[..end]));
        rest = match trim(&inside[end + 1..]) {
            [] => return Some(rows),
            [Token::Comma, more @ ..] => trim(more),
            _ => return None,
        };
    }
}

/// `tokens` without the blanks around them.
fn trim(mut tokens: &[Token]) -> &[Token] {
    while let [Token::Whitespace(_), rest @ ..] | [rest @ .., Token::Whitespace(_)] = tokens {
        tokens = rest;
    }
    tokens
}

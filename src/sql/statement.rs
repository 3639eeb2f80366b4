//! A parsed statement: its SQL text, its tokens, and its kind.

use std::sync::Arc;

use super::{
    cursor::Cursor,
    definition::Definition,
    kind::Kind,
    limits,
    token::{self, Token},
};
use crate::error::{Error, Result};

/// A parsed statement, with the properties that the server needs.
#[derive(Clone, Debug)]
pub struct ParsedStatement {
    text: Arc<str>,
    tokens: Arc<[Token]>,
    kind: Kind,
    definition: Option<Definition>,
}

/// Parses the statements of `text`, which are separated by semicolons; empty ones are skipped.
///
/// # Errors
/// `InvalidArgument` for an unterminated string, name or comment, for names and strings with `U&`, and for a text that
/// would be planned for minutes.
pub fn parse(text: &str) -> Result<Vec<ParsedStatement>> {
    let text = token::plain_spaces(text);
    let tokens = token::tokens(&text)?;
    limits::check(&text, &tokens)?;
    let is_end = |token: &Token| &text[token.start..token.end] == ";";
    let filled = tokens.split(is_end).filter(|tokens| !tokens.is_empty()).count();
    if filled == 1 {
        // Positions in DuckDB's messages are those in the client's text.
        let tokens: Vec<_> = tokens.iter().copied().filter(|token| !is_end(token)).collect();
        return Ok(vec![ParsedStatement::new(text.into(), tokens)]);
    }
    let mut start = 0;
    let mut statements = Vec::with_capacity(filled);
    for tokens in tokens.split_inclusive(is_end) {
        let end = tokens.last().map_or(start, |last| if is_end(last) { last.start } else { last.end });
        let own = tokens.iter().filter(|token| !is_end(token));
        let own: Vec<_> =
            own.map(|token| Token { start: token.start - start, end: token.end - start, ..*token }).collect();
        if !own.is_empty() {
            statements.push(ParsedStatement::new(text[start..end].into(), own));
        }
        start = tokens.last().map_or(end, |last| last.end);
    }
    Ok(statements)
}

/// Parses a single statement.
///
/// # Errors
/// `InvalidArgument` for several statements, none, and as [`parse`].
pub fn parse_one(text: &str) -> Result<ParsedStatement> {
    let mut statements = parse(text)?;
    match (statements.pop(), statements.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(Error::invalid("the statement is empty")),
        (Some(_), before) => {
            Err(Error::invalid(format!("expected one statement, but the SQL text contains {}", before + 1)))
        }
    }
}

/// A statement without the trailing non-ASCII characters: DuckDB removes these if it cannot parse the text with them,
/// and some Unicode spaces remain there. `None` if there are none.
fn trimmed(text: &str) -> Option<ParsedStatement> {
    let end = text.trim_end_matches(|c: char| !c.is_ascii() || c.is_ascii_whitespace() || c == ';');
    let has_more = text[end.len()..].contains(|c: char| !c.is_ascii());
    let tokens = token::tokens(end).ok().filter(|_| has_more)?;
    let tokens: Vec<_> = tokens.into_iter().filter(|token| &end[token.start..token.end] != ";").collect();
    (!tokens.is_empty()).then(|| ParsedStatement::new(end.into(), tokens))
}

// === impl ParsedStatement ===

impl ParsedStatement {
    fn new(text: Arc<str>, tokens: Vec<Token>) -> Self {
        let kind = Kind::of(&mut Cursor::new(&text, &tokens));
        if let Some(trimmed) = trimmed(&text).filter(|_| kind == Kind::Unknown) {
            return trimmed;
        }
        let definition = Definition::of(&kind, Cursor::new(&text, &tokens));
        let mut statement = Self { text, tokens: tokens.into(), kind, definition };
        statement.drop_cascade();
        statement
    }

    /// The statement in the form that DuckDB runs.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The statement without the semicolon and the comments that may follow it, for use within another one.
    pub fn inner_text(&self) -> &str {
        &self.text[..self.tokens.last().map_or(0, |last| last.end)]
    }

    /// Its kind.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What it creates, drops or changes in the catalog.
    pub fn definition(&self) -> Option<&Definition> {
        self.definition.as_ref()
    }

    /// Whether it may change the lake: its rows or its catalog.
    pub fn writes(&self) -> bool {
        self.kind.writes()
    }

    /// Whether it changes the catalog, which must be loaded before (`OpenTransaction::will_define`).
    pub fn defines(&self) -> bool {
        self.kind.defines()
    }

    /// Whether it creates TEMP objects.
    pub fn makes_temp(&self) -> bool {
        matches!(self.kind, Kind::Create) && self.definition.as_ref().is_some_and(Definition::is_temp)
    }

    /// Whether it certainly reads no table, such as the `SELECT 1` with which tools check whether a server is
    /// available: it names none, and without parentheses it has neither a function nor a subquery.
    pub fn reads_nothing(&self) -> bool {
        const READING: &[&str] =
            &["FROM", "TABLE", "DESCRIBE", "SHOW", "SUMMARIZE", "PIVOT", "UNPIVOT", "VALUES", "WITH", "("];
        let cursor = self.cursor();
        cursor.is("SELECT") && !(0..self.tokens.len()).any(|at| READING.iter().any(|word| cursor.is_at(at, word)))
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor::new(&self.text, &self.tokens)
    }

    /// DuckLake rejects CASCADE and has no dependants: a view that reads a table is not one.
    fn drop_cascade(&mut self) {
        let Some(Definition { cascade: Some(word), .. }) = self.definition else { return };
        self.text = format!("{}{}", &self.text[..word.start], &self.text[word.end..]).into();
        let length = word.end - word.start;
        let before = self.tokens.iter().filter(|token| token.end <= word.start).copied();
        let after = self.tokens.iter().filter(|token| token.start >= word.end);
        let after = after.map(|token| Token { start: token.start - length, end: token.end - length, ..*token });
        self.tokens = before.chain(after).collect();
    }
}

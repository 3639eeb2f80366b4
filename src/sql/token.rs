//! Splits the text of a statement into tokens, exactly like DuckDB's scanner.
//!
//! The rules are those of DuckDB 1.5.5 (`third_party/libpg_query/scan.l`, and `Parser::StripUnicodeSpaces` before it):
//! nested comments, `\r` as the end of a line, dollar quotes, escapes in `E'…'`, strings that continue on a new line,
//! and bytes above 127 as letters of names. Whitespace and comments are not tokens; what is between two tokens is found
//! by their positions.

use crate::error::{Error, Result};

/// A token of a statement, by its position in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: TokenKind,
    pub start: usize,
    pub end: usize,
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword or an unquoted name.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string literal in any of its forms.
    Text,
    /// A number.
    Number,
    /// A parameter: `?`, `?1`, `$1` or `$name`.
    Parameter,
    /// Punctuation or a part of an operator: one character, except `::`, `:=`, `=>`, `->` and `..`.
    Sign,
}

/// The state of the scanner.
struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// The tokens of `text`, in which [Unicode spaces](plain_spaces) were replaced.
///
/// # Errors
/// `InvalidArgument` for an unterminated string, name or comment.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0 };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

/// `text` with plain spaces in place of the Unicode spaces that DuckDB recognises.
pub(super) fn plain_spaces(text: &str) -> String {
    let mut text = text.to_owned();
    loop {
        let spaces = unicode_spaces(text.as_bytes());
        if spaces.is_empty() {
            return text;
        }
        let (mut plain, mut after) = (String::with_capacity(text.len()), 0);
        for (start, length) in spaces {
            plain += &text[after..start];
            plain.push(' ');
            after = start + length;
        }
        plain += &text[after..];
        text = plain;
    }
}

/// The positions and lengths in bytes of the Unicode spaces that DuckDB recognises: outside of quotes and line
/// comments, by its own simple scan, which does not consider block comments and escapes.
fn unicode_spaces(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut spaces, mut at) = (Vec::new(), 0);
    while at + 2 < bytes.len() {
        match bytes[at..] {
            [0xC2, 0xA0, ..] => spaces.push((at, 2)),
            [0xE2, 0x80, 0x80..=0x8B | 0xAF, ..]
            | [0xE2, 0x81, 0x9F | 0xA0, ..]
            | [0xE3, 0x80, 0x80, ..]
            | [0xEF, 0xBB, 0xBF, ..] => spaces.push((at, 3)),
            [quote @ (b'"' | b'\''), ..] => {
                at = after_quotes(bytes, at + 1, quote);
                continue;
            }
            [b'$', next, ..] if next == b'$' || is_tag_start(next) => {
                at = after_dollar_quotes(bytes, at + 1);
                continue;
            }
            [b'-', b'-', ..] => {
                let end = bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                at = end.map_or(bytes.len(), |end| at + end);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    spaces
}

fn after_quotes(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at + 1 < bytes.len() {
        if bytes[at] == quote {
            if bytes[at + 1] != quote {
                return at + 1;
            }
            at += 1;
        }
        at += 1;
    }
    bytes.len()
}

/// Where DuckDB continues after a dollar quote whose tag begins at `start`, or after what is not one.
fn after_dollar_quotes(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at + 2 < bytes.len() && bytes[at] != b'$' {
        if !is_tag(bytes[at]) {
            return at;
        }
        at += 1;
    }
    if at + 2 >= bytes.len() {
        return bytes.len();
    }
    let tag = &bytes[start..at];
    // The `$` at the end of the tag may be the first of the closing one, as DuckDB looks for it.
    while at + 2 < bytes.len() {
        let rest = &bytes[at + 1..];
        if bytes[at] == b'$' && rest.len() > tag.len() && rest.starts_with(tag) && rest[tag.len()] == b'$' {
            return at + tag.len() + 1;
        }
        at += 1;
    }
    bytes.len()
}

fn is_tag_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_tag(byte: u8) -> bool {
    is_tag_start(byte) || byte.is_ascii_digit()
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0C)
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

// === impl Lexer ===

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<Token>> {
        self.skip_blanks()?;
        let Some(&first) = self.bytes.get(self.at) else { return Ok(None) };
        let start = self.at;
        let kind = match (first, self.peek(1)) {
            (b'\'', _) => self.text(1, false)?,
            (b'e' | b'E', Some(b'\'')) => self.text(2, true)?,
            (b'b' | b'B' | b'x' | b'X' | b'n' | b'N', Some(b'\'')) => self.text(2, false)?,
            (b'u' | b'U', Some(b'&')) if matches!(self.peek(2), Some(b'\'' | b'"')) => {
                return Err(unreadable("strings and names with U& are not supported: write the characters themselves"));
            }
            (b'"', _) => self.quoted()?,
            (b'$', _) => self.dollar()?,
            (b'?', _) => self.parameter(),
            (b'0'..=b'9', _) | (b'.', Some(b'0'..=b'9')) => self.number(),
            (byte, _) if is_tag_start(byte) => self.word(),
            (b':', Some(b':' | b'=')) | (b'=' | b'-', Some(b'>')) | (b'.', Some(b'.')) => self.sign(2),
            _ => self.sign(1),
        };
        Ok(Some(Token { kind, start, end: self.at }))
    }

    fn peek(&self, distance: usize) -> Option<u8> {
        self.bytes.get(self.at + distance).copied()
    }

    fn skip_while(&mut self, is: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&is) {
            self.at += 1;
        }
    }

    fn skip_blanks(&mut self) -> Result<()> {
        loop {
            self.skip_while(is_space);
            match (self.peek(0), self.peek(1)) {
                (Some(b'-'), Some(b'-')) => self.skip_while(|byte| !is_newline(byte)),
                (Some(b'/'), Some(b'*')) => self.skip_comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn skip_comment(&mut self) -> Result<()> {
        let mut depth = 0_u32;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unreadable("unterminated /* comment")),
            }
        }
    }

    /// A string whose quote ends `opening` bytes ahead.
    fn text(&mut self, opening: usize, escapes: bool) -> Result<TokenKind> {
        self.at += opening;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'\\'), Some(_)) if escapes => self.at += 2,
                (Some(b'\''), Some(b'\'')) => self.at += 2,
                (Some(b'\''), _) => {
                    self.at += 1;
                    match self.continuation() {
                        Some(next) => self.at = next,
                        None => return Ok(TokenKind::Text),
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unreadable("unterminated quoted string")),
            }
        }
    }

    /// The position after the quote with which the string that ends here continues: on another line, as in standard
    /// SQL.
    fn continuation(&self) -> Option<usize> {
        let (mut at, mut newline) = (self.at, false);
        loop {
            match (self.bytes.get(at)?, self.bytes.get(at + 1)) {
                (byte, _) if is_space(*byte) => {
                    newline |= is_newline(*byte);
                    at += 1;
                }
                (b'-', Some(b'-')) => {
                    // A comment includes the newline after it.
                    at += self.bytes[at..].iter().position(|byte| is_newline(*byte))?;
                }
                (b'\'', _) if newline => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn quoted(&mut self) -> Result<TokenKind> {
        self.at += 1;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b'"'), Some(b'"')) => self.at += 2,
                (Some(b'"'), _) => {
                    self.at += 1;
                    return Ok(TokenKind::Quoted);
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unreadable("unterminated quoted identifier")),
            }
        }
    }

    /// A dollar quote, a parameter, or the sign alone.
    fn dollar(&mut self) -> Result<TokenKind> {
        let start = self.at;
        self.at += 1;
        if self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip_while(|byte| byte.is_ascii_digit() || byte == b'_');
            return Ok(TokenKind::Parameter);
        }
        if self.peek(0).is_some_and(is_tag_start) {
            self.skip_while(is_tag);
        }
        if self.peek(0) == Some(b'$') {
            self.at += 1;
            let delimiter = &self.text[start..self.at];
            let end = self.text[self.at..].find(delimiter);
            let end = end.ok_or_else(|| unreadable("unterminated dollar-quoted string"))?;
            self.at += end + delimiter.len();
            return Ok(TokenKind::Text);
        }
        Ok(if self.at > start + 1 { TokenKind::Parameter } else { TokenKind::Sign })
    }

    fn parameter(&mut self) -> TokenKind {
        self.at += 1;
        if self.peek(0).is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip_while(|byte| byte.is_ascii_digit() || byte == b'_');
        }
        TokenKind::Parameter
    }

    fn number(&mut self) -> TokenKind {
        let digits = |lexer: &mut Self| lexer.skip_while(|byte| byte.is_ascii_digit() || byte == b'_');
        digits(self);
        // In `1..10`, two dots follow.
        if self.peek(0) == Some(b'.') && self.peek(1) != Some(b'.') {
            self.at += 1;
            digits(self);
        }
        if let Some(b'e' | b'E') = self.peek(0) {
            let signed = usize::from(matches!(self.peek(1), Some(b'+' | b'-')));
            if self.peek(1 + signed).is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1 + signed;
                digits(self);
            }
        }
        TokenKind::Number
    }

    fn word(&mut self) -> TokenKind {
        self.skip_while(|byte| is_tag(byte) || byte == b'$');
        TokenKind::Word
    }

    fn sign(&mut self, length: usize) -> TokenKind {
        self.at += length;
        TokenKind::Sign
    }
}

fn unreadable(what: &str) -> Error {
    Error::invalid(format!("Parser Error: {what}"))
}

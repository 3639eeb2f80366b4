//! Reads tokens one after the other.

use super::{
    name::Name,
    token::{Token, TokenKind},
};

/// A position among the tokens of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    /// A cursor at the first of `tokens`, which are tokens of `text`.
    pub fn new(text: &'a str, tokens: &'a [Token]) -> Self {
        Self { text, tokens }
    }

    /// The SQL text of the tokens.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The remaining tokens.
    pub fn rest(&self) -> &'a [Token] {
        self.tokens
    }

    pub fn is_at_end(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The next token, without taking it.
    pub fn peek(&self) -> Option<Token> {
        self.tokens.first().copied()
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    /// The characters of a token.
    pub fn spelling(&self, token: Token) -> &'a str {
        &self.text[token.start..token.end]
    }

    /// Whether the next token is the keyword, or the sign, `word`.
    pub fn is(&self, word: &str) -> bool {
        self.is_at(0, word)
    }

    /// Whether the token `distance` positions ahead is the keyword, or the sign, `word`.
    pub fn is_at(&self, distance: usize, word: &str) -> bool {
        self.tokens.get(distance).is_some_and(|token| {
            matches!(token.kind, TokenKind::Word | TokenKind::Sign) && self.spelling(*token).eq_ignore_ascii_case(word)
        })
    }

    /// Whether the next token is one of the keywords.
    pub fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Takes the keyword, or the sign, `word`, if it is next.
    pub fn take(&mut self, word: &str) -> bool {
        let is = self.is(word);
        if is {
            self.next();
        }
        is
    }

    /// Takes the words of `phrase`, if all of them are next.
    pub fn take_phrase(&mut self, phrase: &[&str]) -> bool {
        let are = phrase.iter().enumerate().all(|(distance, word)| self.is_at(distance, word));
        if are {
            self.tokens = &self.tokens[phrase.len()..];
        }
        are
    }

    /// Skips all of the next tokens that are any of `words`.
    pub fn skip(&mut self, words: &[&str]) {
        while self.is_any(words) {
            self.next();
        }
    }

    /// Takes a parenthesised expression; returns the tokens inside.
    pub fn take_parentheses(&mut self) -> Option<Cursor<'a>> {
        if !self.is("(") {
            return None;
        }
        let mut depth = 0_usize;
        for (index, token) in self.tokens.iter().enumerate() {
            match self.spelling(*token) {
                "(" if token.kind == TokenKind::Sign => depth += 1,
                ")" if token.kind == TokenKind::Sign => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let inside = Cursor::new(self.text, &self.tokens[1..index]);
                self.tokens = &self.tokens[index + 1..];
                return Some(inside);
            }
        }
        None
    }

    /// Takes a name of one or several parts with dots between them.
    pub fn take_name(&mut self) -> Option<Name> {
        let mut parts = vec![self.take_part()?];
        while self.is(".") {
            self.next();
            parts.push(self.take_part()?);
        }
        Some(Name::new(parts))
    }

    /// Takes one part of a name, without its quotes; DuckDB accepts string literals as names, too.
    pub fn take_part(&mut self) -> Option<String> {
        let token = self.peek()?;
        let part = match token.kind {
            TokenKind::Word => self.spelling(token).to_owned(),
            TokenKind::Quoted => unquoted(self.spelling(token)),
            TokenKind::Text => text_value(self.spelling(token))?,
            TokenKind::Number | TokenKind::Parameter | TokenKind::Sign => return None,
        };
        self.next();
        Some(part)
    }

    /// The parts between the commas outside of brackets.
    pub fn split_at_commas(self) -> Vec<Cursor<'a>> {
        let mut depth = 0_i32;
        let is_comma = |token: &Token| {
            if token.kind != TokenKind::Sign {
                return false;
            }
            match self.spelling(*token) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                "," => return depth == 0,
                _ => {}
            }
            false
        };
        self.tokens.split(is_comma).map(|tokens| Cursor::new(self.text, tokens)).collect()
    }

    /// The source text of the remaining tokens, including what is between them.
    pub fn source(&self) -> &'a str {
        match self.tokens {
            [] => "",
            [first, .., last] => &self.text[first.start..last.end],
            [only] => &self.text[only.start..only.end],
        }
    }
}

/// A name without its double quotes.
pub(super) fn unquoted(name: &str) -> String {
    name[1..name.len() - 1].replace("\"\"", "\"")
}

/// The value of a string literal; `None` for one of bits or bytes, or with escapes that are not plain characters.
pub(super) fn text_value(text: &str) -> Option<String> {
    match text.as_bytes() {
        [b'$', ..] => {
            let tag = text[1..].find('$')? + 2;
            Some(text[tag..text.len() - tag].to_owned())
        }
        [b'e' | b'E', ..] => pieces(&text[1..], unescaped),
        [b'n' | b'N', ..] => pieces(&text[1..], |text| Some(text.to_owned())),
        [b'\'', ..] => pieces(text, |text| Some(text.to_owned())),
        _ => None,
    }
}

/// Concatenates the parts of a string literal, which can continue on a new line.
fn pieces(text: &str, read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (mut value, mut rest) = (String::new(), text);
    loop {
        rest = rest.strip_prefix('\'')?;
        let mut end = 0;
        let bytes = rest.as_bytes();
        // A backslash before a quote escapes it only if `read` supports escapes, which returns `None` for such
        // literals.
        while bytes.get(end..end + 2) == Some(b"''") || *bytes.get(end)? != b'\'' {
            end += if bytes[end] == b'\'' { 2 } else { 1 };
        }
        value += &read(&rest[..end].replace("''", "'"))?;
        let after = &rest[end + 1..];
        match after.find('\'') {
            // Comments between the parts are skipped with them.
            Some(next) if !after[..next].contains("--") => rest = &after[next..],
            Some(_) => return None,
            None => return Some(value),
        }
    }
}

fn unescaped(text: &str) -> Option<String> {
    let (mut value, mut characters) = (String::new(), text.chars());
    while let Some(character) = characters.next() {
        value.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(value)
}

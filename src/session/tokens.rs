//! The text of a statement as tokens, for what is decided before DuckDB reads it.

use sqlparser::{
    dialect::Dialect,
    keywords::Keyword,
    tokenizer::{Token, Tokenizer},
};

/// How DuckDB tells tokens apart: as PostgreSQL does, but `?` is a parameter. No dialect of the library is the same.
#[derive(Debug)]
struct DuckDb;

impl Dialect for DuckDb {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_ascii_alphabetic() || ch == '_' || !ch.is_ascii()
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.is_identifier_start(ch) || ch.is_ascii_digit() || ch == '$'
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }
}

/// The tokens of a statement, blanks and comments among them; `None` for what is none.
pub(super) fn tokens(sql: &str) -> Option<Vec<Token>> {
    Tokenizer::new(&DuckDb, sql).with_unescape(false).tokenize().ok()
}

/// The tokens of a statement that say what it does: without blanks and comments, and without semicolons in front; `None`
/// for what is none.
pub(super) fn significant(sql: &str) -> Option<Vec<Token>> {
    // DuckDB takes these spaces for plain ones, and ends a comment at either sign of a new line.
    let plain = |c: char| match c {
        '\u{a0}' | '\u{2000}'..='\u{200d}' | '\u{202f}' | '\u{205f}' | '\u{2060}' | '\u{3000}' | '\u{feff}' => ' ',
        '\r' => '\n',
        other => other,
    };
    let tokens = tokens(&sql.chars().map(plain).collect::<String>())?;
    let means = |token: &Token| !matches!(token, Token::Whitespace(_));
    Some(tokens.into_iter().filter(means).skip_while(|token| *token == Token::SemiColon).collect())
}

/// The words of a statement that stand outside of quotes, in upper case. What is no SQL is all words.
pub(super) fn words(sql: &str) -> Vec<String> {
    let Some(tokens) = significant(sql) else {
        let separates = |c: char| !c.is_alphanumeric() && c != '_';
        return sql.split(separates).filter(|word| !word.is_empty()).map(str::to_uppercase).collect();
    };
    let word = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_uppercase()),
        _ => None,
    };
    tokens.iter().filter_map(word).collect()
}

/// The keyword that a token is, if it is one.
pub(super) fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_outside_of_quotes_and_comments() {
        let sql = "ALTER TABLE \"RENAME TO\" /* x /* y */ z */ rename -- y\n to t; 'RESET'";
        assert_eq!(words(sql), ["ALTER", "TABLE", "RENAME", "TO", "T"]);
        assert_eq!(words(r"SELECT $$it's$$, e'it\'s', $a$ $$ $a$ AS ä"), ["SELECT", "AS", "Ä"]);
        assert_eq!(words("'open or"), ["OPEN", "OR"]);
        assert_eq!(words("; DELETE\u{a0}FROM\u{200b}t -- x\rWHERE"), ["DELETE", "FROM", "T", "WHERE"]);
    }
}

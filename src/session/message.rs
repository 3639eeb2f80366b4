//! What a commit says was done, where neither the session nor an action says it: its statements, without the values.

use sqlparser::tokenizer::Token;

use super::tokens::tokens;

/// The longest text of a statement, in characters.
const LENGTH: usize = 120;

/// What the statements of a transaction did.
#[derive(Debug, Default)]
pub(super) struct Message {
    first: Option<String>,
    more: usize,
}

// === impl Message ===

impl Message {
    /// Adds something that was done.
    pub fn add(&mut self, done: String) {
        if self.first.is_none() {
            self.first = Some(done);
        } else {
            self.more += 1;
        }
    }

    /// The text for the commit.
    pub fn text(&self) -> String {
        let first = self.first.clone().unwrap_or_default();
        if self.more == 0 { first } else { format!("{first} (and {} more)", self.more) }
    }
}

/// A statement on one line, without comments and what its texts hold, which may be nobody's business.
pub(super) fn summary(sql: &str) -> String {
    let text: String = tokens(sql).unwrap_or_default().iter().map(shown).collect();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.trim_end_matches([';', ' ']);
    match line.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Whitespace(_) => " ".to_owned(),
        Token::SingleQuotedString(_)
        | Token::DollarQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::HexStringLiteral(_) => "'…'".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_told_on_a_line_without_its_texts() {
        assert_eq!(
            summary("-- why\nUPDATE t\n   SET \"a b\" = 'it''s secret', n = 5 /* x */ WHERE id=?;"),
            "UPDATE t SET \"a b\" = '…', n = 5 WHERE id=?"
        );
        assert_eq!(summary("INSERT INTO t VALUES ($$x$$, e'\\n')"), "INSERT INTO t VALUES ('…', '…')");
        assert_eq!(summary("'open"), "");
        let long = summary(&format!("DELETE FROM t WHERE i IN ({})", ["ä"; 200].join(",")));
        assert_eq!(long.chars().count(), LENGTH + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_transaction_tells_its_first_statement_and_counts_the_rest() {
        let mut message = Message::default();
        assert_eq!(message.text(), "");
        message.add("DELETE FROM t".into());
        assert_eq!(message.text(), "DELETE FROM t");
        message.add("INSERT INTO t".into());
        message.add("INSERT INTO t".into());
        assert_eq!(message.text(), "DELETE FROM t (and 2 more)");
    }
}

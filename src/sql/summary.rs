//! A statement on one line, for the message of its commit.

use super::{statement::ParsedStatement, token::TokenKind};

/// The maximum length of a summary, in characters.
const LENGTH: usize = 120;

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The statement on one line, without comments and without the contents of its string literals, which may be
    /// confidential.
    pub fn summary(&self) -> String {
        let (mut line, mut length, mut after) = (String::new(), 0, None);
        for token in self.tokens() {
            let spelling = &self.text()[token.start..token.end];
            let shown = if token.kind == TokenKind::Text { "'…'" } else { spelling };
            if after.is_some_and(|end| end < token.start) {
                line.push(' ');
                length += 1;
            }
            line += shown;
            length += shown.chars().count();
            after = Some(token.end);
            if length > LENGTH {
                let end = line.char_indices().nth(LENGTH).map_or(line.len(), |(end, _)| end);
                line.truncate(end);
                line.push('…');
                break;
            }
        }
        line
    }
}

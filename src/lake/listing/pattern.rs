//! The patterns of metadata commands, as in `LIKE`.

use crate::engine::Value;

/// The parameters of a query for a pattern: its text, and the equivalent regular expression.
pub(super) fn parameters(pattern: Option<&str>) -> [Value; 2] {
    pattern.map_or_else(|| [Value::null(), Value::null()], |text| [Value::varchar(text), Value::varchar(&regex(text))])
}

/// Translates a pattern to a regular expression: `%` matches any text, `_` one character, `\` escapes the next one.
fn regex(pattern: &str) -> String {
    // Wildcards match line feeds too.
    let mut regex = "(?s)".to_owned();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '\\' => push_literal(&mut regex, characters.next().unwrap_or('\\')),
            other => push_literal(&mut regex, other),
        }
    }
    regex
}

fn push_literal(regex: &mut String, character: char) {
    // Only ASCII punctuation is special in regular expressions; NUL cannot be escaped.
    if character.is_ascii_punctuation() {
        regex.push('\\');
    }
    regex.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_translated_and_all_else_is_literal() {
        assert_eq!(regex("a%b_c"), "(?s)a.*b.c");
        assert_eq!(regex(r"a\%b\_c\\"), r"(?s)a\%b\_c\\");
        assert_eq!(regex("ä.[x]*"), r"(?s)ä\.\[x\]\*");
        assert_eq!(regex("end\\"), r"(?s)end\\");
    }
}

//! What a request says about the text of its files.

use std::collections::BTreeMap;

use encoding_rs::Encoding;

use super::record::Field;
use crate::error::{Error, Result};

/// The options of the reader; what they leave open is found in the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The delimiter of CSV; if it is absent, each line is one field.
    pub delimiter: Sign,
    /// The quote of CSV.
    pub quote: Sign,
    /// The character that escapes a quote in a quoted field of CSV.
    pub escape: Sign,
    /// Lines of CSV that begin with it are skipped.
    pub comment: Sign,
    /// Whether the first record names the columns of CSV.
    pub header: Option<bool>,
    /// The number of lines before the first record of CSV.
    pub skip: u64,
    /// Whether missing fields at the end of a record of CSV are NULL.
    pub null_padding: bool,
    /// Texts that mean NULL in CSV, besides the empty field.
    pub null_strings: Vec<String>,
    /// The encoding.
    pub encoding: Option<&'static Encoding>,
    /// The types of columns, by name.
    pub types: BTreeMap<String, String>,
    /// Whether all other columns are VARCHAR.
    pub all_text: bool,
    /// Whether records that cannot be read go to a table.
    pub rejects: bool,
}

/// A character of a dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sign {
    /// It is found in the files.
    #[default]
    Unset,
    /// There is none.
    Absent,
    /// This one.
    Is(u8),
}

// === impl Options ===

impl Options {
    /// Checks that the characters of the dialect differ.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn check(&self) -> Result<()> {
        let signs = [self.delimiter, self.quote, self.comment].map(Sign::byte);
        let same = signs.iter().enumerate().any(|(at, sign)| sign.is_some() && signs[..at].contains(sign));
        if same {
            return Err(Error::invalid("\"delimiter\", \"quote\" and \"comment\" must differ"));
        }
        Ok(())
    }

    /// Whether a field is NULL: it is empty without quotes, or one of the texts for it.
    pub(super) fn is_null(&self, field: Field<'_>) -> bool {
        field.text.is_empty() && !field.is_quoted || self.null_strings.iter().any(|text| text == field.text)
    }

    /// Fails if an option of CSV is set.
    pub(super) fn check_json(&self) -> Result<()> {
        let given = [
            ("delimiter", self.delimiter.is_set()),
            ("quote", self.quote.is_set()),
            ("escape", self.escape.is_set()),
            ("comment", self.comment.is_set()),
            ("header", self.header.is_some()),
            ("skip", self.skip > 0),
            ("null_padding", self.null_padding),
            ("null_strings", !self.null_strings.is_empty()),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(Error::invalid(format!("\"{name}\" is for CSV files, and the source has none"))),
            None => Ok(()),
        }
    }

    /// Fails if any option is set: the format has no text.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn check_none(&self) -> Result<()> {
        self.check_json()?;
        let given = self.encoding.is_some() || !self.types.is_empty() || self.all_text || self.rejects;
        if given {
            return Err(Error::invalid(
                "\"encoding\", \"types\", \"all_text\" and \"rejects\" are for CSV and JSON files, and the source has none",
            ));
        }
        Ok(())
    }
}

// === impl Sign ===

impl Sign {
    /// The character, if there is one and it is known.
    pub(super) fn byte(self) -> Option<u8> {
        if let Self::Is(byte) = self { Some(byte) } else { None }
    }

    /// Whether the request says it.
    pub(super) fn is_set(self) -> bool {
        self != Self::Unset
    }

    /// Parses the field `name` of a request: one ASCII character; an empty text means none.
    ///
    /// # Errors
    /// `InvalidArgument` for another text.
    pub fn parse(name: &str, text: Option<&str>) -> Result<Self> {
        match text.map(str::as_bytes) {
            None => Ok(Self::Unset),
            Some([]) => Ok(Self::Absent),
            Some(b"\\t") => Ok(Self::Is(b'\t')),
            Some([byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(Self::Is(*byte)),
            Some(_) => Err(Error::invalid(format!("\"{name}\" must be one ASCII character"))),
        }
    }
}

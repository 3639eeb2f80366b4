//! Faults in the configuration, with their origin and a suggestion for misspelt names.

use std::fmt;

use super::source::Origin;
use crate::error::Error;

/// A fault and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    origin: Origin,
    message: String,
}

/// All faults; never empty. Displayed as a heading and one line per fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// The candidate that is most similar to `word`: it contains the word, is contained in it, or has a small edit distance.
pub(super) fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    let near = candidates.filter_map(|candidate| {
        let name = candidate.to_lowercase();
        let distance = strsim::levenshtein(&word, &name);
        let is_part = word.contains(&name) || (word.len() >= 3 && name.contains(&word));
        // One edit per three letters: "lisen" is similar to "listen", "tls" is not similar to "log".
        let is_typo = 3 * distance <= word.len().max(name.len());
        (is_part || is_typo).then_some((distance, candidate))
    });
    near.min().map(|(_, candidate)| candidate)
}

// === impl Fault ===

impl Fault {
    /// A fault at `origin`.
    pub(super) fn new(origin: Origin, message: impl Into<String>) -> Self {
        Self { origin, message: message.into() }
    }

    /// A fault in the value of `key`. The message contains the key if the origin does not.
    pub(super) fn about(key: &str, origin: Origin, message: impl fmt::Display) -> Self {
        let message = match origin {
            Origin::File { .. } => format!("{key:?}: {message}"),
            Origin::Variable(_) | Origin::Flag(_) => message.to_string(),
        };
        Self { origin, message }
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.message)
    }
}

// === impl Faults ===

impl Faults {
    /// Sorts `faults` by their origins.
    pub(super) fn new(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|left, right| left.origin.cmp(&right.origin));
        Self(faults)
    }

    /// The faults: those of the file by line, then those of variables, then those of flags.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.0.iter()
    }
}

impl<'f> IntoIterator for &'f Faults {
    type Item = &'f Fault;
    type IntoIter = std::slice::Iter<'f, Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "configuration has {} fault{plural}:", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

impl From<Faults> for Error {
    fn from(faults: Faults) -> Self {
        Self::invalid(faults.to_string())
    }
}

//! Static tokens and their hashes.
//!
//! A token is 256 random bits, which nobody finds by trying: one round of SHA-256 is enough to keep it out of the
//! configuration, and cheap enough for every call.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::password::random;

/// What every token starts with, so that people and scanners of leaked secrets know it.
const PREFIX: &str = "mgn_";
/// What every hash starts with.
const ALGORITHM: &str = "sha256:";

/// The hash of a token. Prints as it stands in the configuration; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

/// A token that nobody has yet.
pub fn new_token() -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

// === impl TokenHash ===

impl TokenHash {
    /// Hashes `token`.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Takes `sha256:` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// What was expected instead; never the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parse = || {
            let digits = text.strip_prefix(ALGORITHM).filter(|digits| digits.len() == 64)?;
            // Numbers may have a sign, digits not.
            let digits = Some(digits).filter(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()))?;
            let mut bytes = [0; 32];
            for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
                *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
            }
            Some(Self(bytes))
        };
        parse().ok_or_else(|| {
            format!("expected \"{ALGORITHM}\" and 64 hexadecimal digits as \"merganser new-token\" prints them")
        })
    }
}

impl ConstantTimeEq for TokenHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALGORITHM)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

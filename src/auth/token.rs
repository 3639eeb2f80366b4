//! Static tokens and their hashes.
//!
//! A token has 256 random bits, so a brute-force attack is infeasible: a single SHA-256 protects it in the configuration, and
//! is cheap enough to compute for every call.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::password::random;

/// The prefix of tokens, by which users and secret scanners recognize them.
const PREFIX: &str = "mgn_";
/// The prefix of hashes.
const ALGORITHM: &str = "sha256:";

/// The hash of a token. `Display` prints the form of the configuration; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

/// Generates a token.
pub fn new_token() -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()))
}

// === impl TokenHash ===

impl TokenHash {
    /// Hashes `token`.
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Parses `sha256:` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// A message that describes the expected format and does not contain the input.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parse = || {
            let digits = text.strip_prefix(ALGORITHM).filter(|digits| digits.len() == 64)?;
            // `from_str_radix` accepts signs.
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

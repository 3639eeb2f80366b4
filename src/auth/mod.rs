//! Authentication: users and tokens with their hashes, and the authenticator that checks credentials against them.
//!
//! There is no authorization yet; it will be based on the [`Principal`] that the authenticator returns. Independent of the
//! protocol. Stores no secrets: hashes come from the configuration, and credentials of clients are dropped after the
//! comparison.

mod authenticator;
mod password;
mod throttle;
mod token;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

pub use self::{authenticator::Authenticator, password::PasswordHash, token::TokenHash, token::new_token};
use crate::context::Principal;

/// The configured users and tokens. A user and a token with the same name are the same principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    users: BTreeMap<String, PasswordHash>,
    tokens: BTreeMap<String, TokenHash>,
}

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 128;

// === impl Credentials ===

impl Credentials {
    /// No users and no tokens.
    pub const NONE: Self = Self { users: BTreeMap::new(), tokens: BTreeMap::new() };

    /// Adds the user `name` with a password hash.
    ///
    /// # Errors
    /// A message that describes the fault and does not contain the hash.
    pub fn add_user(&mut self, name: &str, hash: &str) -> Result<(), String> {
        check_name(name)?;
        self.users.insert(name.to_owned(), PasswordHash::parse(hash)?);
        Ok(())
    }

    /// Adds a token of `name` by its hash.
    ///
    /// # Errors
    /// A message that describes the fault and does not contain the hash.
    pub fn add_token(&mut self, name: &str, hash: &str) -> Result<(), String> {
        check_name(name)?;
        let hash = TokenHash::parse(hash)?;
        if let Some((first, _)) = self.tokens.iter().find(|(_, other)| **other == hash) {
            return Err(format!(
                "the token is already used by {first:?}; create another one with \"merganser new-token\""
            ));
        }
        self.tokens.insert(name.to_owned(), hash);
        Ok(())
    }

    /// Whether no credentials are configured, so that all clients are accepted.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    /// The number of users.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// The number of tokens.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// The principal of a token. Compares with every hash in constant time, to prevent timing attacks.
    fn holder(&self, token: &[u8]) -> Option<Principal> {
        if self.tokens.is_empty() {
            return None;
        }
        let presented = TokenHash::of(token);
        let mut found = u64::MAX;
        for (index, hash) in (0..).zip(self.tokens.values()) {
            let same: Choice = hash.ct_eq(&presented);
            found.conditional_assign(&index, same);
        }
        let index = usize::try_from(found).ok()?;
        self.tokens.keys().nth(index).map(|name| Principal::named(name))
    }
}

/// Names are used in `name:password`, in the log and as authors of commits.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(|letter| letter == ':' || letter.is_control())
    {
        return Err(format!("expected a name of 1 to {MAX_NAME_BYTES} bytes without \":\" or control characters"));
    }
    Ok(())
}

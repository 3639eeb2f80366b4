//! Who somebody is: names with the hashes of passwords and tokens, and the door that examines them.
//!
//! What somebody may do is not asked here yet; it will hang on the [`Principal`] that the door gives out. Knows
//! nothing of the protocol, and keeps no secret: hashes come from the configuration, and what a client shows is
//! dropped once it has been compared.

mod doorkeeper;
mod misses;
mod password;
mod token;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

pub use self::{doorkeeper::Doorkeeper, password::PasswordHash, token::TokenHash, token::new_token};
use crate::context::Principal;

/// Who is known, and by what. A user and a token of one name are the same principal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    users: BTreeMap<String, PasswordHash>,
    tokens: BTreeMap<String, TokenHash>,
}

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 128;

// === impl Credentials ===

impl Credentials {
    /// Nobody is known.
    pub const NONE: Self = Self { users: BTreeMap::new(), tokens: BTreeMap::new() };

    /// Adds the user `name` with the hash of their password.
    ///
    /// # Errors
    /// What is wrong with the name or the hash, without its text.
    pub fn add_user(&mut self, name: &str, hash: &str) -> Result<(), String> {
        check_name(name)?;
        self.users.insert(name.to_owned(), PasswordHash::parse(hash)?);
        Ok(())
    }

    /// Adds a token of `name` by its hash.
    ///
    /// # Errors
    /// What is wrong with the name or the hash, without its text.
    pub fn add_token(&mut self, name: &str, hash: &str) -> Result<(), String> {
        check_name(name)?;
        let hash = TokenHash::parse(hash)?;
        if let Some((first, _)) = self.tokens.iter().find(|(_, other)| **other == hash) {
            return Err(format!(
                "the same token as that of {first:?}; make one of its own with \"merganser new-token\""
            ));
        }
        self.tokens.insert(name.to_owned(), hash);
        Ok(())
    }

    /// Whether nobody is known, and therefore everybody is taken.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// How many tokens there are.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Whose token this is. Compares with every hash in constant time, so that the time tells nothing of them.
    fn holder(&self, token: &[u8]) -> Option<Principal> {
        if self.tokens.is_empty() {
            return None;
        }
        let shown = TokenHash::of(token);
        let mut found = u64::MAX;
        for (index, hash) in (0..).zip(self.tokens.values()) {
            let same: Choice = hash.ct_eq(&shown);
            found.conditional_assign(&index, same);
        }
        let index = usize::try_from(found).ok()?;
        self.tokens.keys().nth(index).map(|name| Principal::named(name))
    }
}

/// A name must survive `name:password`, the log and the author of a commit.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(|letter| letter == ':' || letter.is_control())
    {
        return Err(format!("expected a name of 1 to {MAX_NAME_BYTES} bytes without \":\" and control characters"));
    }
    Ok(())
}

//! Password hashes: argon2id in the PHC string format, which other tools read and write too.

use std::fmt;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{self, PasswordHasher, PasswordVerifier, Salt, SaltString},
};
use rand::Rng;

use crate::error::{Error, Result};

/// The maximum memory cost of a hash, in KiB.
const MAX_MEMORY_KIB: u32 = 1 << 20;

/// The hash of a password. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

// === impl PasswordHash ===

impl PasswordHash {
    /// Hashes `password` with its own salt and the default cost (19 MiB, 2 passes).
    ///
    /// # Errors
    /// Internal if argon2 fails.
    pub fn of(password: &[u8]) -> Result<Self> {
        Self::with_params(password, Params::default())
    }

    /// Parses a PHC string such as `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
    ///
    /// # Errors
    /// A message that describes the expected format and does not contain the input.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || "expected an argon2id hash as \"merganser hash-password\" prints it".to_owned();
        let hash = password_hash::PasswordHash::new(text).map_err(|_| expected())?;
        let params = Params::try_from(&hash).map_err(|_| expected())?;
        if hash.algorithm != Algorithm::Argon2id.ident() || hash.salt.is_none() || hash.hash.is_none() {
            return Err(expected());
        }
        if params.m_cost() > MAX_MEMORY_KIB {
            return Err(
                "the hash takes more than 1 GiB of memory at each login: create it with a lower cost".to_owned()
            );
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether `password` is correct. Takes tens of milliseconds of CPU time, and compares in constant time.
    pub fn verify(&self, password: &[u8]) -> bool {
        let hash = password_hash::PasswordHash::new(&self.0);
        hash.is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
    }

    /// The hash of a random password with the same cost.
    ///
    /// # Errors
    /// Internal if argon2 fails.
    pub fn decoy(&self) -> Result<Self> {
        let hash = password_hash::PasswordHash::new(&self.0);
        let params = hash.and_then(|hash| Params::try_from(&hash)).map_err(failed)?;
        Self::with_params(&random::<32>(), params)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn with_params(password: &[u8], params: Params) -> Result<Self> {
        let salt = SaltString::encode_b64(&random::<{ Salt::RECOMMENDED_LENGTH }>()).map_err(failed)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self(argon2.hash_password(password, &salt).map_err(failed)?.to_string()))
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn failed(err: password_hash::Error) -> Error {
    Error::internal(format!("hash a password: {err}"))
}

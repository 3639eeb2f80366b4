//! Tickets: the handles with which clients fetch results, signed for their owner.
//!
//! ```text
//! ticket = execution id (16 bytes) · HMAC-SHA256 over the id and the owner's name (32 bytes)
//! ```
//!
//! The key is generated when the server starts and never leaves it: results are kept in memory, so no ticket outlives a
//! restart.

use hmac::{Hmac, Mac, digest::KeyInit};
use rand::Rng;
use sha2::Sha256;

use crate::{
    context::Principal,
    error::{Error, Result},
    ids::ExecutionId,
};

/// The number of bytes of the id in a ticket.
const ID_BYTES: usize = 16;

/// Creates and verifies tickets.
pub(super) struct Tickets {
    key: [u8; 64],
}

// === impl Tickets ===

impl Tickets {
    pub(super) fn new() -> Self {
        let mut key = [0; 64];
        rand::rng().fill_bytes(&mut key);
        Self { key }
    }

    /// The ticket of `id`, valid for `owner` only.
    pub(super) fn seal(&self, id: ExecutionId, owner: &Principal) -> Vec<u8> {
        let signature = self.mac(id.as_bytes(), owner).finalize().into_bytes();
        [id.as_bytes().as_slice(), &signature].concat()
    }

    /// The id in a ticket that `reader` presents.
    ///
    /// # Errors
    /// `NotFound` for one that is forged, truncated, or another user's.
    pub(super) fn open(&self, ticket: &[u8], reader: &Principal) -> Result<ExecutionId> {
        let unknown = || Error::not_found("the ticket is not from this server, or is another user's");
        let (id, signature) = ticket.split_at_checked(ID_BYTES).ok_or_else(unknown)?;
        // The comparison takes the same time wherever they differ.
        self.mac(id, reader).verify_slice(signature).map_err(|_| unknown())?;
        ExecutionId::from_raw(id).ok_or_else(unknown)
    }

    fn mac(&self, id: &[u8], owner: &Principal) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&self.key.into());
        mac.update(id);
        mac.update(owner.name().as_bytes());
        mac
    }
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_s_whole_ticket_is_good() {
        let (tickets, id) = (Tickets::new(), ExecutionId::new());
        let (ann, bob) = (Principal::named("ann"), Principal::named("bob"));
        let ticket = tickets.seal(id, &ann);
        assert_eq!(tickets.open(&ticket, &ann).ok(), Some(id));
        assert!(tickets.open(&ticket, &bob).is_err());
        assert!(Tickets::new().open(&ticket, &ann).is_err(), "another key");
        for cut in 0..ticket.len() {
            assert!(tickets.open(&ticket[..cut], &ann).is_err(), "{cut} bytes");
            let mut forged = ticket.clone();
            forged[cut] ^= 1;
            assert!(tickets.open(&forged, &ann).is_err(), "byte {cut}");
        }
    }
}

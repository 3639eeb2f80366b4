//! Keeps transactions that were open while snapshots expired from committing.
//!
//! DuckLake numbers a commit after the snapshot that its transaction saw, and takes a higher number only if that one is
//! taken. If the snapshots in between have expired, it is free: the commit would become a snapshot in the past, and its
//! tables would get ids that others have (observed with DuckLake d8a1881e).

use parking_lot::RwLock;

use crate::error::{Error, ErrorKind, Result};

/// How often snapshots have expired. Locked shared during a commit, and exclusively during one that expires snapshots.
#[derive(Debug, Default)]
pub(super) struct Expiry(RwLock<u64>);

// === impl Expiry ===

impl Expiry {
    /// The current number, for a transaction that begins.
    pub(super) fn begin(&self) -> u64 {
        *self.0.read()
    }

    /// Runs the commit of a transaction that began at `began`.
    ///
    /// # Errors
    /// Conflict if snapshots have expired since; errors of `commit`.
    pub(super) fn commit<T>(&self, began: u64, commit: impl FnOnce() -> Result<T>) -> Result<T> {
        let number = self.0.read();
        check(*number, began)?;
        commit()
    }

    /// Runs the commit of a transaction that expires snapshots.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub(super) fn expire<T>(&self, began: u64, commit: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut number = self.0.write();
        check(*number, began)?;
        // A commit that failed may have happened.
        *number += 1;
        commit()
    }
}

fn check(number: u64, began: u64) -> Result<()> {
    if number == began {
        return Ok(());
    }
    let text = "conflict: snapshots have expired since the transaction began: repeat the transaction";
    Err(Error::new(ErrorKind::Conflict, text))
}

//! The connection that a session keeps because its TEMP objects live there.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::{Session, Sessions};
use crate::{
    engine::{Lease, Worker},
    error::{Error, ErrorKind, Result},
};

/// A connection of one session, and its place among the few that may keep one.
#[derive(Debug)]
pub(super) struct Home {
    lease: Lease,
    _place: OwnedSemaphorePermit,
}

// === impl Home ===

impl Home {
    /// A home on the connection of `lease`.
    pub(super) fn new(mut lease: Lease, place: OwnedSemaphorePermit) -> Self {
        // The objects end with the session.
        lease.retire();
        Self { lease, _place: place }
    }

    pub(super) fn worker(&self) -> &Worker {
        self.lease.worker()
    }
}

impl Sessions {
    /// Gives a session that is about to make TEMP objects a connection to keep.
    ///
    /// # Errors
    /// As [`place_for`](Self::place_for) and [`lease_for`](Self::lease_for).
    pub(super) async fn move_in(&self, session: &Session) -> Result<Worker> {
        let home = Home::new(self.lease_for(session).await?, self.place_for(session)?);
        let worker = home.worker().clone();
        *session.home.lock() = Some(home);
        Ok(worker)
    }

    /// A place for a session that is about to make TEMP objects.
    ///
    /// # Errors
    /// `FailedPrecondition` for a shared session; `ResourceExhausted` when too many sessions keep a connection.
    pub(super) fn place_for(&self, session: &Session) -> Result<OwnedSemaphorePermit> {
        if !session.is_own() {
            return Err(Error::precondition(
                "TEMP objects need a session: log in first (any user name will do), or make them in a transaction",
            ));
        }
        Arc::clone(&self.homes).try_acquire_owned().map_err(|_| {
            let text = "too many sessions have TEMP objects: drop some with their sessions, or raise max_connections";
            Error::new(ErrorKind::ResourceExhausted, text)
        })
    }
}

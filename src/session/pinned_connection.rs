//! The connection that a session keeps because it has TEMP objects or variables.

use tokio::sync::OwnedSemaphorePermit;

use crate::engine::{Lease, Worker};

/// A connection of one session, with one of the limited permits to keep one.
#[derive(Debug)]
pub struct PinnedConnection {
    lease: Lease,
    _permit: OwnedSemaphorePermit,
}

// === impl PinnedConnection ===

impl PinnedConnection {
    /// Keeps the connection of `lease`.
    pub fn new(mut lease: Lease, permit: OwnedSemaphorePermit) -> Self {
        // Its objects end with the session.
        lease.retire();
        Self { lease, _permit: permit }
    }

    /// The worker of the connection.
    pub fn worker(&self) -> &Worker {
        self.lease.worker()
    }
}

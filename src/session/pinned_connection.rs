//! The connection that a session keeps because its TEMP objects or variables live there.

use tokio::sync::OwnedSemaphorePermit;

use crate::engine::{Lease, Worker};

/// A connection of one session, and its permit among the few that may be kept.
#[derive(Debug)]
pub struct PinnedConnection {
    lease: Lease,
    _permit: OwnedSemaphorePermit,
}

// === impl PinnedConnection ===

impl PinnedConnection {
    /// Keeps the connection of `lease`.
    pub fn new(mut lease: Lease, permit: OwnedSemaphorePermit) -> Self {
        // What lives there ends with the session.
        lease.retire();
        Self { lease, _permit: permit }
    }

    /// The worker of the connection.
    pub fn worker(&self) -> &Worker {
        self.lease.worker()
    }
}

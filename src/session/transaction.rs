//! An open transaction: a connection that is its own from the first statement to the end.
//!
//! Clients with autocommit off open a transaction as soon as they connect and after every commit, so an open one that
//! has not done anything must hold nothing: neither a connection nor a snapshot.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Sessions, hazards::Hazards};
use crate::{
    context::Principal,
    engine::{Lease, Worker},
    error::Result,
    ids::{ConnectionId, SnapshotId},
    lake::snapshots,
};

/// One transaction. Dropping it rolls it back.
#[derive(Debug)]
pub struct Transaction {
    /// Present from the first statement on.
    lease: tokio::sync::Mutex<Option<Lease>>,
    /// What its statements must not do any more.
    hazards: Arc<Mutex<Hazards>>,
    /// The network connection that it ends with.
    opened_on: Option<ConnectionId>,
    last_used: Mutex<Instant>,
}

// === impl Transaction ===

impl Transaction {
    pub(super) fn new(opened_on: Option<ConnectionId>) -> Self {
        Self {
            lease: tokio::sync::Mutex::new(None),
            hazards: Arc::default(),
            opened_on,
            last_used: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn hazards(&self) -> Arc<Mutex<Hazards>> {
        Arc::clone(&self.hazards)
    }

    pub(super) fn was_opened_on(&self, connection: ConnectionId) -> bool {
        self.opened_on == Some(connection)
    }

    pub(super) fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    pub(super) fn is_idle(&self, limit: Duration) -> bool {
        self.last_used.lock().elapsed() > limit
    }

    /// The worker of this transaction, with the transaction begun.
    ///
    /// # Errors
    /// `ResourceExhausted` when no connection came free.
    pub(super) async fn worker(&self, sessions: &Sessions) -> Result<Worker> {
        self.touch();
        let mut slot = self.lease.lock().await;
        if let Some(lease) = slot.as_ref() {
            return Ok(lease.worker().clone());
        }
        let mut lease = sessions.lease().await?;
        // TEMP objects of the transaction must not meet another session.
        lease.retire();
        lease.worker().run(|connection| connection.execute("BEGIN TRANSACTION", &[])).await?;
        let worker = lease.worker().clone();
        *slot = Some(lease);
        Ok(worker)
    }

    /// Commits in the name of `principal`; says which snapshot that made.
    ///
    /// # Errors
    /// Conflict when another transaction was first; what else DuckDB says. Nothing is committed then.
    pub(super) async fn commit(&self, principal: &Principal) -> Result<Option<SnapshotId>> {
        let Some(lease) = self.lease.lock().await.take() else { return Ok(None) };
        let author = principal.name().to_owned();
        let work = move |connection: &_| {
            snapshots::sign(connection, &author, "")?;
            snapshots::commit(connection)
        };
        lease.worker().run(work).await
    }

    pub(super) async fn rollback(&self) -> Result<()> {
        let Some(lease) = self.lease.lock().await.take() else { return Ok(()) };
        lease.worker().run(|connection| connection.execute("ROLLBACK", &[]).map(|_| ())).await
    }
}

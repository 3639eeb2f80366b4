//! An open transaction: a connection that is its own from the first statement to the end.
//!
//! Clients with autocommit off open a transaction as soon as they connect and after every commit, so an open one that
//! has not done anything must hold nothing: neither a connection nor a snapshot.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Session, Sessions, hazards::Hazards, home::Home};
use crate::{
    context::Principal,
    engine::{Connection, Lease, Worker},
    error::Result,
    ids::{ConnectionId, SnapshotId},
    lake::snapshots,
};

/// One transaction. Dropping it rolls it back.
#[derive(Debug)]
pub struct Transaction {
    /// Present from the first statement on.
    seat: tokio::sync::Mutex<Option<Seat>>,
    /// What its statements must not do any more.
    hazards: Arc<Mutex<Hazards>>,
    /// The network connection that it ends with.
    opened_on: Option<ConnectionId>,
    last_used: Mutex<Instant>,
}

/// Where a transaction runs.
#[derive(Debug)]
enum Seat {
    /// On a connection that it borrowed.
    Leased(Lease),
    /// On the connection that its session keeps.
    Home(Worker),
}

// === impl Transaction ===

impl Transaction {
    pub(super) fn new(opened_on: Option<ConnectionId>) -> Self {
        Self {
            seat: tokio::sync::Mutex::new(None),
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

    /// The worker that it holds, if it has begun.
    pub(super) fn leased(&self) -> Option<Worker> {
        let seat = self.seat.try_lock().ok()?;
        seat.as_ref().map(|seat| seat.worker().clone())
    }

    /// The worker of this transaction, with the transaction begun.
    ///
    /// # Errors
    /// `ResourceExhausted` when no connection came free.
    pub(super) async fn worker(&self, sessions: &Sessions, session: &Session) -> Result<Worker> {
        self.touch();
        let mut slot = self.seat.lock().await;
        if let Some(seat) = slot.as_ref() {
            return Ok(seat.worker().clone());
        }
        let home = session.home.lock().as_ref().map(|home| Seat::Home(home.worker().clone()));
        let seat = if let Some(home) = home {
            home
        } else {
            let mut lease = sessions.lease_for(session).await?;
            // TEMP objects of the transaction must not meet another session.
            lease.retire();
            Seat::Leased(lease)
        };
        seat.worker().run(|connection| connection.execute("BEGIN TRANSACTION", &[])).await?;
        let worker = seat.worker().clone();
        *slot = Some(seat);
        Ok(worker)
    }

    /// Commits in the name of `principal`, with `message` or what its statements did; says which snapshot that made, and
    /// gives the connection that has TEMP objects of a session of its own now.
    ///
    /// # Errors
    /// As [`snapshots::commit`].
    pub(super) async fn commit(
        &self,
        principal: &Principal,
        message: Option<String>,
    ) -> Result<(Option<SnapshotId>, Option<Home>)> {
        let Some(seat) = self.seat.lock().await.take() else { return Ok((None, None)) };
        let author = principal.name().to_owned();
        let message = message.unwrap_or_else(|| self.hazards.lock().message());
        let made = match seat.worker().run(move |connection| snapshots::commit(connection, &author, &message)).await {
            Ok(made) => made,
            Err(err) => {
                seat.roll_back();
                return Err(err);
            }
        };
        let place = std::mem::take(&mut *self.hazards.lock()).take_place();
        let home = match (seat, place) {
            (Seat::Leased(lease), Some(place)) => Some(Home::new(lease, place)),
            (Seat::Leased(_) | Seat::Home(_), _) => None,
        };
        Ok((made, home))
    }

    pub(super) async fn rollback(&self) -> Result<()> {
        let Some(seat) = self.seat.lock().await.take() else { return Ok(()) };
        *self.hazards.lock() = Hazards::default();
        seat.worker().run(|connection| connection.execute("ROLLBACK", &[]).map(|_| ())).await
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.get_mut().take() {
            seat.roll_back();
        }
    }
}

// === impl Seat ===

impl Seat {
    fn worker(&self) -> &Worker {
        match self {
            Self::Leased(lease) => lease.worker(),
            Self::Home(worker) => worker,
        }
    }

    /// Rolls back without waiting for it.
    fn roll_back(self) {
        match self {
            // The end of the lease does it.
            Self::Leased(_) => {}
            Self::Home(worker) => worker.spawn(Connection::rollback).detach(),
        }
    }
}

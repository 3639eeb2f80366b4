//! An open transaction, which has its own connection from its first statement to its end.
//!
//! ```text
//!          first statement                        COMMIT, ROLLBACK, idle, disconnected
//! Idle ───────────────────▶ Begun { binding, open } ────────────────────────────────▶ Idle
//! ```
//!
//! Clients without autocommit open a transaction as soon as they connect and after every commit, so one that has not
//! done anything must hold nothing: neither a connection nor a snapshot.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use super::pinned_connection::PinnedConnection;
use crate::{
    context::Principal,
    engine::{Connection, Lease, Worker},
    error::{Error, Result},
    ids::{ConnectionId, SnapshotId},
    lake::commit::{Committer, OpenTransaction},
    sql::ParsedStatement,
};

/// One transaction. Dropping it rolls it back.
#[derive(Debug)]
pub struct Transaction {
    state: tokio::sync::Mutex<State>,
    /// The worker's state of it, while it is begun.
    open: Arc<Mutex<Option<Open>>>,
    /// The network connection that it ends with.
    opened_on: Option<ConnectionId>,
    last_used: Mutex<Instant>,
}

#[derive(Debug)]
enum State {
    /// Nothing was done in it.
    Idle,
    /// It runs on a connection.
    Begun {
        binding: Binding,
        committer: Arc<Committer>,
        /// For keeping the connection after the commit, because it has TEMP objects then.
        permit: Option<OwnedSemaphorePermit>,
    },
}

/// The connection that work of a session is bound to.
#[derive(Debug)]
pub(super) enum Binding {
    /// A leased one.
    Leased(Lease),
    /// The one that its session keeps.
    Pinned(Worker),
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its changes are kept.
    Commit,
    /// Its changes are discarded.
    Rollback,
}

/// The state of a begun transaction that its statements need.
#[derive(Debug)]
pub struct Open {
    /// Its state in the lake.
    pub transaction: OpenTransaction,
    /// The statements that have run in it and changed the catalog.
    pub definitions: Vec<ParsedStatement>,
}

// === impl Transaction ===

impl Transaction {
    pub(super) fn new(opened_on: Option<ConnectionId>) -> Self {
        Self {
            state: tokio::sync::Mutex::new(State::Idle),
            open: Arc::default(),
            opened_on,
            last_used: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn was_opened_on(&self, connection: ConnectionId) -> bool {
        self.opened_on == Some(connection)
    }

    /// Records that it is in use.
    pub fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    pub(super) fn is_idle(&self, limit: Duration) -> bool {
        self.last_used.lock().elapsed() > limit
    }

    /// Whether a statement has run in it.
    pub fn is_begun(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| matches!(*state, State::Begun { .. }))
    }

    /// The worker that it holds, if it has begun.
    pub(super) fn worker_if_begun(&self) -> Option<Worker> {
        match &*self.state.try_lock().ok()? {
            State::Begun { binding, .. } => Some(binding.worker().clone()),
            State::Idle => None,
        }
    }

    /// The state that its statements need; empty until it has begun.
    pub fn open(&self) -> Arc<Mutex<Option<Open>>> {
        Arc::clone(&self.open)
    }

    /// The worker of this transaction, with the transaction begun; `bind` finds its connection.
    ///
    /// # Errors
    /// Errors of `bind`.
    pub(super) async fn begun_on(
        &self,
        bind: impl Future<Output = Result<Binding>>,
        committer: &Arc<Committer>,
    ) -> Result<Worker> {
        self.touch();
        let mut state = self.state.lock().await;
        if let State::Begun { binding, .. } = &*state {
            return Ok(binding.worker().clone());
        }
        let binding = bind.await?;
        let worker = binding.worker().clone();
        let beginning = Arc::clone(committer);
        let begin = move |connection: &Connection| OpenTransaction::begin(&beginning, connection);
        let transaction = worker.run(begin).await?;
        *self.open.lock() = Some(Open { transaction, definitions: Vec::new() });
        *state = State::Begun { binding, committer: Arc::clone(committer), permit: None };
        Ok(worker)
    }

    /// Lets the session keep the connection after the commit.
    pub async fn keep_connection(&self, new: OwnedSemaphorePermit) {
        if let State::Begun { permit, .. } = &mut *self.state.lock().await {
            *permit = Some(new);
        }
    }

    /// Commits in the name of `principal`, with `message` or a summary of its statements. Returns the snapshot that was
    /// created, and the connection that the session is to keep.
    ///
    /// # Errors
    /// As [`OpenTransaction::commit`]; the transaction is over then too.
    pub(super) async fn commit(
        &self,
        principal: &Principal,
        message: Option<String>,
    ) -> Result<(Option<SnapshotId>, Option<PinnedConnection>)> {
        let state = std::mem::replace(&mut *self.state.lock().await, State::Idle);
        let State::Begun { binding, committer, permit } = state else { return Ok((None, None)) };
        let (author, open) = (principal.name().to_owned(), self.open());
        let work = move |connection: &Connection| {
            let open = open.lock().take();
            let mut transaction = open.ok_or_else(|| Error::internal("the transaction has not begun"))?.transaction;
            if let Some(message) = message {
                transaction.sign(message, None);
            }
            transaction.commit(&committer, connection, &author)
        };
        let made = match binding.worker().run(work).await {
            Ok(made) => made,
            Err(err) => {
                binding.roll_back();
                return Err(err);
            }
        };
        Ok((made, binding.pinned(permit)))
    }

    /// Rolls back; returns the connection that the session is to keep: variables are not rolled back.
    pub(super) async fn rollback(&self) -> Result<Option<PinnedConnection>> {
        let state = std::mem::replace(&mut *self.state.lock().await, State::Idle);
        let State::Begun { binding, permit, .. } = state else { return Ok(None) };
        let open = self.open();
        let work = move |connection: &Connection| {
            connection.rollback();
            // Releases the writer lock.
            open.lock().take();
            Ok(())
        };
        binding.worker().run(work).await?;
        Ok(binding.pinned(permit))
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let State::Begun { binding, .. } = std::mem::replace(self.state.get_mut(), State::Idle) {
            let open = self.open();
            let work = move |connection: &Connection| {
                connection.rollback();
                open.lock().take();
            };
            binding.worker().spawn(work).detach();
            binding.roll_back();
        }
    }
}

// === impl Binding ===

impl Binding {
    fn worker(&self) -> &Worker {
        match self {
            Self::Leased(lease) => lease.worker(),
            Self::Pinned(worker) => worker,
        }
    }

    /// The connection for the session to keep, if there is a permit for it.
    fn pinned(self, permit: Option<OwnedSemaphorePermit>) -> Option<PinnedConnection> {
        match (self, permit) {
            (Self::Leased(lease), Some(permit)) => Some(PinnedConnection::new(lease, permit)),
            (Self::Leased(_) | Self::Pinned(_), _) => None,
        }
    }

    /// Rolls back without waiting for it.
    fn roll_back(self) {
        match self {
            // This happens at the end of the lease.
            Self::Leased(_) => {}
            Self::Pinned(worker) => worker.spawn(Connection::rollback).detach(),
        }
    }
}

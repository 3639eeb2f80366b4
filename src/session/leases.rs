//! The connections that statements of sessions lease.

use std::{fmt, sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    pinned_connection::PinnedConnection,
    state::Session,
    transaction::{Binding, Transaction},
};
use crate::{
    engine::{Lease, Worker},
    error::{Context, Error, ErrorKind, Result},
    lake::{Lake, pins::Pins},
};

/// How often a statement that waits for a connection asks for one to be released.
const MAKE_WAY_INTERVAL: Duration = Duration::from_millis(20);

/// Drops a result that is not being fetched, to release its connection.
type MakeWay = dyn Fn() + Send + Sync;

/// Leases connections that are set up with the options of their session.
pub struct Leases {
    lake: Lake,
    pins: Arc<Pins>,
    /// The number of further sessions that may keep a connection.
    pinned: Arc<Semaphore>,
    make_way: Box<MakeWay>,
}

// === impl Leases ===

impl Leases {
    /// Leases connections to the current `lake` and to its pins. While all are in use, `make_way` is called repeatedly.
    pub fn new(lake: Lake, pins: Arc<Pins>, make_way: impl Fn() + Send + Sync + 'static) -> Self {
        // The other half is for sessions without one.
        let pinned = Arc::new(Semaphore::new(lake.engine().max_connections() / 2));
        Self { lake, pins, pinned, make_way: Box::new(make_way) }
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The pinned snapshots of the lake.
    pub fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    /// Leases a connection that is set up with the options of `session`.
    ///
    /// # Errors
    /// As [`lease`](Self::lease); errors of DuckDB about a schema that was dropped meanwhile.
    pub async fn lease_for(&self, session: &Session) -> Result<Lease> {
        let mut lease = self.lease(session).await?;
        let script = session.options().script();
        if let Some(script) = script {
            // The next session needs other settings.
            lease.retire();
            let set_up = lease.worker().run(move |connection| connection.run_script(&script)).await;
            set_up.context(|| "set up the session's options")?;
        }
        Ok(lease)
    }

    /// Leases a connection for the user of `session`.
    ///
    /// # Errors
    /// `ResourceExhausted` if none became free in time.
    pub async fn lease(&self, session: &Session) -> Result<Lease> {
        let engine = session.engine(&self.lake, &self.pins).await?;
        let mut waiting = Box::pin(engine.lease_for(session.principal()));
        loop {
            tokio::select! {
                biased;
                lease = &mut waiting => return lease,
                () = tokio::time::sleep(MAKE_WAY_INTERVAL) => (self.make_way)(),
            }
        }
    }

    /// The worker of a transaction of `session`, with the transaction begun.
    ///
    /// # Errors
    /// As [`lease_for`](Self::lease_for).
    pub async fn begun(&self, session: &Session, transaction: &Transaction) -> Result<Worker> {
        let bind = async {
            if let Some(worker) = session.pinned_worker() {
                return Ok(Binding::Pinned(worker));
            }
            let mut lease = self.lease_for(session).await?;
            // TEMP objects of the transaction must not be visible in another session.
            lease.retire();
            Ok(Binding::Leased(lease))
        };
        transaction.begun_on(bind, self.lake.committer()).await
    }

    /// Assigns a connection to a session, which keeps it.
    ///
    /// # Errors
    /// As [`permit`](Self::permit) and [`lease_for`](Self::lease_for).
    pub async fn pin(&self, session: &Session) -> Result<Worker> {
        let pinned = PinnedConnection::new(self.lease_for(session).await?, self.permit(session)?);
        let worker = pinned.worker().clone();
        session.pin_connection(pinned);
        Ok(worker)
    }

    /// The permit for a session that is about to create objects on a connection.
    ///
    /// # Errors
    /// `FailedPrecondition` for a shared session; `ResourceExhausted` if too many sessions keep a connection.
    pub fn permit(&self, session: &Session) -> Result<OwnedSemaphorePermit> {
        if !session.is_own() {
            return Err(Error::precondition(
                "TEMP objects and variables need a session: log in first (any user name will do), or make TEMP objects \
                 in a transaction",
            ));
        }
        Arc::clone(&self.pinned).try_acquire_owned().map_err(|_| {
            let text = "too many sessions have TEMP objects or variables: end some of them, or raise max_connections";
            Error::new(ErrorKind::ResourceExhausted, text)
        })
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("lake", &self.lake).finish_non_exhaustive()
    }
}

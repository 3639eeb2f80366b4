//! The connections that statements of sessions borrow.

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

/// How often a statement that waits for a connection asks others to make way.
const MAKE_WAY_INTERVAL: Duration = Duration::from_millis(20);

/// Asks a result that nobody fetches to give up its connection.
type MakeWay = dyn Fn() + Send + Sync;

/// Where connections come from, set up as their session wants them.
pub struct Leases {
    lake: Lake,
    pins: Arc<Pins>,
    /// How many more sessions may keep a connection.
    pinned: Arc<Semaphore>,
    make_way: Box<MakeWay>,
}

// === impl Leases ===

impl Leases {
    /// Connections to `lake`, as it is and as it was. Where all are taken, `make_way` is called now and then.
    pub fn new(lake: Lake, pins: Arc<Pins>, make_way: impl Fn() + Send + Sync + 'static) -> Self {
        // The other half is for sessions that keep none.
        let pinned = Arc::new(Semaphore::new(lake.engine().max_connections() / 2));
        Self { lake, pins, pinned, make_way: Box::new(make_way) }
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The lake as it was.
    pub fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    /// Borrows a connection that is set up as `session` wants it.
    ///
    /// # Errors
    /// As [`lease`](Self::lease); what DuckDB says of a schema that was dropped meanwhile.
    pub async fn lease_for(&self, session: &Session) -> Result<Lease> {
        let mut lease = self.lease(session).await?;
        let script = session.options().script();
        if let Some(script) = script {
            // The next session wants other settings.
            lease.retire();
            let set_up = lease.worker().run(move |connection| connection.run_script(&script)).await;
            set_up.context(|| "set up the session's options")?;
        }
        Ok(lease)
    }

    /// Borrows a connection for the user of `session`.
    ///
    /// # Errors
    /// `ResourceExhausted` when none came free in time.
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
            // TEMP objects of the transaction must not meet another session.
            lease.retire();
            Ok(Binding::Leased(lease))
        };
        transaction.begun_on(bind, self.lake.committer()).await
    }

    /// Gives a session a connection to keep.
    ///
    /// # Errors
    /// As [`permit`](Self::permit) and [`lease_for`](Self::lease_for).
    pub async fn pin(&self, session: &Session) -> Result<Worker> {
        let pinned = PinnedConnection::new(self.lease_for(session).await?, self.permit(session)?);
        let worker = pinned.worker().clone();
        session.pin_connection(pinned);
        Ok(worker)
    }

    /// The permit of a session that is about to make what lives on a connection.
    ///
    /// # Errors
    /// `FailedPrecondition` for a shared session; `ResourceExhausted` when too many sessions keep a connection.
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

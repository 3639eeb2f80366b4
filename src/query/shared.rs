//! The state that all executions share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

use super::{execution::Executions, guard::Guard, procedure::Procedures, small_tables::SmallTables, ticket::Tickets};
use crate::{
    engine::{Connection, Worker},
    error::Result,
    ids::SnapshotId,
    lake::{commit::Committer, snapshots},
    session::{Leases, Open, Session, Transaction},
    sql::ParsedStatement,
    write::{Feeds, Groups},
};

/// How long results are kept, and the maximum duration of statements.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a result is kept without being fetched.
    pub result_ttl: Duration,
    /// The maximum duration of a statement, from its call to the last row fetched; `None` for no limit.
    pub query_timeout: Option<Duration>,
}

/// The state that all executions share.
#[derive(Debug)]
pub(super) struct Shared {
    pub settings: Settings,
    pub leases: Arc<Leases>,
    pub executions: Arc<Executions>,
    pub tickets: Tickets,
    pub procedures: Procedures,
    pub guard: Arc<Guard>,
    pub groups: Arc<Groups>,
    pub feeds: Arc<Feeds>,
    pub small_tables: SmallTables,
    /// The newest snapshot that a statement saw or created; negative before the first.
    pub newest: AtomicI64,
}

/// Prepares for inspecting a statement in the transaction in which it will run: one that will write acquires the writer
/// lock before the first read.
pub(super) struct Entry {
    committer: Arc<Committer>,
    /// The transaction, if there is one and the statement writes.
    open: Option<Arc<Mutex<Option<Open>>>>,
}

// === impl Entry ===

impl Entry {
    pub fn new(shared: &Shared, transaction: Option<&Transaction>, statement: &ParsedStatement) -> Self {
        let open = transaction.filter(|_| statement.writes()).map(Transaction::open);
        Self { committer: Arc::clone(shared.leases.lake().committer()), open }
    }

    pub fn enter(&self, connection: &Connection) -> Result<()> {
        let Some(open) = &self.open else { return Ok(()) };
        match open.lock().as_mut() {
            Some(open) => open.transaction.will_write(&self.committer, connection),
            None => Ok(()),
        }
    }
}

// === impl Shared ===

impl Shared {
    /// The newest snapshot that a statement of this server saw or created.
    pub fn newest_seen(&self) -> Option<SnapshotId> {
        let newest = self.newest.load(Ordering::Relaxed);
        (newest >= 0).then_some(SnapshotId(newest))
    }

    pub fn saw_snapshot(&self, id: SnapshotId) {
        self.newest.fetch_max(id.0, Ordering::Relaxed);
    }

    /// The newest snapshot that `session` can see.
    pub async fn newest(&self, session: &Session) -> Result<SnapshotId> {
        self.leases.lease(session).await?.worker().run(snapshots::current).await
    }

    /// Runs `work` on the pinned connection of the session, or else on a leased one.
    pub async fn run<T: Send + 'static>(
        &self,
        session: &Session,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match session.pinned_worker() {
            Some(worker) => worker.run(work).await,
            None => self.leases.lease_for(session).await?.worker().run(work).await,
        }
    }

    /// The worker that sees what `session` has created, if there is only one.
    pub fn only_worker(session: &Session) -> Option<Worker> {
        match session.workers().as_slice() {
            [worker] => Some(worker.clone()),
            _ => None,
        }
    }
}

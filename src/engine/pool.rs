//! A bounded pool of workers, one connection each.
//!
//! Statements outside a transaction lease a worker while they run; a transaction keeps one until it ends.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{
    duckdb::Database,
    fair_queue::{FairQueue, Permit},
    worker::Worker,
};
use crate::{
    context::Principal,
    error::{Error, ErrorKind, Result},
};

/// How long a statement waits for a connection before it is rejected.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

/// The connections of one instance.
#[derive(Debug)]
pub struct Pool {
    database: Arc<Database>,
    /// SQL that every new connection runs first.
    on_connect: String,
    queue: Arc<FairQueue>,
    max_connections: usize,
    idle: Mutex<Vec<Worker>>,
}

/// A leased worker. When the lease ends, its open transaction is rolled back and the worker returns to the pool.
#[derive(Debug)]
pub struct Lease {
    worker: Worker,
    pool: Arc<Pool>,
    permit: Option<Permit>,
    /// The connection may have TEMP objects: it is closed instead of returned.
    retired: bool,
}

// === impl Pool ===

impl Pool {
    /// A pool of at most `max_connections` connections to `database`, each prepared with `on_connect`.
    pub fn new(database: Arc<Database>, on_connect: String, max_connections: usize) -> Arc<Self> {
        let queue = FairQueue::new(max_connections);
        Arc::new(Self { database, on_connect, queue, max_connections, idle: Mutex::default() })
    }

    /// Leases a worker for `user`; waits in the queue while all are in use.
    ///
    /// # Errors
    /// `ResourceExhausted` if none became free in time; errors of DuckDB when a connection is opened.
    pub async fn lease(self: &Arc<Self>, user: &Principal) -> Result<Lease> {
        let permit = tokio::time::timeout(QUEUE_TIMEOUT, self.queue.take(user)).await;
        let Ok(Some(permit)) = permit else {
            let limit = self.max_connections;
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!("all {limit} connections are busy; fetch or close open results, or raise max_connections"),
            ));
        };
        let idle = self.idle.lock().pop();
        let worker = match idle {
            Some(worker) => worker,
            None => self.connect().await?,
        };
        Ok(Lease { worker, pool: Arc::clone(self), permit: Some(permit), retired: false })
    }

    /// A worker outside of the pool, with its own connection, which is not counted.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub async fn connect(&self) -> Result<Worker> {
        let worker = Worker::start(self.database.connect()?)?;
        let on_connect = self.on_connect.clone();
        worker.run(move |connection| connection.run_script(&on_connect)).await?;
        Ok(worker)
    }

    /// The maximum number of connections.
    pub fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// The number of leased connections.
    pub fn in_use(&self) -> usize {
        self.max_connections.saturating_sub(self.queue.free())
    }

    /// Resolves when the instance has closed, after the last owner of this pool was dropped.
    pub fn closed(&self) -> impl Future<Output = ()> + use<> {
        self.database.closed()
    }

    /// Waits until every lease has ended, or for `grace`; no connection can be leased afterwards.
    pub async fn close(&self, grace: Duration) {
        let server = Principal::server();
        let all = futures::future::join_all((0..self.max_connections).map(|_| self.queue.take(&server)));
        let _ = tokio::time::timeout(grace, all).await;
        self.queue.close();
        self.idle.lock().clear();
    }
}

// === impl Lease ===

impl Lease {
    /// The worker, for queueing tasks.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// Closes the connection at the end of the lease, because it may have TEMP objects.
    pub fn retire(&mut self) {
        self.retired = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (worker, pool, permit, retired) =
            (self.worker.clone(), Arc::clone(&self.pool), self.permit.take(), self.retired);
        let clean_up = self.worker.spawn(move |connection| {
            connection.rollback();
            if !retired && !connection.is_open() && !pool.queue.is_closed() {
                pool.idle.lock().push(worker);
            }
            drop(permit);
        });
        clean_up.detach();
    }
}

//! Running actions: progress, cancellation, outcome. Knows no domain.
//!
//! ```text
//! Running ─▶ Succeeded(result) | Failed(error) | Cancelled
//! ```
//!
//! A job goes on when nobody follows it any more. Who follows gets the latest status, not each one in between, so a
//! slow follower costs nothing.

mod progress;

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use prost_types::Any;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::progress::Progress;
use crate::{
    context::Principal,
    error::{Error, ErrorKind, Result},
    ids::JobId,
};

/// How many jobs without a key are remembered, and how many with one; the oldest that ended is forgotten for a new one.
const REMEMBERED: usize = 1_000;
const REMEMBERED_KEYS: usize = 10_000;

/// All jobs of this server.
#[derive(Debug, Default)]
pub struct Jobs {
    all: Mutex<BTreeMap<JobId, Arc<Job>>>,
    by_key: Mutex<HashMap<IdempotencyKey, JobId>>,
    tasks: TaskTracker,
}

/// What makes a repeated call the same call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct IdempotencyKey {
    action: &'static str,
    author: Principal,
    key: String,
}

/// One job.
#[derive(Debug)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The action that it runs.
    pub action: &'static str,
    /// Who asked for it.
    pub author: Principal,
    /// When it started.
    pub started: DateTime<Utc>,
    status: watch::Sender<Status>,
    cancel: CancellationToken,
    key: Option<IdempotencyKey>,
}

/// How a job stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it is in its life.
    pub state: State,
    /// What is being done.
    pub phase: String,
    /// How much of the phase is done.
    pub done: u64,
    /// How much there is to do, where that is known.
    pub total: Option<u64>,
    /// What `done` and `total` count.
    pub unit: &'static str,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
}

/// Where a job is in its life.
#[derive(Clone, Debug)]
pub enum State {
    /// It works.
    Running,
    /// It is done; the message is its result.
    Succeeded(Any),
    /// It failed, in this way and for this reason.
    Failed(ErrorKind, String),
    /// It was stopped.
    Cancelled,
}

impl Default for Status {
    fn default() -> Self {
        Self { state: State::Running, phase: "start".into(), done: 0, total: None, unit: "", ended: None }
    }
}

// === impl Jobs ===

impl Jobs {
    /// Starts `work` as a job; with the key of an earlier job of the same author and action, gives that one instead.
    ///
    /// # Errors
    /// Unavailable when the server is stopping.
    pub fn start<F>(
        &self,
        action: &'static str,
        author: &Principal,
        key: Option<String>,
        work: impl FnOnce(Progress) -> F,
    ) -> Result<Arc<Job>>
    where
        F: Future<Output = Result<Any>> + Send + 'static,
    {
        if self.tasks.is_closed() {
            return Err(Error::new(ErrorKind::Unavailable, "the server is stopping; try again in a moment"));
        }
        let key = key.map(|key| IdempotencyKey { action, author: author.clone(), key });
        let mut by_key = self.by_key.lock();
        let first = key.as_ref().and_then(|key| by_key.get(key)).and_then(|id| self.all.lock().get(id).cloned());
        if let Some(first) = first {
            return Ok(first);
        }
        let job = Arc::new(Job::new(action, author.clone(), key.clone()));
        if let Some(forgotten) = self.remember(&job).and_then(|forgotten| forgotten.key.clone()) {
            by_key.remove(&forgotten);
        }
        if let Some(key) = key {
            by_key.insert(key, job.id);
        }
        let progress = Progress::new(job.status.clone(), job.cancel.clone());
        self.tasks.spawn(Arc::clone(&job).run(work(progress)));
        Ok(job)
    }

    /// Adds `job`, and gives the one that was forgotten for it.
    fn remember(&self, job: &Arc<Job>) -> Option<Arc<Job>> {
        let mut all = self.all.lock();
        let alike = |other: &&Arc<Job>| other.key.is_some() == job.key.is_some();
        let limit = if job.key.is_some() { REMEMBERED_KEYS } else { REMEMBERED };
        let full = all.values().filter(alike).count() >= limit;
        // Ids grow with time, so the first that ended is the oldest.
        let oldest = all.values().filter(alike).find(|other| full && other.has_ended()).map(|other| other.id);
        let forgotten = oldest.and_then(|id| all.remove(&id));
        all.insert(job.id, Arc::clone(job));
        forgotten
    }

    /// All jobs that are remembered, the newest first.
    pub fn list(&self) -> Vec<Arc<Job>> {
        self.all.lock().values().rev().cloned().collect()
    }

    /// The job that `id` names.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, id: &str) -> Result<Arc<Job>> {
        let found = JobId::from_bytes(id.as_bytes()).and_then(|id| self.all.lock().get(&id).cloned());
        found.ok_or_else(|| Error::not_found(format!("no job \"{id}\"; the jobs action lists those there are")))
    }

    /// Takes no new jobs, lets those that run finish within `grace`, cancels the rest and gives them the time `undo` to
    /// undo what they had not committed.
    pub async fn close(&self, grace: Duration, undo: Duration) {
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            for job in self.list().iter().filter(|job| !job.has_ended()) {
                tracing::warn!(job = %job.id, action = job.action, "a job did not finish in time");
                job.cancel();
            }
            if tokio::time::timeout(undo, self.tasks.wait()).await.is_err() {
                tracing::warn!("some jobs did not end; files that nothing names may stay behind");
            }
        }
    }
}

// === impl Job ===

impl Job {
    fn new(action: &'static str, author: Principal, key: Option<IdempotencyKey>) -> Self {
        let status = Status::default();
        Self {
            id: JobId::new(),
            action,
            author,
            started: Utc::now(),
            status: watch::Sender::new(status),
            cancel: CancellationToken::new(),
            key,
        }
    }

    async fn run(self: Arc<Self>, work: impl Future<Output = Result<Any>> + Send + 'static) {
        // In a task of its own, so that a panic is a failure of the job and not of its bookkeeping.
        let outcome = match tokio::spawn(work).await {
            Ok(outcome) => outcome,
            Err(panic) => Err(Error::internal("a job panicked").with_source(panic)),
        };
        let state = match outcome {
            Ok(result) => State::Succeeded(result),
            Err(err) if err.kind() == ErrorKind::Cancelled => State::Cancelled,
            Err(err) => {
                tracing::info!(job = %self.id, action = self.action, cause = %err, "a job failed");
                State::Failed(err.kind(), err.message().to_owned())
            }
        };
        self.status.send_modify(|status| {
            status.state = state;
            status.ended = Some(Utc::now());
        });
    }

    /// Stops the job; it ends soon, with what it had not committed undone.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// How it stands, now and whenever that changes.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Whether it is over.
    pub fn has_ended(&self) -> bool {
        self.status.borrow().ended.is_some()
    }
}

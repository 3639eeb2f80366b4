//! Jobs: running actions with progress, cancellation and an outcome. Independent of what they do.
//!
//! ```text
//! Running ─▶ Succeeded(result) | Failed(error) | Cancelled
//! ```
//!
//! A job continues without followers. Followers receive the latest status rather than every update, so slow followers cost
//! nothing.

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

/// The maximum number of retained jobs without a key, and with one. A new job evicts the oldest that has ended.
const MAX_RETAINED: usize = 1_000;
const MAX_RETAINED_WITH_KEY: usize = 10_000;

/// All jobs of this server.
#[derive(Debug, Default)]
pub struct Jobs {
    all: Mutex<BTreeMap<JobId, Arc<Job>>>,
    by_key: Mutex<HashMap<IdempotencyKey, JobId>>,
    tasks: TaskTracker,
}

/// Identifies repeated calls.
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
    /// The principal that started it.
    pub author: Principal,
    /// When it started.
    pub started: DateTime<Utc>,
    status: watch::Sender<Status>,
    cancel: CancellationToken,
    key: Option<IdempotencyKey>,
}

/// The status of a job.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its state.
    pub state: JobState,
    /// The current phase.
    pub phase: String,
    /// The amount of work done in the phase.
    pub done: u64,
    /// The total amount of work in the phase, if known.
    pub total: Option<u64>,
    /// The unit of `done` and `total`.
    pub unit: &'static str,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
}

/// The state of a job.
#[derive(Clone, Debug)]
pub enum JobState {
    /// It is running.
    Running,
    /// It has succeeded, with this result.
    Succeeded(Any),
    /// It has failed, with this kind of error and message.
    Failed(ErrorKind, String),
    /// It was cancelled.
    Cancelled,
}

impl Default for Status {
    fn default() -> Self {
        Self { state: JobState::Running, phase: "start".into(), done: 0, total: None, unit: "", ended: None }
    }
}

// === impl Jobs ===

impl Jobs {
    /// Starts `work` as a job. If an earlier job of the same author and action has the same key, returns that one instead.
    ///
    /// # Errors
    /// Unavailable if the server is stopping.
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
            return Err(Error::new(ErrorKind::Unavailable, "the server is stopping: try again later"));
        }
        let key = key.map(|key| IdempotencyKey { action, author: author.clone(), key });
        let mut by_key = self.by_key.lock();
        let first = key.as_ref().and_then(|key| by_key.get(key)).and_then(|id| self.all.lock().get(id).cloned());
        if let Some(first) = first {
            return Ok(first);
        }
        let job = Arc::new(Job::new(action, author.clone(), key.clone()));
        if let Some(evicted) = self.retain(&job).and_then(|evicted| evicted.key.clone()) {
            by_key.remove(&evicted);
        }
        if let Some(key) = key {
            by_key.insert(key, job.id);
        }
        let progress = Progress::new(job.status.clone(), job.cancel.clone());
        self.tasks.spawn(Arc::clone(&job).run(work(progress)));
        Ok(job)
    }

    /// Adds `job`, and returns the job that it evicted.
    fn retain(&self, job: &Arc<Job>) -> Option<Arc<Job>> {
        let mut all = self.all.lock();
        let alike = |other: &&Arc<Job>| other.key.is_some() == job.key.is_some();
        let limit = if job.key.is_some() { MAX_RETAINED_WITH_KEY } else { MAX_RETAINED };
        let full = all.values().filter(alike).count() >= limit;
        // Ids grow with time, so the first that ended is the oldest.
        let oldest = all.values().filter(alike).find(|other| full && other.has_ended()).map(|other| other.id);
        let evicted = oldest.and_then(|id| all.remove(&id));
        all.insert(job.id, Arc::clone(job));
        evicted
    }

    /// All retained jobs, newest first.
    pub fn list(&self) -> Vec<Arc<Job>> {
        self.all.lock().values().rev().cloned().collect()
    }

    /// The job with this id.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, id: &str) -> Result<Arc<Job>> {
        let found = JobId::from_bytes(id.as_bytes()).and_then(|id| self.all.lock().get(&id).cloned());
        found.ok_or_else(|| Error::not_found(format!("no job \"{id}\": list them with the action jobs")))
    }

    /// Rejects new jobs, waits up to `grace` for running ones, cancels the rest, and waits up to `undo` for them to undo
    /// uncommitted work.
    pub async fn close(&self, grace: Duration, undo: Duration) {
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            for job in self.list().iter().filter(|job| !job.has_ended()) {
                tracing::warn!(job = %job.id, action = job.action, "cancelling a job that did not finish in time");
                job.cancel();
            }
            if tokio::time::timeout(undo, self.tasks.wait()).await.is_err() {
                tracing::warn!("some jobs did not end; unreferenced files may remain");
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
        // In a task of its own, so that a panic fails the job but not its bookkeeping.
        let outcome = match tokio::spawn(work).await {
            Ok(outcome) => outcome,
            Err(panic) => Err(Error::internal("a job panicked").with_source(panic)),
        };
        let state = match outcome {
            Ok(result) => JobState::Succeeded(result),
            Err(err) if err.kind() == ErrorKind::Cancelled => JobState::Cancelled,
            Err(err) => {
                tracing::info!(job = %self.id, action = self.action, cause = %err, "a job failed");
                JobState::Failed(err.kind(), err.message().to_owned())
            }
        };
        self.status.send_modify(|status| {
            status.state = state;
            status.ended = Some(Utc::now());
        });
    }

    /// Cancels the job; uncommitted work is undone.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The current status and its changes.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.status.borrow().ended.is_some()
    }
}

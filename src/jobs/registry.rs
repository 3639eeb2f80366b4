//! All jobs of the server: starting, finding and retaining them.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use prost_types::Any;
use tokio_util::task::TaskTracker;

use super::{
    job::{IdempotencyKey, Job},
    progress::Progress,
};
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
        self.tasks.spawn(Arc::clone(&job).run(work(job.progress())));
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
        found
            .ok_or_else(|| Error::not_found(format!("job \"{id}\" does not exist: list the jobs with the action jobs")))
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

//! One job: its identity, its status, and running its work.

use std::{future::Future, sync::Arc};

use chrono::{DateTime, Utc};
use prost_types::Any;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    progress::Progress,
    status::{JobState, Status},
};
use crate::{
    context::Principal,
    error::{Error, ErrorKind, Result},
    ids::JobId,
};

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
    pub(super) key: Option<IdempotencyKey>,
}

/// Identifies repeated calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct IdempotencyKey {
    pub(super) action: &'static str,
    pub(super) author: Principal,
    pub(super) key: String,
}

// === impl Job ===

impl Job {
    pub(super) fn new(action: &'static str, author: Principal, key: Option<IdempotencyKey>) -> Self {
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

    /// The handle for the work of the job.
    pub(super) fn progress(&self) -> Progress {
        Progress::new(self.status.clone(), self.cancel.clone())
    }

    /// Runs `work`, and records its outcome.
    pub(super) async fn run(self: Arc<Self>, work: impl Future<Output = Result<Any>> + Send + 'static) {
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

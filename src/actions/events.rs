//! The status of a job as events.

use std::{sync::Arc, time::Duration};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use prost::Name;
use tokio::sync::watch;

use crate::{
    error::{Error, ErrorKind, Result},
    jobs::{Job, JobState, Status},
    proto::{Event, event, to_any},
};

/// The events of a reply; an error, if any, is the last item.
pub type Events = BoxStream<'static, Result<Event>>;

/// The minimum interval between two events, except for the last.
const INTERVAL: Duration = Duration::from_millis(100);

/// Follows `job` until it ends: its current status, every later one, and its error if it failed. With
/// `cancel_on_disconnect`, dropping the stream before that cancels the job.
pub(super) fn follow(job: Arc<Job>, cancel_on_disconnect: bool) -> Events {
    let follower = Follower {
        status: job.watch(),
        _cancel: CancelOnDrop(cancel_on_disconnect.then(|| Arc::clone(&job))),
        job,
        next: Next::Now,
    };
    stream::unfold(follower, Follower::step).boxed()
}

/// A reply of one event with a result, for actions that run no job.
pub(super) fn answer(result: &impl Name) -> Events {
    let event = Event { state: event::State::Succeeded.into(), result: Some(to_any(result)), ..Event::default() };
    stream::iter([Ok(event)]).boxed()
}

struct Follower {
    job: Arc<Job>,
    status: watch::Receiver<Status>,
    next: Next,
    _cancel: CancelOnDrop,
}

enum Next {
    /// Return the current status.
    Now,
    /// Wait until the status changes.
    Changed,
    /// Return the error and end.
    Fail(Error),
    End,
}

// === impl Follower ===

impl Follower {
    async fn step(mut self) -> Option<(Result<Event>, Self)> {
        match std::mem::replace(&mut self.next, Next::End) {
            Next::End => return None,
            Next::Fail(err) => return Some((Err(err), self)),
            Next::Now => {}
            Next::Changed => {
                let mut watch = self.status.clone();
                let ended = watch.wait_for(|status| !matches!(status.state, JobState::Running));
                // The end is not delayed. The sender is part of the job, which this follower holds.
                if tokio::time::timeout(INTERVAL, ended).await.is_err() {
                    self.status.changed().await.ok()?;
                }
            }
        }
        let status = self.status.borrow_and_update().clone();
        self.next = match &status.state {
            JobState::Running => Next::Changed,
            JobState::Succeeded(_) => Next::End,
            JobState::Failed(kind, message) => Next::Fail(Error::new(*kind, message)),
            JobState::Cancelled => Next::Fail(Error::new(ErrorKind::Cancelled, "the job was cancelled")),
        };
        Some((Ok(event(&self.job, status)), self))
    }
}

struct CancelOnDrop(Option<Arc<Job>>);

// === impl CancelOnDrop ===

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(job) = &self.0 {
            // Has no effect on a job that has ended.
            job.cancel();
        }
    }
}

/// The state of a job, as the enum of `proto/`.
pub fn state(state: &JobState) -> event::State {
    match state {
        JobState::Running => event::State::Running,
        JobState::Succeeded(_) => event::State::Succeeded,
        JobState::Failed(..) => event::State::Failed,
        JobState::Cancelled => event::State::Cancelled,
    }
}

/// The error message of a failed job; empty for other jobs.
pub fn error_message(state: &JobState) -> String {
    match state {
        JobState::Failed(_, message) => message.clone(),
        JobState::Running | JobState::Succeeded(_) | JobState::Cancelled => String::new(),
    }
}

fn event(job: &Job, status: Status) -> Event {
    Event {
        job_id: job.id.to_string(),
        state: state(&status.state).into(),
        phase: status.phase,
        done: status.done,
        total: status.total,
        unit: status.unit.to_owned(),
        message: error_message(&status.state),
        result: match status.state {
            JobState::Succeeded(result) => Some(result),
            JobState::Running | JobState::Failed(..) | JobState::Cancelled => None,
        },
    }
}

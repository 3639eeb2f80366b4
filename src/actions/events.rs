//! A job's status as events.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use prost::Message;
use tokio::sync::watch;

use super::Events;
use crate::{
    error::{Error, ErrorKind, Result},
    jobs::{Job, JobState, Status},
    proto::{Event, event, to_any},
};

/// Progress is told at most this often, but for the end.
const INTERVAL: Duration = Duration::from_millis(100);

/// Follows `job` to its end: the current status, every later one, and an error in the end when it failed.
/// With `cancel_on_disconnect` the job stops when the stream is dropped before that.
pub fn follow(job: Arc<Job>, cancel_on_disconnect: bool) -> Events {
    let follower = Follower {
        status: job.watch(),
        _cancel: CancelOnDrop(cancel_on_disconnect.then(|| Arc::clone(&job))),
        job,
        next: Next::Now,
    };
    stream::unfold(follower, Follower::step).boxed()
}

/// A reply of one event with a result, for actions that are no jobs.
pub fn answer(message: &'static str, result: &impl Message) -> Events {
    let event =
        Event { state: event::State::Succeeded.into(), result: Some(to_any(message, result)), ..Event::default() };
    stream::iter([Ok(event)]).boxed()
}

struct Follower {
    job: Arc<Job>,
    status: watch::Receiver<Status>,
    next: Next,
    _cancel: CancelOnDrop,
}

enum Next {
    /// Tell the status at once.
    Now,
    /// Wait until it changes.
    Changed,
    /// Tell the failure and end.
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
                // The end is told at once. The sender lives in the job, which this follower holds.
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
            // Cancelling a job that has ended does nothing.
            job.cancel();
        }
    }
}

/// The state of a status in `proto/`'s words.
pub fn state(state: &JobState) -> event::State {
    match state {
        JobState::Running => event::State::Running,
        JobState::Succeeded(_) => event::State::Succeeded,
        JobState::Failed(..) => event::State::Failed,
        JobState::Cancelled => event::State::Cancelled,
    }
}

/// What a status says to people.
pub fn message(state: &JobState) -> String {
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
        message: message(&status.state),
        result: match status.state {
            JobState::Succeeded(result) => Some(result),
            JobState::Running | JobState::Failed(..) | JobState::Cancelled => None,
        },
    }
}

//! Executions: statements from their start until their result cannot be read any more.
//!
//! ```text
//! begin ─▶ Running ─┬▶ keep ─▶ Waiting (its ticket is out) ─┬▶ take ─▶ Reading ─▶ gone
//!                   │                                       └▶ too old, cancelled ─▶ gone
//!                   └▶ dropped: failed, or had nothing to give ─▶ gone
//! ```
//!
//! A client requests a result with GetFlightInfo and fetches it with DoGet, or never. The statement runs at the first,
//! exactly once; what is kept here is its result: complete (it may be read again) or a stream (read once).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime},
};

use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::rows::Rows;
use crate::{
    context::Principal,
    engine::{BatchStream, TaskHandle},
    error::{Error, ErrorKind, Result},
    ids::{ExecutionId, SessionId, SnapshotId},
};

/// The maximum number of waiting results; a new one evicts the oldest.
const MAX_WAITING: usize = 1024;

/// The executions that are running or waiting.
#[derive(Debug)]
pub struct Executions {
    all: Mutex<HashMap<ExecutionId, Arc<Execution>>>,
    ttl: Duration,
}

/// An execution.
#[derive(Debug)]
pub struct Execution {
    /// The id in its ticket.
    pub id: ExecutionId,
    /// Its owner.
    pub owner: Principal,
    /// The session that it ends with.
    pub session: SessionId,
    /// The statement.
    pub sql: Arc<str>,
    /// When it began.
    pub started: SystemTime,
    /// The expected columns, for polling.
    expected: OnceLock<SchemaRef>,
    /// The properties of its result, for polling.
    known: OnceLock<Known>,
    /// The time of the last poll, if it is polled.
    polled: Mutex<Option<Instant>>,
    changed: Notify,
    stopped: Arc<Stopped>,
    task: OnceLock<TaskHandle>,
    timer: OnceLock<AbortOnDropHandle<()>>,
    state: Mutex<State>,
}

/// The properties of a waiting result.
#[derive(Clone, Debug)]
pub struct Known {
    /// The columns.
    pub schema: SchemaRef,
    /// The number of rows, if known.
    pub count: Option<usize>,
    /// The snapshot that it was read at.
    pub snapshot_id: SnapshotId,
}

/// Whether an execution was stopped, and why.
#[derive(Debug, Default)]
pub(super) struct Stopped {
    reason: OnceLock<(ErrorKind, &'static str)>,
    token: CancellationToken,
}

/// The phase of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its result is not available yet.
    Running,
    /// Its result waits to be fetched.
    Waiting,
    /// Its result is being fetched.
    Reading,
    /// It failed, and the polling client has not received the error yet.
    Failed,
}

#[derive(Debug)]
enum State {
    Running,
    Waiting { rows: Rows, since: Instant, expires: Instant },
    Reading,
    Failed { err: Option<Error>, expires: Instant },
}

/// Keeps an execution listed; dropping it ends the execution.
#[derive(Debug)]
pub struct Running {
    execution: Arc<Execution>,
    all: Arc<Executions>,
}

// === impl Executions ===

impl Executions {
    pub(super) fn new(ttl: Duration) -> Arc<Self> {
        Arc::new(Self { all: Mutex::default(), ttl })
    }

    /// Registers that `owner` executes `sql`, while the returned value exists.
    pub(super) fn begin(self: &Arc<Self>, owner: &Principal, session: SessionId, sql: Arc<str>) -> Running {
        let execution = Arc::new(Execution {
            id: ExecutionId::new(),
            owner: owner.clone(),
            session,
            sql,
            started: SystemTime::now(),
            expected: OnceLock::new(),
            known: OnceLock::new(),
            polled: Mutex::default(),
            changed: Notify::new(),
            stopped: Arc::default(),
            task: OnceLock::new(),
            timer: OnceLock::new(),
            state: Mutex::new(State::Running),
        });
        self.all.lock().insert(execution.id, Arc::clone(&execution));
        Running { execution, all: Arc::clone(self) }
    }

    /// The rows that wait under `id`, and the execution that ends with them if they can be read once.
    ///
    /// # Errors
    /// `NotFound` if they were read already, waited too long, or belong to another user.
    pub(super) fn take_rows(
        self: &Arc<Self>,
        id: ExecutionId,
        reader: &Principal,
    ) -> Result<(BatchStream, Option<Running>)> {
        let execution = self.find(id, reader)?;
        let mut state = execution.state.lock();
        match &*state {
            State::Waiting { rows: Rows::Complete(schema, batches), .. } => {
                return Ok((BatchStream::complete(SchemaRef::clone(schema), batches), None));
            }
            State::Running | State::Reading | State::Failed { .. } => return Err(gone()),
            State::Waiting { rows: Rows::Stream(_), .. } => {}
        }
        let waiting = std::mem::replace(&mut *state, State::Reading);
        drop(state);
        match waiting {
            State::Waiting { rows: Rows::Stream(rows), .. } => {
                Ok((*rows, Some(Running { execution, all: Arc::clone(self) })))
            }
            _ => Err(gone()),
        }
    }

    /// Stops an execution and drops its rows.
    ///
    /// # Errors
    /// `NotFound` if it has ended, or belongs to another user.
    pub fn cancel(&self, id: ExecutionId, who: &Principal) -> Result<()> {
        let execution = self.find(id, who)?;
        execution.stop(ErrorKind::Cancelled, "the statement was cancelled");
        if execution.phase() == Phase::Waiting {
            self.all.lock().remove(&id);
        }
        Ok(())
    }

    /// Restarts the time that a result is kept; returns its expiry, if it may be read more than once.
    ///
    /// # Errors
    /// `NotFound` if it has ended, or belongs to another user.
    pub fn renew(&self, id: ExecutionId, who: &Principal) -> Result<Option<SystemTime>> {
        let execution = self.find(id, who)?;
        if let State::Waiting { expires, .. } = &mut *execution.state.lock() {
            *expires = Instant::now() + self.ttl;
        }
        Ok(execution.expires())
    }

    /// An execution, for its owner, who polls it.
    ///
    /// # Errors
    /// `NotFound` if it has ended, or belongs to another user; its failure, once.
    pub fn poll(&self, id: ExecutionId, who: &Principal) -> Result<Arc<Execution>> {
        let execution = self.find(id, who)?;
        *execution.polled.lock() = Some(Instant::now());
        let failure = match &mut *execution.state.lock() {
            State::Failed { err, .. } => err.take(),
            State::Running | State::Waiting { .. } | State::Reading => None,
        };
        match failure {
            None => Ok(execution),
            Some(err) => {
                self.all.lock().remove(&id);
                Err(err)
            }
        }
    }

    /// Keeps the failure of an execution for the polling client.
    pub(super) fn fail(&self, execution: &Arc<Execution>, err: Error) {
        *execution.state.lock() = State::Failed { err: Some(err), expires: Instant::now() + self.ttl };
        self.all.lock().insert(execution.id, Arc::clone(execution));
        execution.changed.notify_waiters();
    }

    /// All that are running or waiting, oldest first.
    pub fn list(&self) -> Vec<Arc<Execution>> {
        let mut all: Vec<_> = self.all.lock().values().cloned().collect();
        all.sort_by_key(|execution| execution.started);
        all
    }

    fn find(&self, id: ExecutionId, who: &Principal) -> Result<Arc<Execution>> {
        let found = self.all.lock().get(&id).cloned();
        found.filter(|execution| execution.owner == *who).ok_or_else(gone)
    }

    fn keep(&self, execution: &Execution, rows: Rows) {
        let now = Instant::now();
        let mut all = self.all.lock();
        let waiting = all.values().filter_map(|execution| Some((execution.waiting_since()?, execution.id)));
        let (count, oldest) = waiting.fold((0, None), |(count, oldest), next| {
            (count + 1, Some(oldest.map_or(next, |oldest: (Instant, ExecutionId)| oldest.min(next))))
        });
        if let Some((_, oldest)) = oldest.filter(|_| count >= MAX_WAITING) {
            all.remove(&oldest);
        }
        *execution.state.lock() = State::Waiting { rows, since: now, expires: now + self.ttl };
        execution.changed.notify_waiters();
    }

    /// Drops the oldest stream, if it has waited for `age`: its statement holds a connection that others need.
    pub(super) fn drop_oldest_stream(&self, age: Duration) {
        let mut all = self.all.lock();
        let streams = all.values().filter(|execution| execution.holds_connection());
        let oldest = streams.filter_map(|execution| Some((execution.waiting_since()?, execution.id))).min();
        if let Some((_, id)) = oldest.filter(|(since, _)| since.elapsed() >= age) {
            all.remove(&id);
        }
    }

    pub(super) fn drop_expired(&self) {
        let now = Instant::now();
        self.all.lock().retain(|_, execution| match &*execution.state.lock() {
            State::Waiting { expires, .. } | State::Failed { expires, .. } => *expires > now,
            State::Running | State::Reading => true,
        });
        for execution in self.list() {
            if execution.phase() == Phase::Running && execution.polled.lock().is_some_and(|at| at + self.ttl < now) {
                execution.stop(ErrorKind::Cancelled, "the statement was not polled any more");
                self.all.lock().remove(&execution.id);
            }
        }
    }

    /// Drops the waiting results of a session.
    pub(super) fn drop_session(&self, session: SessionId) {
        self.all.lock().retain(|_, execution| execution.session != session || execution.phase() != Phase::Waiting);
    }

    /// Drops the waiting results of sessions that are not among `living`.
    pub(super) fn keep_sessions(&self, living: &HashSet<SessionId>) {
        let mut all = self.all.lock();
        all.retain(|_, execution| living.contains(&execution.session) || execution.phase() != Phase::Waiting);
    }

    /// The number of waiting results.
    pub fn count(&self) -> usize {
        self.all.lock().values().filter(|execution| execution.phase() == Phase::Waiting).count()
    }

    pub(super) fn clear(&self) {
        self.all.lock().retain(|_, execution| execution.phase() != Phase::Waiting);
    }
}

fn gone() -> Error {
    Error::not_found("the result is gone: it was read, cancelled, or waited too long; run the statement again")
}

// === impl Execution ===

impl Execution {
    /// Its phase.
    pub fn phase(&self) -> Phase {
        match &*self.state.lock() {
            State::Running => Phase::Running,
            State::Waiting { .. } => Phase::Waiting,
            State::Reading => Phase::Reading,
            State::Failed { .. } => Phase::Failed,
        }
    }

    /// Whether it is polled.
    pub fn is_polled(&self) -> bool {
        self.polled.lock().is_some()
    }

    /// The properties of its result, once it waits.
    pub fn known(&self) -> Option<&Known> {
        self.known.get()
    }

    /// The expected columns, as far as they were known when it began.
    pub fn expected(&self) -> Option<&SchemaRef> {
        self.expected.get()
    }

    /// Registers that it is polled, and the expected columns.
    pub(super) fn expect(&self, columns: SchemaRef) {
        *self.polled.lock() = Some(Instant::now());
        let _ = self.expected.set(columns);
    }

    pub(super) fn know(&self, known: Known) {
        let _ = self.known.set(known);
    }

    /// Resolves when its result is available or it failed, at the latest after `patience`.
    pub async fn settled(&self, patience: Duration) {
        let changed = self.changed.notified();
        if self.phase() == Phase::Running {
            // The caller checks again.
            let _ = tokio::time::timeout(patience, changed).await;
        }
    }

    /// The progress, from 0 to 1, if DuckDB reports it.
    pub fn progress(&self) -> Option<f64> {
        self.task.get()?.progress()
    }

    /// The expiry of a result that may be read repeatedly; `None` for one that is read once.
    pub fn expires(&self) -> Option<SystemTime> {
        match &*self.state.lock() {
            State::Waiting { rows: Rows::Complete(..), expires, .. } => {
                Some(SystemTime::now() + expires.saturating_duration_since(Instant::now()))
            }
            State::Waiting { .. } | State::Running | State::Reading | State::Failed { .. } => None,
        }
    }

    /// Stops it if it has not ended after `timeout`.
    pub(super) fn limit(self: &Arc<Self>, timeout: Duration) {
        let execution = Arc::downgrade(self);
        let timer = tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            if let Some(execution) = execution.upgrade() {
                execution.stop(ErrorKind::DeadlineExceeded, "the statement exceeded its timeout");
            }
        });
        let _ = self.timer.set(AbortOnDropHandle::new(timer));
    }

    /// Attaches it to the task that runs it.
    pub(super) fn begun(&self, task: &TaskHandle) {
        let _ = self.task.set(task.clone());
        if let Some((kind, reason)) = self.stopped.reason.get() {
            task.stop(*kind, reason);
        }
    }

    /// Waits for `work` unless the execution is stopped first.
    ///
    /// # Errors
    /// Errors of `work`; the reason why the execution was stopped.
    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.stopped.unless(work).await
    }

    /// Whether it was stopped, without keeping the execution alive.
    pub(super) fn stopped(&self) -> Arc<Stopped> {
        Arc::clone(&self.stopped)
    }

    fn stop(&self, kind: ErrorKind, reason: &'static str) {
        let _ = self.stopped.reason.set((kind, reason));
        self.stopped.token.cancel();
        if let Some(task) = self.task.get() {
            task.stop(kind, reason);
        }
    }

    fn waiting_since(&self) -> Option<Instant> {
        match &*self.state.lock() {
            State::Waiting { since, .. } => Some(*since),
            State::Running | State::Reading | State::Failed { .. } => None,
        }
    }

    fn holds_connection(&self) -> bool {
        matches!(&*self.state.lock(), State::Waiting { rows: Rows::Stream(stream), .. } if stream.holds_connection())
    }
}

// === impl Stopped ===

impl Stopped {
    /// Waits for `work` unless the execution is stopped first.
    pub(super) async fn unless<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = self.token.cancelled() => {
                let (kind, reason) = self.reason.get().copied().unwrap_or((ErrorKind::Cancelled, "cancelled"));
                Err(Error::new(kind, reason))
            }
        }
    }
}

// === impl Running ===

impl Running {
    /// The execution.
    pub fn execution(&self) -> &Arc<Execution> {
        &self.execution
    }

    /// Keeps `rows` until they are read.
    pub fn keep(self, rows: Rows) -> Arc<Execution> {
        self.all.keep(&self.execution, rows);
        Arc::clone(&self.execution)
    }

    /// Registers that its rows are being read.
    pub(super) fn is_being_read(&self) {
        *self.execution.state.lock() = State::Reading;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let goes = match self.execution.phase() {
            // The polling client receives its failure next.
            Phase::Running => !self.execution.is_polled(),
            Phase::Reading => true,
            Phase::Waiting | Phase::Failed => false,
        };
        if goes {
            self.all.all.lock().remove(&self.execution.id);
        }
    }
}

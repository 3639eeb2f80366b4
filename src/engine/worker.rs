//! A thread that owns one DuckDB connection and runs one task after the other on it.
//!
//! DuckDB blocks, and a connection belongs to one thread at a time; the server's runtime must never wait for it. The
//! caller that starts a task holds a [`TaskGuard`]: dropping it before the task has ended interrupts DuckDB, but only
//! if that very task is running, never a later one on the same connection. A [`TaskHandle`] does the same from
//! elsewhere, with a reason.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
};
use tokio_util::sync::CancellationToken;

use super::duckdb::{Connection, InterruptHandle, Reads, release_memory};
use crate::error::{Error, ErrorKind, Result};

/// The stack of a thread: DuckDB binds and optimizes on it, which recurses into expressions and subqueries.
const STACK_BYTES: usize = 64 << 20;

/// How long a thread waits for a task before it gives back memory; longer than between two checks of the server's health.
const IDLE: Duration = Duration::from_secs(5);

/// How long a statement that nobody waits for may take to end with its next rows.
const TO_END: Duration = Duration::from_millis(20);

type Task = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the thread, which ends when the last handle and task are dropped.
#[derive(Clone, Debug)]
pub struct Worker {
    tasks: mpsc::Sender<Task>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    interrupt: InterruptHandle,
    /// The running task. Interrupts happen under this lock.
    running: Mutex<Option<TaskHandle>>,
    next_number: AtomicU64,
    /// The number of waiting tasks, so that a stream which waits for its reader yields to them.
    queued: watch::Sender<usize>,
}

/// Ends its task when dropped: a waiting task is never started, a running one is interrupted.
#[derive(Debug)]
pub struct TaskGuard(Option<TaskHandle>);

/// A task, for stopping and inspecting it at any time.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    number: u64,
    stopped: CancellationToken,
    reason: Arc<OnceLock<(ErrorKind, &'static str)>>,
    reads: Arc<Reads>,
    shared: Arc<Shared>,
}

// === impl Worker ===

impl Worker {
    /// Starts a thread for `connection`.
    ///
    /// # Errors
    /// Internal if the operating system cannot start a thread.
    pub fn start(connection: Connection) -> Result<Self> {
        let (tasks, queue) = mpsc::channel::<Task>();
        let shared = Arc::new(Shared {
            interrupt: connection.interrupt_handle(),
            running: Mutex::default(),
            next_number: AtomicU64::new(1),
            queued: watch::Sender::new(0),
        });
        thread::Builder::new().name("duckdb".into()).stack_size(STACK_BYTES).spawn(move || {
            while let Some(task) = next(&queue) {
                task(&connection);
            }
        })?;
        Ok(Self { tasks, shared })
    }

    /// Queues `task`. It is not started if its guard has been dropped by then.
    pub fn spawn(&self, task: impl FnOnce(&Connection) + Send + 'static) -> TaskGuard {
        let stopped = CancellationToken::new();
        let handle = TaskHandle {
            number: self.shared.next_number.fetch_add(1, Ordering::Relaxed),
            stopped: stopped.clone(),
            reason: Arc::default(),
            reads: Arc::new(Reads::new(stopped)),
            shared: Arc::clone(&self.shared),
        };
        let guard = TaskGuard(Some(handle.clone()));
        self.shared.queued.send_modify(|queued| *queued += 1);
        let numbered: Task = Box::new(move |connection| {
            let shared = Arc::clone(&handle.shared);
            shared.queued.send_modify(|queued| *queued -= 1);
            connection.begin_task(&handle.reads);
            let stopped = handle.stopped.clone();
            *shared.running.lock() = Some(handle);
            // Between the two lines, the task may have been stopped without anything to interrupt.
            if !stopped.is_cancelled()
                && let Err(panic) = catch_unwind(AssertUnwindSafe(|| task(connection)))
            {
                tracing::error!(cause = panic_text(panic.as_ref()), "a task of the engine panicked");
            }
            *shared.running.lock() = None;
        });
        // The queue ends only with its thread, and the thread only with the last sender: this cannot fail.
        let _ = self.tasks.send(numbered);
        guard
    }

    /// Runs `work` on the connection and returns its result. Dropping the future interrupts it.
    ///
    /// # Errors
    /// Errors of `work`; Internal if it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run_until(std::future::pending(), work).await
    }

    /// Runs `work` like [`run`](Self::run), but if `stop` resolves first, interrupts it and waits for the outcome: a
    /// commit that was in progress may have succeeded.
    ///
    /// # Errors
    /// As [`run`](Self::run); Cancelled if it had not begun.
    pub async fn run_until<T: Send + 'static>(
        &self,
        stop: impl Future<Output = ()>,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, mut answer) = oneshot::channel();
        let guard = self.spawn(move |connection| {
            // The receiver is gone if the future was dropped.
            let _ = reply.send(work(connection));
        });
        tokio::select! {
            outcome = &mut answer => outcome.unwrap_or_else(|_| Err(Error::internal("a task of the engine panicked"))),
            () = stop => {
                drop(guard);
                answer.await.unwrap_or_else(|_| Err(Error::cancelled()))
            }
        }
    }

    /// Resolves when a task waits behind the one that runs.
    pub async fn wait_queued(&self) {
        // The sender lives in this handle, so that the wait cannot fail.
        let _ = self.shared.queued.subscribe().wait_for(|queued| *queued > 0).await;
    }

    /// Cancelled when the running task is stopped; for that task to wait on.
    pub fn running_task_stopped(&self) -> CancellationToken {
        self.shared.running.lock().as_ref().map(|task| task.stopped.clone()).unwrap_or_default()
    }
}

// === impl TaskGuard ===

impl TaskGuard {
    /// The task, for stopping it from elsewhere; `None` once it was detached.
    pub fn handle(&self) -> Option<&TaskHandle> {
        self.0.as_ref()
    }

    /// Lets the task run to its end although nothing waits for it.
    pub fn detach(mut self) {
        self.0.take();
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abandon();
        }
    }
}

// === impl TaskHandle ===

impl TaskHandle {
    /// Stops the task, if it has not ended: it fails with `kind` and `reason`; the first reason is kept. An open transaction
    /// is aborted if a statement of it is running.
    pub fn stop(&self, kind: ErrorKind, reason: &'static str) {
        let _ = self.reason.set((kind, reason));
        self.stopped.cancel();
        self.if_running(InterruptHandle::interrupt);
    }

    /// Stops the task because nobody waits for it. A statement whose rows come along has a short time to end without an
    /// interrupt, so that an open transaction survives a reader that goes away.
    fn abandon(&self) {
        let _ = self.reason.set((ErrorKind::Cancelled, "cancelled"));
        self.stopped.cancel();
        if !self.if_running(InterruptHandle::end_rows) {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) => {
                let task = self.clone();
                runtime.spawn(async move {
                    tokio::time::sleep(TO_END).await;
                    task.if_running(InterruptHandle::interrupt);
                });
            }
            Err(_) => _ = self.if_running(InterruptHandle::interrupt),
        }
    }

    /// Interrupts the connection while the task is running. Returns whether it is.
    fn if_running(&self, interrupt: impl FnOnce(&InterruptHandle)) -> bool {
        let running = self.shared.running.lock();
        let mine = running.as_ref().is_some_and(|task| task.number == self.number);
        if mine {
            interrupt(&self.shared.interrupt);
        }
        mine
    }

    /// What the functions of its statements have read until now.
    pub fn reads(&self) -> &Arc<Reads> {
        &self.reads
    }

    /// Why the task was stopped, if it was.
    pub fn stop_reason(&self) -> Option<Error> {
        self.reason.get().map(|(kind, reason)| Error::new(*kind, *reason))
    }

    /// The failure of the task with its reason, if DuckDB reports only that it was interrupted.
    pub fn explain(&self, err: Error) -> Error {
        if err.kind() == ErrorKind::Cancelled { self.stop_reason().unwrap_or(err) } else { err }
    }

    /// The progress of the running statement, from 0 to 1; `None` while it is unknown, or another task is running.
    pub fn progress(&self) -> Option<f64> {
        let running = self.shared.running.lock();
        let mine = running.as_ref().is_some_and(|task| task.number == self.number);
        if mine { self.shared.interrupt.progress() } else { None }
    }
}

/// Waits for the next task; `None` when no more can come.
///
/// DuckDB's allocator keeps freed memory for each thread that ran a statement, about 0.7 MiB, and freed pages until the
/// next use. Its own threads give that back when they are idle; of ours, where statements run as well, it knows nothing.
/// After many clients, most of the process's memory would stay with threads that have nothing to do.
fn next(queue: &mpsc::Receiver<Task>) -> Option<Task> {
    match queue.recv_timeout(IDLE) {
        Ok(task) => Some(task),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            release_memory();
            queue.recv().ok()
        }
    }
}

/// The message of a panic.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

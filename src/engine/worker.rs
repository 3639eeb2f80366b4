//! A thread that owns one DuckDB connection and does one task after the other on it.
//!
//! DuckDB blocks, and a connection belongs to one thread at a time; the server's runtime must never wait for it.
//! Whoever starts a task holds a [`TaskGuard`]: dropping it before the task ended interrupts DuckDB, but only when
//! it is that very task which runs, never a later one on the same connection. A [`TaskHandle`] does the same from
//! elsewhere and says why.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::duckdb::{Connection, InterruptHandle};
use crate::error::{Error, ErrorKind, Result};

type Task = Box<dyn FnOnce(&Connection) + Send>;

/// A handle to the thread; the thread ends when the last handle and task are gone.
#[derive(Clone, Debug)]
pub struct Worker {
    tasks: mpsc::Sender<Task>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    interrupt: InterruptHandle,
    /// The task that runs now. Interrupts happen under this lock.
    running: Mutex<Option<TaskHandle>>,
    next_number: AtomicU64,
    /// How many tasks wait, so that a stream which waits for its reader makes way for them.
    queued: watch::Sender<usize>,
}

/// Ends its task when dropped: a task that waits is never started, one that runs is interrupted.
#[derive(Debug)]
pub struct TaskGuard(Option<TaskHandle>);

/// A task, to stop it and to ask about it, for as long as one likes.
#[derive(Clone, Debug)]
pub struct TaskHandle {
    number: u64,
    stopped: CancellationToken,
    reason: Arc<OnceLock<(ErrorKind, &'static str)>>,
    shared: Arc<Shared>,
}

// === impl Worker ===

impl Worker {
    /// Starts a thread for `connection`.
    ///
    /// # Errors
    /// Internal when the operating system refuses a thread.
    pub fn start(connection: Connection) -> Result<Self> {
        let (tasks, queue) = mpsc::channel::<Task>();
        let shared = Arc::new(Shared {
            interrupt: connection.interrupt_handle(),
            running: Mutex::default(),
            next_number: AtomicU64::new(1),
            queued: watch::Sender::new(0),
        });
        thread::Builder::new().name("duckdb".into()).spawn(move || {
            for task in queue {
                task(&connection);
            }
        })?;
        Ok(Self { tasks, shared })
    }

    /// Queues `task`. It is not started when its guard is gone by then.
    pub fn spawn(&self, task: impl FnOnce(&Connection) + Send + 'static) -> TaskGuard {
        let handle = TaskHandle {
            number: self.shared.next_number.fetch_add(1, Ordering::Relaxed),
            stopped: CancellationToken::new(),
            reason: Arc::default(),
            shared: Arc::clone(&self.shared),
        };
        let guard = TaskGuard(Some(handle.clone()));
        self.shared.queued.send_modify(|queued| *queued += 1);
        let numbered: Task = Box::new(move |connection| {
            let shared = Arc::clone(&handle.shared);
            shared.queued.send_modify(|queued| *queued -= 1);
            connection.resume();
            let stopped = handle.stopped.clone();
            *shared.running.lock() = Some(handle);
            // Between the two lines the task may have been stopped without anything to interrupt.
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

    /// Does `work` on the connection and gives back what it returns. Dropping the future interrupts it.
    ///
    /// # Errors
    /// What `work` says; Internal when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run_until(std::future::pending(), work).await
    }

    /// Does `work` like [`run`](Self::run), but when `stop` resolves first interrupts it and waits for what became of
    /// it: a commit that was under way may have succeeded.
    ///
    /// # Errors
    /// As [`run`](Self::run); Cancelled when it had not begun.
    pub async fn run_until<T: Send + 'static>(
        &self,
        stop: impl Future<Output = ()>,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, mut answer) = oneshot::channel();
        let guard = self.spawn(move |connection| {
            // Nobody listens any more when the future was dropped.
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

    /// Cancelled when the task that runs now is stopped; for that task to wait on.
    pub fn running_task_stopped(&self) -> CancellationToken {
        self.shared.running.lock().as_ref().map(|task| task.stopped.clone()).unwrap_or_default()
    }
}

// === impl TaskGuard ===

impl TaskGuard {
    /// The task, to be stopped from elsewhere; `None` once it was detached.
    pub fn handle(&self) -> Option<&TaskHandle> {
        self.0.as_ref()
    }

    /// Lets the task run to its end although nobody waits for it.
    pub fn detach(mut self) {
        self.0.take();
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.stop(ErrorKind::Cancelled, "cancelled");
        }
    }
}

// === impl TaskHandle ===

impl TaskHandle {
    /// Stops the task, if it has not ended: its failure is `kind` with `reason`, the first one given.
    pub fn stop(&self, kind: ErrorKind, reason: &'static str) {
        let _ = self.reason.set((kind, reason));
        self.stopped.cancel();
        let running = self.shared.running.lock();
        if running.as_ref().is_some_and(|task| task.number == self.number) {
            self.shared.interrupt.interrupt();
        }
    }

    /// Why the task was stopped, if it was.
    pub fn stop_reason(&self) -> Option<Error> {
        self.reason.get().map(|(kind, reason)| Error::new(*kind, *reason))
    }

    /// The failure of the task with its reason, where DuckDB knows only that it was interrupted.
    pub fn explain(&self, err: Error) -> Error {
        if err.kind() == ErrorKind::Cancelled { self.stop_reason().unwrap_or(err) } else { err }
    }

    /// How much of the running statement is done, as a share of 1; `None` while that is not known, or another task
    /// runs.
    pub fn progress(&self) -> Option<f64> {
        let running = self.shared.running.lock();
        let mine = running.as_ref().is_some_and(|task| task.number == self.number);
        if mine { self.shared.interrupt.progress() } else { None }
    }
}

/// The text of a panic.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

//! A thread that owns one DuckDB connection and does one task after the other on it.
//!
//! DuckDB blocks, and a connection belongs to one thread at a time; the server's runtime must never wait for it.
//! Whoever starts a task holds a [`TaskGuard`]: dropping it before the task ended interrupts DuckDB, but only when
//! it is that very task which runs, never a later one on the same connection.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::duckdb::{Connection, InterruptHandle};
use crate::error::{Error, Result};

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
    /// The number of the task that runs now; 0 when none does. Interrupts happen under this lock.
    running: Mutex<u64>,
    next_number: AtomicU64,
    /// How many tasks wait, so that a stream which waits for its reader makes way for them.
    queued: watch::Sender<usize>,
}

/// Ends its task when dropped: a task that waits is never started, one that runs is interrupted.
#[derive(Debug)]
pub struct TaskGuard {
    number: u64,
    abandoned: Arc<AtomicBool>,
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
            running: Mutex::new(0),
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
        let number = self.shared.next_number.fetch_add(1, Ordering::Relaxed);
        let guard = TaskGuard { number, abandoned: Arc::default(), shared: Arc::clone(&self.shared) };
        let abandoned = Arc::clone(&guard.abandoned);
        let shared = Arc::clone(&self.shared);
        self.shared.queued.send_modify(|queued| *queued += 1);
        let numbered: Task = Box::new(move |connection| {
            shared.queued.send_modify(|queued| *queued -= 1);
            connection.resume();
            *shared.running.lock() = number;
            // Between the two lines the guard may have gone without anything to interrupt.
            if abandoned.load(Ordering::Acquire) {
                *shared.running.lock() = 0;
                return;
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| task(connection))) {
                tracing::error!(cause = panic_text(panic.as_ref()), "a task of the engine panicked");
            }
            *shared.running.lock() = 0;
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
}

// === impl TaskGuard ===

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Release);
        let running = self.shared.running.lock();
        if *running == self.number {
            self.shared.interrupt.interrupt();
        }
    }
}

/// The text of a panic.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown")
}

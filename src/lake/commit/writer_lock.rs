//! The writer lock, for catalogs that take one writer at a time (SQLite).
//!
//! A transaction acquires the lock before its first read and holds it until it ends, so that no other transaction
//! commits in between. The lock is fair; a waiting transaction blocks its connection's thread.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result};

/// How long a transaction waits before it fails.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum time until an interrupt is noticed.
const INTERRUPT_LATENCY: Duration = Duration::from_millis(20);

/// The writer lock of one lake.
#[derive(Debug, Default)]
pub(super) struct WriterLock {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: bool,
    next_number: u64,
    /// The waiting transactions, by number; the first is next.
    line: VecDeque<u64>,
}

/// The right to write. Dropping it passes it to the next in the queue.
#[derive(Debug)]
pub struct WriterPermit(Arc<WriterLock>);

// === impl WriterLock ===

impl WriterLock {
    /// Waits for the lock, for as long as `may_wait` does not fail.
    ///
    /// # Errors
    /// Errors of `may_wait`; `ResourceExhausted` if others held it for half a minute.
    pub(super) fn acquire(self: &Arc<Self>, may_wait: impl Fn() -> Result<()>) -> Result<WriterPermit> {
        self.acquire_within(TIMEOUT, may_wait)
    }

    fn acquire_within(self: &Arc<Self>, timeout: Duration, may_wait: impl Fn() -> Result<()>) -> Result<WriterPermit> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.line.push_back(number);
        while state.taken || state.line.front() != Some(&number) {
            let waited = may_wait().and_then(|()| if Instant::now() < deadline { Ok(()) } else { Err(kept()) });
            if let Err(err) = waited {
                state.line.retain(|waiting| *waiting != number);
                self.changed.notify_all();
                return Err(err);
            }
            self.changed.wait_for(&mut state, INTERRUPT_LATENCY);
        }
        state.line.pop_front();
        state.taken = true;
        Ok(WriterPermit(Arc::clone(self)))
    }
}

impl Drop for WriterPermit {
    fn drop(&mut self) {
        self.0.state.lock().taken = false;
        self.0.changed.notify_all();
    }
}

fn kept() -> Error {
    let seconds = TIMEOUT.as_secs();
    let text = format!(
        "another transaction has been writing for {seconds} seconds, and this catalog takes one at a time: try again, \
         end transactions sooner, or keep the catalog in PostgreSQL"
    );
    Error::new(ErrorKind::ResourceExhausted, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_the_lock_and_the_others_follow_in_their_order() {
        let lock = Arc::new(WriterLock::default());
        let first = lock.acquire(|| Ok(())).unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (1..=3)
            .map(|number| {
                let (queue, taking, served) = (Arc::clone(&lock), Arc::clone(&lock), Arc::clone(&served));
                let thread = std::thread::spawn(move || {
                    let _mine = taking.acquire(|| Ok(())).unwrap();
                    served.lock().push(number);
                });
                while queue.state.lock().line.len() < number {
                    std::thread::yield_now();
                }
                thread
            })
            .collect();
        assert!(served.lock().is_empty());
        drop(first);
        for thread in waiting {
            thread.join().unwrap();
        }
        assert_eq!(*served.lock(), [1, 2, 3]);
    }

    #[test]
    fn who_must_not_wait_leaves_the_line() {
        let lock = Arc::new(WriterLock::default());
        let first = lock.acquire(|| Ok(())).unwrap();
        assert_eq!(lock.acquire(|| Err(Error::cancelled())).unwrap_err().kind(), ErrorKind::Cancelled);
        let late = lock.acquire_within(Duration::ZERO, || Ok(())).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::ResourceExhausted);
        drop(first);
        assert!(lock.acquire_within(Duration::ZERO, || Ok(())).is_ok());
    }
}

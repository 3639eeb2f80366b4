//! Whose turn it is to write, where the attached database takes one writer at a time.
//!
//! A transaction takes the turn before it reads for the first time and keeps it to its end, so that nobody commits in
//! between. Who waits blocks its connection's thread, in line.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result};

/// How long a transaction waits before it is refused.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long an interrupt may take to be noticed.
const INTERRUPT_LATENCY: Duration = Duration::from_millis(20);

/// The turn of one instance.
#[derive(Debug, Default)]
pub struct WriteTurn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: bool,
    next_number: u64,
    /// Who waits, by number; the first is next.
    line: VecDeque<u64>,
}

/// The turn while it is taken; dropping it gives it to the next in line.
#[derive(Debug)]
pub struct TakenTurn(Arc<WriteTurn>);

// === impl WriteTurn ===

impl WriteTurn {
    /// Waits for the turn, for as long as `may_wait` does not fail.
    ///
    /// # Errors
    /// What `may_wait` says; `ResourceExhausted` when others kept the turn for half a minute.
    pub fn take(self: &Arc<Self>, may_wait: impl Fn() -> Result<()>) -> Result<TakenTurn> {
        self.take_within(TIMEOUT, may_wait)
    }

    fn take_within(self: &Arc<Self>, timeout: Duration, may_wait: impl Fn() -> Result<()>) -> Result<TakenTurn> {
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
        Ok(TakenTurn(Arc::clone(self)))
    }
}

impl Drop for TakenTurn {
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
    fn one_has_the_turn_and_the_others_follow_in_their_order() {
        let turn = Arc::new(WriteTurn::default());
        let first = turn.take(|| Ok(())).unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (1..=3)
            .map(|number| {
                let (queue, taking, served) = (Arc::clone(&turn), Arc::clone(&turn), Arc::clone(&served));
                let thread = std::thread::spawn(move || {
                    let _mine = taking.take(|| Ok(())).unwrap();
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
        let turn = Arc::new(WriteTurn::default());
        let first = turn.take(|| Ok(())).unwrap();
        assert_eq!(turn.take(|| Err(Error::cancelled())).unwrap_err().kind(), ErrorKind::Cancelled);
        let late = turn.take_within(Duration::ZERO, || Ok(())).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::ResourceExhausted);
        drop(first);
        assert!(turn.take_within(Duration::ZERO, || Ok(())).is_ok());
    }
}

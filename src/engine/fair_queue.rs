//! Decides which user gets the next connection: a fair queue of permits.
//!
//! When all permits are taken, further ones are given to the users in rotation, so that a user with a thousand
//! statements delays another user by at most one statement.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::context::Principal;

/// A number of permits, given to users in rotation.
#[derive(Debug)]
pub struct FairQueue(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    closed: bool,
    /// None of them is empty; the first is served next.
    lines: VecDeque<Line>,
}

#[derive(Debug)]
struct Line {
    of: Principal,
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

/// The right to use a connection. Dropping it passes it to the next in the queue.
#[derive(Debug)]
pub struct Permit(Arc<FairQueue>);

// === impl FairQueue ===

impl FairQueue {
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: count, closed: false, lines: VecDeque::new() })))
    }

    /// Waits for a permit in the line of `user`; `None` once the queue is closed.
    pub async fn take(self: &Arc<Self>, user: &Principal) -> Option<Permit> {
        let permit = {
            let mut state = self.0.lock();
            if state.closed {
                return None;
            }
            if state.free > 0 {
                state.free -= 1;
                return Some(Permit(Arc::clone(self)));
            }
            let (sender, permit) = oneshot::channel();
            state.line_of(user).waiting.push_back(sender);
            permit
        };
        permit.await.ok()
    }

    /// The number of permits that are available now.
    pub fn free(&self) -> usize {
        self.0.lock().free
    }

    /// Rejects all waiters and all later requests.
    pub fn close(&self) {
        let lines = {
            let mut state = self.0.lock();
            state.closed = true;
            std::mem::take(&mut state.lines)
        };
        drop(lines);
    }

    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl State {
    fn line_of(&mut self, user: &Principal) -> &mut Line {
        let at = self.lines.iter().position(|line| line.of == *user).unwrap_or_else(|| {
            self.lines.push_back(Line { of: user.clone(), waiting: VecDeque::new() });
            self.lines.len() - 1
        });
        &mut self.lines[at]
    }

    /// The next waiter, whose line moves to the end.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        let mut line = self.lines.pop_front()?;
        let next = line.waiting.pop_front();
        if !line.waiting.is_empty() {
            self.lines.push_back(line);
        }
        next
    }
}

// === impl Permit ===

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        // Some waiters may have been dropped.
        while let Some(next) = state.next() {
            if !next.is_closed() {
                drop(state);
                // A waiter that is dropped now drops the permit, which returns here.
                let _ = next.send(Self(Arc::clone(&self.0)));
                return;
            }
        }
        state.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn users_take_turns() {
        let queue = FairQueue::new(1);
        let (ann, bob) = (Principal::named("ann"), Principal::named("bob"));
        let first = queue.take(&ann).now_or_never().flatten().unwrap();
        let mut waiting: Vec<_> = [("ann 1", &ann), ("ann 2", &ann), ("bob 1", &bob), ("ann 3", &ann), ("bob 2", &bob)]
            .into_iter()
            .map(|(name, user)| (name, Box::pin(queue.take(user))))
            .collect();
        for (_, permit) in &mut waiting {
            assert!(permit.as_mut().now_or_never().is_none());
        }
        drop(first);
        let mut served = Vec::new();
        while !waiting.is_empty() {
            let at = waiting.iter_mut().position(|(_, permit)| permit.as_mut().now_or_never().is_some());
            served.push(waiting.remove(at.unwrap()).0);
        }
        assert_eq!(served, ["ann 1", "bob 1", "ann 2", "bob 2", "ann 3"]);
        assert_eq!(queue.free(), 1);
    }

    #[test]
    fn who_leaves_the_line_gets_no_turn() {
        let queue = FairQueue::new(1);
        let ann = Principal::named("ann");
        let first = queue.take(&ann).now_or_never().flatten();
        let mut left = Box::pin(queue.take(&ann));
        let mut stays = Box::pin(queue.take(&ann));
        assert!(left.as_mut().now_or_never().is_none() && stays.as_mut().now_or_never().is_none());
        drop(left);
        drop(first);
        assert_eq!(queue.free(), 0);
        drop(stays.now_or_never().flatten().unwrap());
        assert_eq!(queue.free(), 1);
        // A waiter that is dropped before it reads its permit returns it.
        let first = queue.take(&ann).now_or_never().flatten();
        let mut given = Box::pin(queue.take(&ann));
        assert!(given.as_mut().now_or_never().is_none());
        drop(first);
        drop(given);
        assert_eq!(queue.free(), 1);
    }

    #[test]
    fn closing_sends_everybody_away() {
        let queue = FairQueue::new(1);
        let ann = Principal::named("ann");
        let _first = queue.take(&ann).now_or_never().flatten();
        let mut waits = Box::pin(queue.take(&ann));
        assert!(waits.as_mut().now_or_never().is_none());
        queue.close();
        assert!(waits.now_or_never().unwrap().is_none());
        assert!(queue.take(&ann).now_or_never().unwrap().is_none());
    }
}

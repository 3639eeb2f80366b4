//! Who uses a connection next.
//!
//! Who finds all taken waits in line: there is a line for each user, and the lines take turns, so that one user with a
//! thousand statements keeps nobody else waiting for more than one of them.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::context::Principal;

/// A number of turns that can be had at the same time.
#[derive(Debug)]
pub struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    closed: bool,
    /// None of them is empty; the first is next.
    lines: VecDeque<Line>,
}

#[derive(Debug)]
struct Line {
    of: Principal,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn; dropping it gives it to the next in line.
#[derive(Debug)]
pub struct Turn(Arc<Turns>);

// === impl Turns ===

impl Turns {
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { free: count, closed: false, lines: VecDeque::new() })))
    }

    /// Waits for a turn in the line of `user`; `None` once no turn can be had any more.
    pub async fn take(self: &Arc<Self>, user: &Principal) -> Option<Turn> {
        let turn = {
            let mut state = self.0.lock();
            if state.closed {
                return None;
            }
            if state.free > 0 {
                state.free -= 1;
                return Some(Turn(Arc::clone(self)));
            }
            let (sender, turn) = oneshot::channel();
            state.line_of(user).waiting.push_back(sender);
            turn
        };
        turn.await.ok()
    }

    /// How many could be had at once now.
    pub fn free(&self) -> usize {
        self.0.lock().free
    }

    /// Sends away those who wait; nobody gets a turn any more.
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

    /// The next in line, whose line goes to the end.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let mut line = self.lines.pop_front()?;
        let next = line.waiting.pop_front();
        if !line.waiting.is_empty() {
            self.lines.push_back(line);
        }
        next
    }
}

// === impl Turn ===

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        // Some may have left the line without a word.
        while let Some(next) = state.next() {
            if !next.is_closed() {
                drop(state);
                // Who leaves now drops the turn, which comes back here.
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
    fn lines_take_turns() {
        let turns = Turns::new(1);
        let (ann, bob) = (Principal::named("ann"), Principal::named("bob"));
        let first = turns.take(&ann).now_or_never().flatten().unwrap();
        let mut waiting: Vec<_> = [("ann 1", &ann), ("ann 2", &ann), ("bob 1", &bob), ("ann 3", &ann), ("bob 2", &bob)]
            .into_iter()
            .map(|(name, user)| (name, Box::pin(turns.take(user))))
            .collect();
        for (_, turn) in &mut waiting {
            assert!(turn.as_mut().now_or_never().is_none());
        }
        drop(first);
        let mut served = Vec::new();
        while !waiting.is_empty() {
            let at = waiting.iter_mut().position(|(_, turn)| turn.as_mut().now_or_never().is_some());
            served.push(waiting.remove(at.unwrap()).0);
        }
        assert_eq!(served, ["ann 1", "bob 1", "ann 2", "bob 2", "ann 3"]);
        assert_eq!(turns.free(), 1);
    }

    #[test]
    fn who_leaves_the_line_gets_no_turn() {
        let turns = Turns::new(1);
        let ann = Principal::named("ann");
        let first = turns.take(&ann).now_or_never().flatten();
        let mut left = Box::pin(turns.take(&ann));
        let mut stays = Box::pin(turns.take(&ann));
        assert!(left.as_mut().now_or_never().is_none() && stays.as_mut().now_or_never().is_none());
        drop(left);
        drop(first);
        assert_eq!(turns.free(), 0);
        drop(stays.now_or_never().flatten().unwrap());
        assert_eq!(turns.free(), 1);
        // One that was given a turn and leaves before it looks gives it back.
        let first = turns.take(&ann).now_or_never().flatten();
        let mut given = Box::pin(turns.take(&ann));
        assert!(given.as_mut().now_or_never().is_none());
        drop(first);
        drop(given);
        assert_eq!(turns.free(), 1);
    }

    #[test]
    fn closing_sends_everybody_away() {
        let turns = Turns::new(1);
        let ann = Principal::named("ann");
        let _first = turns.take(&ann).now_or_never().flatten();
        let mut waits = Box::pin(turns.take(&ann));
        assert!(waits.as_mut().now_or_never().is_none());
        turns.close();
        assert!(waits.now_or_never().unwrap().is_none());
        assert!(turns.take(&ann).now_or_never().unwrap().is_none());
    }
}

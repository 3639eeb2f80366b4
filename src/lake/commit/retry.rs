//! Transactions that lose against another writer are retried.
//!
//! The loser has done nothing, so its work can run again. The losers take turns, so that each meets at most the writers
//! who have not lost yet: however many there are, all of them come through.

use std::time::Duration;

use parking_lot::Mutex;

use crate::{
    engine::Connection,
    error::{ErrorKind, Result},
};

/// How often work is repeated; what loses again and again meets a client's long transaction.
pub const REPEATS_MAX: u32 = 20;
/// How often who waits for a turn looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// Whether work that lost against another writer is done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It fails at once: somebody has seen what it did.
    Never,
    /// It is done again, for as long as there is hope.
    OnConflict,
}

/// The turn that losers take.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<()>);

// === impl Turn ===

impl Turn {
    /// Runs `attempt`, which begins and ends a transaction, and repeats it as long as that loses against others.
    ///
    /// # Errors
    /// Conflict when it lost too often; Cancelled; what `attempt` says.
    pub(super) fn settle<T>(
        &self,
        connection: &Connection,
        retry: Retry,
        mut attempt: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let repeats = if retry == Retry::OnConflict { REPEATS_MAX } else { 0 };
        let mut outcome = attempt();
        for _ in 0..repeats {
            match &outcome {
                Err(err) if err.kind() == ErrorKind::Conflict => {}
                _ => break,
            }
            connection.rollback();
            let _turn = loop {
                connection.check_interrupted()?;
                if let Some(turn) = self.0.try_lock_for(LOOK) {
                    break turn;
                }
            };
            outcome = attempt();
        }
        outcome
    }
}

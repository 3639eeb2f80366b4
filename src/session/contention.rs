//! Statements that lose against another writer are repeated.
//!
//! DuckLake finds out at commit that two transactions changed the same table, and the later one has done nothing. When
//! it was a statement's own, the statement can run again. The losers take turns, so that each meets at most the writers
//! who have not lost yet: however many there are, all of them come through.

use std::time::Duration;

use parking_lot::Mutex;

use crate::{
    engine::Connection,
    error::{ErrorKind, Result},
};

/// How often a statement is repeated; those that lose again and again meet a client's long transaction.
const REPEATS_MAX: usize = 20;
/// How often who waits for a turn looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// The turn that losers take.
#[derive(Debug, Default)]
pub(super) struct Contention(Mutex<()>);

// === impl Contention ===

impl Contention {
    /// Runs `attempt`, which begins and ends a transaction, and repeats it as long as that loses against others.
    ///
    /// # Errors
    /// Conflict when it lost too often; Cancelled; what `attempt` says.
    pub fn settle<T>(&self, connection: &Connection, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        let mut outcome = attempt();
        for _ in 0..REPEATS_MAX {
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

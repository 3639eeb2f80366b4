//! Retries transactions that fail with a conflict.
//!
//! A transaction that fails with a conflict has no effects, so its work can run again. Such transactions take turns, so
//! that each competes only with writers that have not failed yet: however many there are, all of them succeed.

use std::time::Duration;

use parking_lot::Mutex;

use crate::{
    engine::Connection,
    error::{ErrorKind, Result},
};

/// The maximum number of retries; work that keeps failing competes with a client's long transaction.
pub const REPEATS_MAX: u32 = 20;
/// How often a transaction that waits for its turn checks whether it was interrupted.
const LOOK: Duration = Duration::from_millis(20);

/// Whether work that failed with a conflict is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It fails immediately: a client has seen its effects.
    Never,
    /// It is retried, up to the maximum.
    OnConflict,
}

/// The turn that retried transactions take.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<()>);

// === impl Turn ===

impl Turn {
    /// Runs `attempt`, which begins and ends a transaction, and repeats it while it fails with a conflict.
    ///
    /// # Errors
    /// Conflict after too many retries; Cancelled; errors of `attempt`.
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

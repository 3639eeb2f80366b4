//! Why a command failed, and its exit code.

use super::output;
use crate::{config::Faults, error::Error};

/// Exit codes.
pub(super) const SUCCESS: i32 = 0;
const FAILED: i32 = 1;
/// The command line or the configuration is invalid.
const MISUSED: i32 = 2;

/// The reason why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// An error occurred.
    Failed(Error),
    /// The configuration is invalid.
    Misconfigured(Faults),
    /// The flags do not go together.
    Usage(String),
}

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        Self::Failed(err)
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Misconfigured(faults)
    }
}

// === impl Failure ===

impl Failure {
    /// Reports it; returns the exit code.
    pub(super) fn report(&self) -> i32 {
        match self {
            // The reader of the output has closed it.
            Self::Failed(err) if output::is_broken_pipe(err) => SUCCESS,
            Self::Failed(err) => {
                output::error(err);
                FAILED
            }
            Self::Misconfigured(faults) => {
                output::error(faults);
                MISUSED
            }
            Self::Usage(message) => {
                output::error(message);
                MISUSED
            }
        }
    }
}

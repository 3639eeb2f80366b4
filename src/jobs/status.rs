//! The status of a job, as followers see it.

use chrono::{DateTime, Utc};
use prost_types::Any;

use crate::error::ErrorKind;

/// The status of a job.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its state.
    pub state: JobState,
    /// The current phase.
    pub phase: String,
    /// The amount of work done in the phase.
    pub done: u64,
    /// The total amount of work in the phase, if known.
    pub total: Option<u64>,
    /// The unit of `done` and `total`.
    pub unit: &'static str,
    /// When it ended.
    pub ended: Option<DateTime<Utc>>,
}

/// The state of a job.
#[derive(Clone, Debug)]
pub enum JobState {
    /// It is running.
    Running,
    /// It has succeeded, with this result.
    Succeeded(Any),
    /// It has failed, with this kind of error and message.
    Failed(ErrorKind, String),
    /// It was cancelled.
    Cancelled,
}

// === impl Status ===

impl Default for Status {
    fn default() -> Self {
        Self { state: JobState::Running, phase: "start".into(), done: 0, total: None, unit: "", ended: None }
    }
}

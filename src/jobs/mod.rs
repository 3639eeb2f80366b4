//! Jobs: running actions with progress, cancellation and an outcome. Independent of what they do.
//!
//! ```text
//! Running ─▶ Succeeded(result) | Failed(error) | Cancelled
//! ```
//!
//! A job continues without followers. Followers receive the latest status rather than every update, so slow followers cost
//! nothing.

mod job;
mod progress;
mod registry;
mod status;

pub use self::{
    job::Job,
    progress::Progress,
    registry::Jobs,
    status::{JobState, Status},
};

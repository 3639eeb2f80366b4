//! Files that were read once.

use super::source::{Fault, TextFile};

/// The records that may be rejected; more of them end the ingest.
pub(super) const MAX_REJECTS: usize = 100_000;

/// What the first reading of files gives.
#[derive(Debug)]
pub(super) struct Inspected<T> {
    /// Their format, with their columns.
    pub format: T,
    /// The records that are not loaded.
    pub rejects: Vec<Reject>,
}

/// A record that is not loaded.
#[derive(Debug)]
pub(super) struct Reject {
    pub file: String,
    pub fault: Fault,
    /// Its text.
    pub record: String,
}

// === impl Reject ===

impl Reject {
    pub fn new(file: &TextFile, fault: Fault, record: String) -> Self {
        Self { file: file.name.clone(), fault, record }
    }
}

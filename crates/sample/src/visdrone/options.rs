//! The options of the data set.

/// The options of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisdroneOptions {
    /// The number of sequences, at least 1 and at most 100.
    pub sequences: u32,
    /// The number of frames of each sequence, at least 1 and at most 3,000.
    pub frames: u32,
    /// The seed of the random generator. Equal options produce equal bytes.
    pub seed: u64,
}

// === impl VisdroneOptions ===

impl Default for VisdroneOptions {
    fn default() -> Self {
        Self { sequences: 4, frames: 60, seed: 7 }
    }
}

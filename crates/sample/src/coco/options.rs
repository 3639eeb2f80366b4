//! The options of the data set.

/// The options of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CocoOptions {
    /// The number of different image ids, at least 1 and at most 100,000.
    pub images: u32,
    /// The seed of the random generator. Equal options produce equal bytes.
    pub seed: u64,
}

// === impl CocoOptions ===

impl Default for CocoOptions {
    fn default() -> Self {
        Self { images: 240, seed: 7 }
    }
}

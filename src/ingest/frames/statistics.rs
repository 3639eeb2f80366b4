//! What the fragments of a clip show.

use std::collections::{BTreeMap, BTreeSet};

use super::annotation::Annotation;

/// What the boxes of a fragment say; only those that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// The number of boxes in all frames.
    pub n_objects: u64,
    /// The tracks that have one.
    pub tracks: BTreeSet<i64>,
    /// The number of boxes of each category.
    pub classes: BTreeMap<String, u64>,
}

// === impl Statistics ===

impl Statistics {
    /// Counts one more box, if it counts.
    pub fn add(&mut self, annotation: &Annotation) {
        if annotation.counted {
            self.n_objects += 1;
            self.tracks.insert(annotation.track_id);
            *self.classes.entry(annotation.category.clone()).or_default() += 1;
        }
    }
}

//! Referential integrity: every annotation of a file must reference an image that the file lists.
//!
//! An annotation without its image would silently drop out of joins. Sections come in any order, so the check completes at
//! the end of the file. Only ids are kept until then: one per image, and an entry per image that was referenced before it was
//! listed.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};

/// The references from annotations to images.
#[derive(Default)]
pub(super) struct References {
    image_ids: HashSet<i64>,
    /// The annotations of images that are not listed yet, by image id.
    pending: HashMap<i64, Pending>,
}

/// The annotations of an image that is not listed yet.
struct Pending {
    /// The index of the first one in `annotations`.
    first_index: u64,
    first_id: Option<i64>,
    count: u64,
}

// === impl References ===

impl References {
    /// Records a listed image.
    pub(super) fn note_image(&mut self, image_id: i64) {
        self.image_ids.insert(image_id);
    }

    /// Records that the annotation at `index` references an image.
    pub(super) fn note_annotation(&mut self, image_id: i64, annotation_id: Option<i64>, index: u64) {
        if self.image_ids.contains(&image_id) {
            return;
        }
        let first = Pending { first_index: index, first_id: annotation_id, count: 0 };
        self.pending.entry(image_id).or_insert(first).count += 1;
    }

    /// Fails with the first annotation whose image is not listed, and the number of others.
    pub(super) fn check(mut self) -> Result<()> {
        self.pending.retain(|image_id, _| !self.image_ids.contains(image_id));
        let Some((image_id, first)) = self.pending.iter().min_by_key(|(_, pending)| pending.first_index) else {
            return Ok(());
        };
        let annotation = match first.first_id {
            Some(id) => format!("annotation {id}"),
            None => format!("annotations[{}]", first.first_index),
        };
        let more = match self.pending.values().map(|pending| pending.count).sum::<u64>() - 1 {
            0 => String::new(),
            count => format!(" (and {count} more like it)"),
        };
        Err(Error::invalid(format!(
            "{annotation} references image {image_id}, which \"images\" does not contain{more}"
        )))
    }
}

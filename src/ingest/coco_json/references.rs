//! Does every annotation of a file name an image that the file lists?
//!
//! An annotation without its image would be an empty side of a join, found when a training loop misses the picture.
//! Sections come in any order, so the question can only be answered at the end. Until then ids are kept and nothing
//! else: one number per image, and one entry per image that was named before it was listed.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result};

/// Who names which image.
#[derive(Default)]
pub(super) struct References {
    image_ids: HashSet<i64>,
    /// By image id: annotations that named it when it was not listed.
    pending: HashMap<i64, Pending>,
}

/// Annotations of one image that was not listed yet.
struct Pending {
    /// The place of the first one in `annotations`.
    first_index: u64,
    first_id: Option<i64>,
    count: u64,
}

// === impl References ===

impl References {
    /// The file lists the image.
    pub(super) fn note_image(&mut self, image_id: i64) {
        self.image_ids.insert(image_id);
    }

    /// The annotation at `index` names the image.
    pub(super) fn note_annotation(&mut self, image_id: i64, annotation_id: Option<i64>, index: u64) {
        if self.image_ids.contains(&image_id) {
            return;
        }
        let first = Pending { first_index: index, first_id: annotation_id, count: 0 };
        self.pending.entry(image_id).or_insert(first).count += 1;
    }

    /// Names the first annotation whose image was never listed, and says how many there are.
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
        Err(Error::invalid(format!("{annotation} names image {image_id}, which \"images\" does not list{more}")))
    }
}

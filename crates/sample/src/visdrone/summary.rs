//! The summary of the data set.

use std::collections::BTreeMap;

use serde::Serialize;

/// The contents of the written files, for tests that compare a lakehouse with them.
///
/// A line counts if its score is 1 and its category neither 0 (ignored region) nor 11 (others). Each line is one of
/// `counted_boxes`, `ignored_lines`, `other_lines` and `unscored_lines`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VisdroneSummary {
    /// Sequences of both splits.
    pub sequences: u64,
    /// Sequences of `VisDrone2019-MOT-train`.
    pub train_sequences: u64,
    /// Sequences of `VisDrone2019-MOT-val`.
    pub val_sequences: u64,
    /// The numbers of all sequences together.
    #[serde(flatten)]
    pub total: Counts,
    /// The size of all files together.
    pub bytes: u64,
    /// The sequences, in the order of their names.
    pub by_sequence: Vec<SequenceSummary>,
}

/// The contents of one sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SequenceSummary {
    /// The name of its folder and of its annotation file.
    pub name: String,
    /// `train` or `val`.
    pub split: &'static str,
    /// The numbers of the sequence.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What is counted in annotation files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// JPEG files.
    pub frames: u64,
    /// Lines, without blank ones.
    pub lines: u64,
    /// Lines that count.
    pub counted_boxes: u64,
    /// Targets with a line that counts. A target id belongs to its sequence.
    pub tracks: u64,
    /// Lines that count, by category.
    pub boxes_by_category: BTreeMap<u8, u64>,
    /// Lines of ignored regions (category 0, score 0).
    pub ignored_lines: u64,
    /// Lines of category 11 (others).
    pub other_lines: u64,
    /// Lines of the categories 1 to 10 whose score is 0.
    pub unscored_lines: u64,
    /// Lines that end with a comma.
    pub trailing_commas: u64,
    /// Frames without any line.
    pub empty_frames: u64,
}

// === impl Counts ===

impl Counts {
    /// Adds the numbers of a sequence.
    pub(super) fn add(&mut self, sequence: &Self) {
        self.frames += sequence.frames;
        self.lines += sequence.lines;
        self.counted_boxes += sequence.counted_boxes;
        self.tracks += sequence.tracks;
        for (&category, boxes) in &sequence.boxes_by_category {
            *self.boxes_by_category.entry(category).or_default() += boxes;
        }
        self.ignored_lines += sequence.ignored_lines;
        self.other_lines += sequence.other_lines;
        self.unscored_lines += sequence.unscored_lines;
        self.trailing_commas += sequence.trailing_commas;
        self.empty_frames += sequence.empty_frames;
    }
}

//! What is wrong with the data, on purpose and counted: each role of [`super::plan`] spoils the entries of its
//! picture in one way. What is repeated stands at the end of the file.

use super::category::Category;
use super::document::{Annotation, Caption, Field, ImageEntry};
use super::plan::{Picture, Role};
use super::summary::CocoSummary;

/// The entries of one picture, or those that the flaws add to a file.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// For `images`.
    pub(super) images: Vec<ImageEntry>,
    /// For `annotations` of the instances.
    pub(super) annotations: Vec<Annotation>,
    /// For `annotations` of the captions.
    pub(super) captions: Vec<Caption>,
}

/// The ids that were given last.
#[derive(Debug)]
pub(super) struct Ids {
    annotation: u64,
    caption: u64,
}

/// Spoils the `entries` of a picture, counts it, and returns what stands a second time at the end of the file.
pub(super) fn spoil(picture: &Picture, entries: &mut Entries, ids: &mut Ids, summary: &mut CocoSummary) -> Entries {
    let mut repeats = Entries::default();
    match picture.role {
        Role::Twin if picture.copied => count_twin(entries, summary),
        Role::Plain | Role::Crowded | Role::Twin => {}
        Role::CrowdRegion => summary.crowd_regions += 1,
        Role::NearlyCrowded => {
            repeat_annotation(entries, 0, &mut repeats, None, summary);
            repeat_annotation(entries, 1, &mut repeats, Some(ids), summary);
        }
        Role::RepeatedAnnotation => repeat_annotation(entries, 0, &mut repeats, None, summary),
        Role::RenumberedAnnotation => repeat_annotation(entries, 0, &mut repeats, Some(ids), summary),
        Role::RepeatedEntry => {
            repeats.images.clone_from(&entries.images);
            summary.duplicate_images += 1;
        }
        Role::NoAnnotations => summary.images_without_annotations += 1,
        Role::NoCaptions => {
            entries.captions.clear();
            summary.images_without_captions += 1;
        }
        Role::Degenerate => add_degenerate(entries, ids, summary),
        Role::MissingLicense | Role::MissingDate | Role::EmptyDate => blank_entry(picture, entries, summary),
        Role::NullCaption => add_missing_caption(entries, None, ids, summary),
        Role::EmptyCaption => add_missing_caption(entries, Some(""), ids, summary),
        Role::BlankCaption => {
            let blank = if picture.block.is_multiple_of(2) { "   " } else { " \t\n" };
            add_missing_caption(entries, Some(blank), ids, summary);
        }
        Role::PaddedCaption => pad_caption(picture, entries, summary),
        Role::RepeatedCaption => repeat_caption(entries, &mut repeats, None, summary),
        Role::RenumberedCaption => repeat_caption(entries, &mut repeats, Some(ids), summary),
    }
    repeats
}

/// Repeats the annotation at `position`, people first; under a new id where there are `ids`.
fn repeat_annotation(
    entries: &Entries,
    position: usize,
    repeats: &mut Entries,
    ids: Option<&mut Ids>,
    summary: &mut CocoSummary,
) {
    let person = Category::Person.kind().id;
    let mut originals: Vec<&Annotation> = entries.annotations.iter().collect();
    originals.sort_by_key(|annotation| annotation.category_id != person);
    if let Some(&original) = originals.get(position) {
        let id = ids.map_or(original.id, Ids::next_annotation);
        repeats.annotations.push(Annotation { id, ..original.clone() });
        summary.duplicate_annotations += 1;
    }
}

fn repeat_caption(entries: &Entries, repeats: &mut Entries, ids: Option<&mut Ids>, summary: &mut CocoSummary) {
    if let Some(original) = entries.captions.first() {
        let id = ids.map_or(original.id, Ids::next_caption);
        repeats.captions.push(Caption { id, ..original.clone() });
        summary.duplicate_captions += 1;
    }
}

fn count_twin(entries: &Entries, summary: &mut CocoSummary) {
    summary.twin_images += 1;
    summary.twin_annotations += entries.annotations.len() as u64;
    summary.twin_captions += entries.captions.len() as u64;
}

/// Adds a copy of the first annotation whose box has lost its width.
fn add_degenerate(entries: &mut Entries, ids: &mut Ids, summary: &mut CocoSummary) {
    use super::document::Segmentation::Polygons;
    if let Some(first) = entries.annotations.first() {
        let [x, y, _, height] = first.bbox;
        let bottom = super::scene::rounded(y + height);
        let segmentation = Polygons(vec![vec![x, y, x, bottom, x, y]]);
        let (id, bbox) = (ids.next_annotation(), [x, y, 0.0, height]);
        entries.annotations.push(Annotation { id, bbox, area: 0.0, segmentation, ..first.clone() });
        summary.degenerate_annotations += 1;
    }
}

/// Takes licence or date out of the entry; from block to block the field is missing, or null.
fn blank_entry(picture: &Picture, entries: &mut Entries, summary: &mut CocoSummary) {
    let absent = picture.block.is_multiple_of(2);
    for image in &mut entries.images {
        if picture.role == Role::MissingLicense {
            image.license = if absent { Field::Absent } else { Field::Null };
            summary.missing_licenses += 1;
            continue;
        }
        image.date_captured = match picture.role {
            Role::EmptyDate => Field::Value(String::new()),
            _ if absent => Field::Absent,
            _ => Field::Null,
        };
        summary.missing_dates += 1;
    }
}

/// Adds a caption that says nothing, beside at most four that say something.
fn add_missing_caption(entries: &mut Entries, text: Option<&str>, ids: &mut Ids, summary: &mut CocoSummary) {
    entries.captions.truncate(4);
    if let Some(first) = entries.captions.first() {
        let (id, caption) = (ids.next_caption(), text.map(str::to_owned));
        entries.captions.push(Caption { id, caption, ..first.clone() });
        summary.missing_captions += 1;
    }
}

fn pad_caption(picture: &Picture, entries: &mut Entries, summary: &mut CocoSummary) {
    let (before, after) = match picture.block % 3 {
        0 => ("  ", " "),
        1 => ("", "\n"),
        _ => ("\t", "   "),
    };
    if let Some(text) = entries.captions.first_mut().and_then(|caption| caption.caption.as_mut()) {
        *text = format!("{before}{text}{after}");
        summary.padded_captions += 1;
    }
}

// === impl Ids ===

impl Ids {
    /// As if nothing had been numbered.
    pub(super) const fn new() -> Self {
        Self { annotation: 100_000, caption: 500_000 }
    }

    /// An id for an annotation.
    pub(super) fn next_annotation(&mut self) -> u64 {
        self.annotation += 1;
        self.annotation
    }

    /// An id for a caption.
    pub(super) fn next_caption(&mut self) -> u64 {
        self.caption += 1;
        self.caption
    }
}

// === impl Entries ===

impl Entries {
    /// Puts `more` behind what is there.
    pub(super) fn append(&mut self, mut more: Self) {
        self.images.append(&mut more.images);
        self.annotations.append(&mut more.annotations);
        self.captions.append(&mut more.captions);
    }
}

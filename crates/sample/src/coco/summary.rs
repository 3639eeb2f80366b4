//! The summary of the data set.

use serde::Serialize;

/// The contents of the written files, for tests that compare a lakehouse with them.
///
/// `images`, `annotations` and `captions` count the entries of the files; minus the duplicates of the same name, they
/// count the distinct entries. An entry is a duplicate if an earlier one has the same id, or differs from it in the id
/// only. Equal captions of *different* images are not duplicates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CocoSummary {
    /// Entries of `images` in the two `instances` files; the `captions` files list the same.
    pub images: u64,
    /// JPEG files, which is also the number of different image ids.
    pub image_files: u64,
    /// JPEG files under `train2017`.
    pub train_images: u64,
    /// JPEG files under `val2017`.
    pub val_images: u64,
    /// Entries of `annotations` in the two `instances` files.
    pub annotations: u64,
    /// Entries of `annotations` in the two `captions` files.
    pub captions: u64,
    /// Entries of `categories`.
    pub categories: u64,
    /// Different images with at least five people, after duplicate annotations are removed. Neither regions of a crowd
    /// nor twins nor degenerate boxes change this number, however they are treated; duplicates do.
    pub crowded_images: u64,
    /// Annotations of a region (`iscrowd` 1), all of them in crowded images.
    pub crowd_regions: u64,
    /// Entries of `images` that repeat an earlier one.
    pub duplicate_images: u64,
    /// Images whose file equals, byte for byte, the file of an image with a smaller id, be it in the other split.
    pub twin_images: u64,
    /// Annotations of these images; none of them counts as a duplicate.
    pub twin_annotations: u64,
    /// Captions of these images; none of them counts as a duplicate.
    pub twin_captions: u64,
    /// Annotations that repeat an earlier one, under its id or a new one.
    pub duplicate_annotations: u64,
    /// Captions that repeat an earlier one of the image, under its id or a new one.
    pub duplicate_captions: u64,
    /// Captions that are null, empty or blank; every such image has another caption.
    pub missing_captions: u64,
    /// Captions with white space before or after the text.
    pub padded_captions: u64,
    /// Annotations whose box has no width; every such image has another annotation.
    pub degenerate_annotations: u64,
    /// Images that no annotation names.
    pub images_without_annotations: u64,
    /// Images that no caption names.
    pub images_without_captions: u64,
    /// Images whose `license` is null or not there.
    pub missing_licenses: u64,
    /// Images whose `date_captured` is null, empty or not there.
    pub missing_dates: u64,
    /// The size of all files together.
    pub bytes: u64,
}

//! Generates sample data, so that a lakehouse can be built without network access.
//!
//! The data resembles what teams load: small images, boxes, captions, and the flaws that a medallion pipeline cleans up.
//! The summary contains the number of flaws of each kind, so that a test can compare the lakehouse with it. Equal options
//! produce equal bytes: nothing depends on a clock, an environment variable, the order of a hash map, or platform-specific
//! floating-point results.
//!
//! ```text
//! plan (id, split, role) ─▶ scene (what stands where) ─┬▶ backdrop, figure ─▶ canvas ─▶ JPEG
//!                                                      ├▶ document: boxes ─┐
//!                                                      └▶ caption: texts ──┴▶ flaw ─▶ JSON
//! ```
//!
//! # Layout, in reading order
//!
//! Interface: `options` of a data set · `summary` of its contents · `error` · `coco` runs the steps above for every
//! image; only it accesses the file system.
//!
//! Contents: `dice` random numbers · `plan` the images and the flaw of each · `category` the categories of objects ·
//! `scene` their positions.
//!
//! Images: `canvas` shapes · `backdrop` background and light · `figure` objects.
//!
//! Files: `document` JSON entries · `caption` sentences · `flaw` adds the flaws to both.

mod options;
mod summary;
mod error;
mod coco;

mod dice;
mod plan;
mod category;
mod scene;

mod canvas;
mod backdrop;
mod figure;

mod document;
mod caption;
mod flaw;

#[cfg(test)]
mod tests;

pub use self::{
    coco::write_coco,
    error::{Error, Result},
    options::CocoOptions,
    summary::CocoSummary,
};

//! Sample data that the project makes by itself, so that a lakehouse can be rebuilt without a network.
//!
//! The data looks like what teams really load: little pictures, boxes, captions, and the flaws that a medallion
//! pipeline has to clean up. The flaws come in known amounts, so that a test can check the lakehouse against the
//! summary of the generator. Equal options make equal bytes: nothing here reads a clock, an environment or the order
//! of a hash map, and no arithmetic is used whose last digit depends on the platform.
//!
//! ```text
//! plan (id, split, role) ─▶ scene (what stands where) ─┬▶ backdrop, figure ─▶ canvas ─▶ JPEG
//!                                                      ├▶ document: boxes ─┐
//!                                                      └▶ caption: texts ──┴▶ flaw ─▶ JSON
//! ```
//!
//! # Layout, in reading order
//!
//! What goes in and out: `options` of a data set · `summary` of what was written · `error` what can fail · `coco` runs
//! the steps above for every picture; nothing else touches the file system.
//!
//! What is drawn: `dice` the random decisions · `plan` the pictures and the flaw of each · `category` the things that
//! can be drawn · `scene` places them.
//!
//! Pictures: `canvas` the shapes · `backdrop` the surroundings and the light · `figure` the things themselves.
//!
//! Files: `document` the JSON entries · `caption` the sentences · `flaw` adds the flaws to both.

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

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
//! Nothing but [`coco`] touches the file system.

mod backdrop;
mod canvas;
mod caption;
mod category;
pub mod coco;
mod dice;
mod document;
mod figure;
mod flaw;
mod options;
mod plan;
mod scene;
mod summary;
#[cfg(test)]
mod tests;

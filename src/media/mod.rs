//! Media files: images are detected and validated, video clips are cut into fragments, and every kind is described.
//!
//! Ingest validates files before they become assets: a corrupt image is rejected by name at ingest, instead of failing in a
//! training loop weeks later. The module opens no files and depends on neither tables nor stores.

mod boxes;
pub mod facts;
pub mod image;
pub mod kind;
pub mod video;

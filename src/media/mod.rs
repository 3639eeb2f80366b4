//! Detection and validation of media files by their bytes.
//!
//! Ingest validates files before they become assets: a corrupt image is rejected by name at ingest, instead of failing in a
//! training loop weeks later. The module does no I/O and depends on neither tables nor stores.

pub mod image;

//! The object store: landings, assets and backups, as objects under one root.
//!
//! The only module that uses `object_store`. Paths are relative to the root (`raw/coco/…`); tables and clients see URIs.

pub mod dated;
mod fault;
mod probe;
mod ranges;
mod s3;
mod store;

pub use self::{
    ranges::Part,
    s3::{Access, DEFAULT_REGION, Endpoint, S3},
    store::{Copied, Object, Storage},
};

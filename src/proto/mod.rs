//! The messages of `proto/`, generated and committed so that no build needs a protobuf compiler.
//!
//! `merganser.v1.rs` holds the types and `descriptor.bin` the descriptors with the comments of the source, from which
//! JSON bodies are read and ListActions speaks. A test regenerates both and compares; `MERGANSER_BLESS=1` makes it
//! write them instead.

#[expect(missing_docs, clippy::pedantic, reason = "generated from proto/, whose comments it carries")]
mod generated {
    include!("merganser.v1.rs");
}
mod json;

pub use generated::*;
pub use json::{Described, Field, Takes, any_to_json, describe, from_any, from_json, to_any, to_json};

#[cfg(test)]
mod tests;

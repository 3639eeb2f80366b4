//! The messages of `proto/`, generated and committed so that no build needs a protobuf compiler.
//!
//! `merganser.v1.rs` contains the types and `descriptor.bin` the descriptors with the comments of the source, which JSON
//! bodies and ListActions use. A test regenerates both and compares; with `MERGANSER_BLESS=1` it writes them instead.

#[expect(missing_docs, clippy::pedantic, reason = "generated from proto/, whose comments it carries")]
mod generated {
    include!("merganser.v1.rs");
}
mod json;

pub use generated::*;
#[cfg(test)]
pub use json::field_numbers;
pub use json::{
    Described, EnumValue, Field, Takes, any_to_json, describe, enum_values, event_to_json, from_any, from_json, to_any,
    to_json,
};

#[cfg(test)]
mod tests;

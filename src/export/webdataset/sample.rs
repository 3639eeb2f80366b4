//! A sample that was read from a tar file.

use std::collections::HashMap;

use bytes::Bytes;

/// A member that is written.
#[derive(Debug)]
pub struct Member<'a> {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub content: &'a [u8],
}

/// A sample: its key, and its members by field.
#[derive(Debug, Default)]
pub struct Sample {
    /// What all names of its members begin with.
    pub key: String,
    /// The bytes of each field.
    pub fields: HashMap<String, Bytes>,
}

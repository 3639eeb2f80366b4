//! Fields of samples, and the columns for them.

use arrow::datatypes::{DataType, Field, Fields as ArrowFields, Schema, SchemaRef};
use indexmap::IndexMap;

use crate::error::{Error, Result};

/// With more fields, the files are most likely something else.
const MAX_FIELDS: usize = 1000;
/// The columns in front of the fields.
const RESERVED: [&str; 2] = ["__key__", "__url__"];

const MEDIA: &[&str] = &[
    "jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "mp3", "wav", "flac", "ogg", "m4a",
    "opus", "mp4", "mov", "webm", "mkv", "avi", "m4v",
];
const TEXT: &[&str] = &[
    "json",
    "jsn",
    "jsonl",
    "txt",
    "text",
    "caption",
    "captions",
    "transcript",
    "md",
    "html",
    "htm",
    "xml",
    "csv",
    "tsv",
    "yaml",
    "yml",
    "srt",
    "vtt",
];
/// Those that the Python library decodes as such.
const INTEGER: &[&str] = &["cls", "cls2", "class", "count", "index", "inx", "id"];

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image, sound or video, with the name of its member.
    Media,
    /// UTF-8.
    Text,
    /// Text that is a decimal number in all samples.
    Integer,
    /// Everything else.
    Binary,
}

/// The fields of all shards, in the order in which they first occur.
#[derive(Debug, Default)]
pub(super) struct Fields(IndexMap<String, Kind>);

/// Whether `text` is a decimal number of 64 bits, possibly between spaces.
pub(super) fn is_integer(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.trim().parse::<i64>().is_ok())
}

/// The columns of a medium, as data sets of hubs have them.
pub(super) fn media_columns() -> ArrowFields {
    ArrowFields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)])
}

// === impl Fields ===

impl Fields {
    /// The index of the field `name` in lower case, which is added if it is new.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that no column can have, and for too many fields.
    pub fn add(&mut self, name: &str) -> Result<usize> {
        if let Some(index) = self.index_of(name) {
            return Ok(index);
        }
        if name.is_empty() || RESERVED.contains(&name) {
            return Err(Error::invalid(format!(
                "a sample cannot have a field \"{name}\"; rename or remove the members"
            )));
        }
        if self.0.len() == MAX_FIELDS {
            return Err(Error::invalid(format!("the samples have more than {MAX_FIELDS} different fields")));
        }
        Ok(self.0.insert_full(name.to_owned(), Kind::of(name)).0)
    }

    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.0.get_index_of(name)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn is_integer(&self, index: usize) -> bool {
        self.0[index] == Kind::Integer
    }

    /// A value of an integer field is not a number.
    pub fn make_text(&mut self, index: usize) {
        self.0[index] = Kind::Text;
    }

    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.0.values().copied()
    }

    pub fn schema(&self) -> SchemaRef {
        let reserved = RESERVED.map(|name| Field::new(name, DataType::Utf8, false));
        let fields = self.0.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true));
        Schema::new(reserved.into_iter().chain(fields).collect::<Vec<_>>()).into()
    }
}

// === impl Kind ===

impl Kind {
    /// By the last extension of the field: `seg.png` is an image.
    fn of(field: &str) -> Self {
        let extension = field.rsplit('.').next().unwrap_or_default();
        let kinds = [(MEDIA, Self::Media), (TEXT, Self::Text), (INTEGER, Self::Integer)];
        kinds.iter().find(|(known, _)| known.contains(&extension)).map_or(Self::Binary, |(_, kind)| *kind)
    }

    fn data_type(self) -> DataType {
        match self {
            Self::Media => DataType::Struct(media_columns()),
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Binary => DataType::Binary,
        }
    }
}

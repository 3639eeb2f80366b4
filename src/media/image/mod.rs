//! JPEG and PNG images: format, size and integrity.
//!
//! [`probe`] finds files that were cut off, that are no image, and damage as far as the format tells: each chunk of a PNG has a
//! checksum; the scans of a JPEG have none, so that only damage that looks like a marker is found there, which a kilobyte of
//! random bytes nearly always does. Pixels are not decoded. That took most of the time of an ingest of images, and finds
//! little more: decoders fill what is missing of a JPEG with grey.
//!
//! Bytes after the end of the image are ignored: phones append previews and video clips to JPEG files.

mod jpeg;
mod png;

use super::kind::{self, JPEG_START, PNG_START};
pub use super::kind::{MediaClass, MediaKind, sniff};
use crate::error::{Error, Result};

/// The supported image formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG.
    Png,
}

/// The properties of a valid image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// The format, detected from the bytes.
    pub format: ImageFormat,
    /// The width of the stored image; an Exif orientation is not applied.
    pub width: u32,
    /// The height of the stored image.
    pub height: u32,
}

/// Checks the whole file, so that truncated and corrupt ones are refused at ingest.
///
/// # Errors
///
/// `InvalidArgument` with `read image: …` if the bytes are not a complete JPEG or PNG; the caller adds the file name.
pub fn probe(bytes: &[u8]) -> Result<ImageFacts> {
    try_probe(bytes).map_err(|cause| Error::invalid(format!("read image: {cause}")))
}

fn try_probe(bytes: &[u8]) -> Result<ImageFacts, String> {
    let format = format_of(bytes)?;
    let size = match format {
        ImageFormat::Jpeg => jpeg::size(bytes),
        ImageFormat::Png => png::size(bytes),
    };
    let (width, height) =
        size.map_err(|cause| format!("the {} file is truncated or corrupt: {cause}", format.name()))?;
    Ok(ImageFacts { format, width, height })
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat, String> {
    if bytes.starts_with(JPEG_START) {
        return Ok(ImageFormat::Jpeg);
    }
    if bytes.starts_with(PNG_START) {
        return Ok(ImageFormat::Png);
    }
    Err(match sniff(bytes) {
        _ if bytes.is_empty() => "the file is empty".to_owned(),
        Some(kind) => format!("the file is {}, but only JPEG and PNG are supported", kind.media_type),
        None => "the file is neither JPEG nor PNG".to_owned(),
    })
}

// === impl ImageFormat ===

impl ImageFormat {
    /// The usual file extension without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        self.kind().extension
    }

    /// The media type (MIME type).
    #[must_use]
    pub fn media_type(self) -> &'static str {
        self.kind().media_type
    }

    fn kind(self) -> MediaKind {
        match self {
            Self::Jpeg => kind::JPEG,
            Self::Png => kind::PNG,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
        }
    }
}

#[cfg(test)]
mod tests;

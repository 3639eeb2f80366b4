//! Images: format, size and integrity.
//!
//! Decoders are more lenient than a lakehouse should be: the JPEG decoder fills the missing part of a truncated file with
//! grey, and the PNG decoder stops before the end of the file. [`probe`] therefore checks, in this order:
//!
//! 1. that the container is complete (JPEG: the end-of-image marker; PNG: the `IEND` chunk),
//! 2. that the whole image decodes, within [`MAX_SIDE_PX`] and [`MAX_DECODED_BYTES`].
//!
//! Of a JPEG in colour, only the luminance is computed: all of its data is read all the same.
//!
//! Bytes after the end of the image are ignored: phones append previews and video clips to JPEG files.
//!
//! Limits: the entropy-coded data of a JPEG has no checksum, so bytes that were lost or changed inside of it are not
//! detected. Probing an image may use up to [`MAX_DECODED_BYTES`] of memory.

use std::io::Cursor;

use image::error::ImageError;
use image::{ImageReader, Limits};
use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use super::kind::{self, JPEG_START, PNG_START};
pub use super::kind::{MediaClass, MediaKind, sniff};
use crate::error::{Error, Result};

/// The maximum width and height of an image.
pub const MAX_SIDE_PX: u32 = 16_384;

/// The maximum size of a decoded image. A file of a few kilobytes may decode to gigabytes.
pub const MAX_DECODED_BYTES: u64 = 512 << 20;

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

/// Decodes the whole image, so that truncated and corrupt files are rejected at ingest.
///
/// # Errors
///
/// `InvalidArgument` with `decode image: …` if the bytes are not a complete JPEG or PNG, or exceed the limits; the caller
/// adds the file name.
pub fn probe(bytes: &[u8]) -> Result<ImageFacts> {
    try_probe(bytes).map_err(|cause| Error::invalid(format!("decode image: {cause}")))
}

fn try_probe(bytes: &[u8]) -> Result<ImageFacts, String> {
    let format = format_of(bytes)?;
    if !format.is_complete(bytes) {
        let end = format.end_mark();
        return Err(format!("the {} file is truncated or corrupt: it has no {end}", format.name()));
    }
    let (width, height) = match format {
        ImageFormat::Jpeg => decode_jpeg(bytes)?,
        ImageFormat::Png => decode_png(bytes)?,
    };
    Ok(ImageFacts { format, width, height })
}

/// The size in pixels.
fn decode_png(bytes: &[u8]) -> Result<(u32, u32), String> {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image::ImageFormat::Png);
    reader.limits(limits);
    let image = reader.decode().map_err(|err| match err {
        ImageError::Limits(_) => too_large(),
        // The outer message only repeats the name of the format.
        err => corrupt(ImageFormat::Png, std::error::Error::source(&err).unwrap_or(&err)),
    })?;
    Ok((image.width(), image.height()))
}

/// The size in pixels.
fn decode_jpeg(bytes: &[u8]) -> Result<(u32, u32), String> {
    let corrupt = |err: DecodeErrors| corrupt(ImageFormat::Jpeg, &err);
    // The decoder takes two bytes for a side.
    let any_size = usize::from(u16::MAX);
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(any_size).set_max_height(any_size);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(corrupt)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (width, height) = (u32::try_from(width).unwrap_or(u32::MAX), u32::try_from(height).unwrap_or(u32::MAX));
    let bytes_of_pixels = u64::from(width) * u64::from(height) * 3;
    if width.max(height) > MAX_SIDE_PX || bytes_of_pixels > MAX_DECODED_BYTES {
        return Err(too_large());
    }
    let target = match decoder.input_colorspace() {
        Some(ColorSpace::YCbCr | ColorSpace::Luma) => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(target));
    decoder.decode().map_err(corrupt)?;
    Ok((width, height))
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

fn too_large() -> String {
    let limit_mib = MAX_DECODED_BYTES >> 20;
    format!("the image is larger than {MAX_SIDE_PX} x {MAX_SIDE_PX} px or {limit_mib} MiB decoded")
}

fn corrupt(format: ImageFormat, cause: &dyn std::error::Error) -> String {
    format!("the {} file is corrupt: {cause}", format.name())
}

/// Whether following the markers leads to end-of-image. A search from the end of the file would not suffice, because the
/// preview in the Exif segment has an end-of-image marker too.
fn reaches_end_of_image(jpeg: &[u8]) -> bool {
    let mut at = JPEG_START.len() - 1;
    while let (Some(&first), Some(&second)) = (jpeg.get(at), jpeg.get(at + 1)) {
        at += match (first, second) {
            (0xFF, 0xD9) => return true,
            // Padding before a marker, or a byte of entropy-coded data.
            (0xFF, 0xFF) | (0x00..=0xFE, _) => 1,
            // An escaped 0xFF of entropy-coded data, or a marker without a segment.
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => 2,
            (0xFF, _) => match jpeg.get(at + 2..at + 4) {
                Some(length) => 2 + usize::from(length[0]) * 256 + usize::from(length[1]),
                None => return false,
            },
        };
    }
    false
}

/// Whether following the chunks leads to a complete `IEND`.
fn reaches_end_chunk(png: &[u8]) -> bool {
    const FRAME_BYTES: usize = 12; // length, type and checksum
    let mut at = PNG_START.len();
    while let Some([l0, l1, l2, l3, kind @ ..]) = png.get(at..at.saturating_add(8)) {
        let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
        at = at.saturating_add(length).saturating_add(FRAME_BYTES);
        if kind == b"IEND" {
            return at <= png.len();
        }
    }
    false
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

    fn is_complete(self, bytes: &[u8]) -> bool {
        match self {
            Self::Jpeg => reaches_end_of_image(bytes),
            Self::Png => reaches_end_chunk(bytes),
        }
    }

    fn end_mark(self) -> &'static str {
        match self {
            Self::Jpeg => "end-of-image marker",
            Self::Png => "IEND chunk",
        }
    }
}

#[cfg(test)]
mod tests;

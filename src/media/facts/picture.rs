//! The size of pictures, from their headers.

use std::io::Cursor;

use image::{ImageFormat, ImageReader};

use super::heif;
use crate::error::{Error, Result};
use crate::media::kind::{self, MediaKind};

/// The width and height in pixels. `None` for an AVIF or HEIC without a primary image.
pub(super) fn size(bytes: &[u8], kind: MediaKind) -> Result<Option<(u32, u32)>> {
    let size = match kind {
        kind::BMP => ImageReader::with_format(Cursor::new(bytes), ImageFormat::Bmp).into_dimensions().ok(),
        kind::AVIF | kind::HEIC | kind::HEIF => return heif::size(bytes),
        kind::WEBP => {
            check_riff(bytes)?;
            header_size(bytes)
        }
        _ => header_size(bytes),
    };
    size.map(Some).ok_or_else(|| Error::invalid("the file is truncated or corrupt: no width and height in its header"))
}

/// Nobody draws a picture without pixels.
fn header_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let size = imagesize::blob_size(bytes).ok()?;
    let (width, height) = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
    (width > 0 && height > 0).then_some((width, height))
}

/// Decoders fail if a chunk was cut off; they do not need the byte of padding behind the last one.
fn check_riff(bytes: &[u8]) -> Result<()> {
    let claimed = super::bytes::array(bytes, 4).map_or(0, u32::from_le_bytes);
    let present = bytes.len().saturating_sub(8);
    if claimed as usize > present + 1 {
        let message = format!("the file is truncated: {claimed} bytes should follow its first 8, but {present} do");
        return Err(Error::invalid(message));
    }
    Ok(())
}

//! JPEG files: the size, and whether all segments and scans are there.

use std::ops::RangeInclusive;

use memchr::memchr;
use zune_jpeg::{
    JpegDecoder,
    zune_core::{bytestream::ZCursor, options::DecoderOptions},
};

// The second byte of markers, by table B.1 of ITU T.81.
/// An escaped 0xFF of entropy-coded data.
const ESCAPED: u8 = 0x00;
/// A marker without a segment and without a meaning.
const TEM: u8 = 0x01;
/// The markers between the restart intervals of a scan.
const RST: RangeInclusive<u8> = 0xD0..=0xD7;
/// The start of an image.
const SOI: u8 = 0xD8;
/// The end of an image.
const EOI: u8 = 0xD9;
/// Markers that have no meaning.
const RESERVED: RangeInclusive<u8> = 0x02..=0xBF;

/// The width and height in pixels of a file whose segments are whole.
///
/// Its tables and its frame are read as a decoder reads them, but no scan is decoded.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), String> {
    follow_segments(bytes)?;
    // The decoder takes two bytes for a side.
    let any = usize::from(u16::MAX);
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(any).set_max_height(any);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|err| err.to_string())?;
    let size = decoder.dimensions().and_then(|(width, height)| Some((width.try_into().ok()?, height.try_into().ok()?)));
    size.ok_or_else(|| "it has no frame header".to_owned())
}

/// Follows the segments and scans to the end of the image. A search from the end of the file would not suffice, because the
/// preview in the Exif segment has an end-of-image marker too. Bytes between segments are skipped, as decoders do.
fn follow_segments(jpeg: &[u8]) -> Result<(), String> {
    let mut rest = &jpeg[2..];
    while let Some(marker) = next_marker(&mut rest) {
        match marker {
            ESCAPED | TEM => {}
            marker if RST.contains(&marker) => {}
            EOI => return Ok(()),
            SOI => return Err("another image begins before the end of this one".to_owned()),
            marker if RESERVED.contains(&marker) => return Err(format!("it has the unknown marker FF{marker:02X}")),
            _ => skip_segment(&mut rest)?,
        }
    }
    Err("it has no end-of-image marker".to_owned())
}

/// The second byte of the next marker; `rest` begins behind it then.
fn next_marker(rest: &mut &[u8]) -> Option<u8> {
    const FILL: u8 = 0xFF;
    let at = memchr(FILL, rest)?;
    let fill = rest[at..].iter().take_while(|byte| **byte == FILL).count();
    let (marker, behind) = rest[at + fill..].split_first()?;
    *rest = behind;
    Some(*marker)
}

fn skip_segment(rest: &mut &[u8]) -> Result<(), String> {
    const CUT_OFF: &str = "it has no end-of-image marker";
    // The length counts its own two bytes.
    let length = u16::from_be_bytes(*rest.first_chunk().ok_or(CUT_OFF)?);
    if length < 2 {
        return Err("it has a segment without a length".to_owned());
    }
    *rest = rest.get(usize::from(length)..).ok_or(CUT_OFF)?;
    Ok(())
}

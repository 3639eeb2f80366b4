//! PNG files: the size, and whether all chunks are there, with the checksum of each.

use super::super::kind::PNG_START;

/// The width and height in pixels of a file whose chunks are whole (PNG Specification, 5.3). No pixel is decoded: the
/// checksums find whatever was lost or changed after the file was written.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), String> {
    let mut rest = bytes.get(PNG_START.len()..).unwrap_or_default();
    let Some(Chunk { kind: b"IHDR", data: [w0, w1, w2, w3, h0, h1, h2, h3, _, _, _, _, _] }) = next_chunk(&mut rest)?
    else {
        return Err("it does not begin with an IHDR chunk of 13 bytes".to_owned());
    };
    let (width, height) = (u32::from_be_bytes([*w0, *w1, *w2, *w3]), u32::from_be_bytes([*h0, *h1, *h2, *h3]));
    if width == 0 || height == 0 {
        return Err(format!("its size is {width} x {height} px"));
    }
    let mut has_pixels = false;
    while let Some(Chunk { kind, data }) = next_chunk(&mut rest)? {
        match kind {
            b"IDAT" => has_pixels |= !data.is_empty(),
            b"IEND" if has_pixels => return Ok((width, height)),
            b"IEND" => return Err("it has no pixels".to_owned()),
            _ => {}
        }
    }
    Err("it has no IEND chunk".to_owned())
}

#[derive(Debug)]
struct Chunk<'a> {
    kind: &'a [u8; 4],
    data: &'a [u8],
}

/// The next chunk; `rest` begins behind it then. `None` at the end of the file, even within a chunk.
fn next_chunk<'a>(rest: &mut &'a [u8]) -> Result<Option<Chunk<'a>>, String> {
    let Some(chunk) = split_chunk(rest) else { return Ok(None) };
    let (covered, crc, behind) = chunk;
    let Some((kind, data)) = covered.split_first_chunk() else { return Ok(None) };
    if crc32fast::hash(covered) != crc {
        return Err(format!("the checksum of its chunk {} is wrong", kind.escape_ascii()));
    }
    *rest = behind;
    Ok(Some(Chunk { kind, data }))
}

/// The type and data of a chunk, their checksum, and what follows.
fn split_chunk(bytes: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let (length, bytes) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (covered, bytes) = bytes.split_at_checked(length.checked_add(4)?)?;
    let (crc, behind) = bytes.split_first_chunk()?;
    Some((covered, u32::from_be_bytes(*crc), behind))
}

//! AVIF and HEIC: the properties of the primary image in the `meta` box.

use crate::error::{Error, Result};
use crate::media::boxes::{Atom, Fields};

/// The maximum number of properties: what refers to them has 15 bits.
const MAX_PROPERTIES: usize = 0x7FFF;

/// The width and height of the primary image as it is shown, cropped and turned; `None` if there is none, as in films
/// of images.
pub(super) fn size(bytes: &[u8]) -> Result<Option<(u32, u32)>> {
    let file = Atom { kind: *b"file", bytes, body: bytes };
    let mut meta = None;
    for child in file.children() {
        let child = child?;
        if child.kind == *b"meta" {
            meta.get_or_insert(child);
        }
    }
    let Some(meta) = meta else { return Ok(None) };
    let in_meta = |kind| meta.children_from(4).find(kind);
    let (Some(pitm), Some(iprp)) = (in_meta(*b"pitm")?, in_meta(*b"iprp")?) else { return Ok(None) };
    let mut fields = pitm.fields();
    let [version, ..] = fields.array::<4>()?;
    let primary = item(&mut fields, version >= 1)?;
    let properties = iprp.child(*b"ipco")?.children().take(MAX_PROPERTIES).collect::<Result<Vec<_>>>()?;
    let mut size = None;
    for index in indices(iprp.child(*b"ipma")?, primary)? {
        if let Some(property) = index.checked_sub(1).and_then(|index| properties.get(index)) {
            size = apply(*property, size)?;
        }
    }
    Ok(size)
}

/// The numbers from 1 of the properties of `item`, in the order in which they apply.
fn indices(ipma: Atom<'_>, wanted: u32) -> Result<Vec<usize>> {
    let mut fields = ipma.fields();
    let [version, .., flags] = fields.array::<4>()?;
    for _ in 0..fields.u32()? {
        let item = item(&mut fields, version >= 1)?;
        let count = fields.u8()?;
        let mut index = || {
            // The first bit says that readers must know the property.
            if flags & 1 == 0 {
                fields.u8().map(|index| index & 0x7F).map(usize::from)
            } else {
                fields.u16().map(|index| index & 0x7FFF).map(usize::from)
            }
        };
        let indices = (0..count).map(|_| index()).collect::<Result<_>>()?;
        if item == wanted {
            return Ok(indices);
        }
    }
    Ok(Vec::new())
}

/// The number of an item.
fn item(fields: &mut Fields<'_>, is_long: bool) -> Result<u32> {
    if is_long { fields.u32() } else { fields.u16().map(u32::from) }
}

/// The size after a property: the one that is stored, the one that is left after cropping, and that after turning.
fn apply(property: Atom<'_>, size: Option<(u32, u32)>) -> Result<Option<(u32, u32)>> {
    let mut fields = property.fields();
    match &property.kind {
        b"ispe" => {
            fields.skip(4)?;
            let (width, height) = (fields.u32()?, fields.u32()?);
            Ok((width > 0 && height > 0).then_some((width, height)))
        }
        b"clap" => {
            let mut length =
                || fields.u32()?.checked_div(fields.u32()?).filter(|length| *length > 0).ok_or_else(no_pixels);
            Ok(Some((length()?, length()?)))
        }
        b"irot" if fields.u8()? & 1 == 1 => Ok(size.map(|(width, height)| (height, width))),
        _ => Ok(size),
    }
}

fn no_pixels() -> Error {
    Error::invalid("the file is corrupt: nothing is left of its image")
}

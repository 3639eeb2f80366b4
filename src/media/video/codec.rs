//! The sample entry of a video track: codec and picture size.

use crate::error::{Error, Result};
use crate::media::boxes::{Atom, Fields, Kind, name};

/// The length of the fields before the boxes of a visual sample entry.
const VISUAL_FIELDS: usize = 78;

/// `objectTypeIndication` of JPEG.
const MPEG4_JPEG: u8 = 0x6C;

/// Sample entries of audio whose samples are packets. Of PCM, each sample is one value per channel: tables of millions of
/// entries a minute.
const PACKET_AUDIO: &[&Kind] = &[
    b"mp4a", b"ac-3", b"ec-3", b"ac-4", b"Opus", b"fLaC", b"alac", b".mp3", b"samr", b"sawb", b"dtsc", b"dtsh",
    b"dtsl", b"dtse",
];

/// What the sample entry of a video track says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Picture {
    /// As in RFC 6381, for example `avc1.64001e`; `mjpeg`; or the bare name of the sample entry.
    pub(super) codec: String,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Reads the sample entry `description` (from 1) of `stsd`.
pub(super) fn picture(stsd: Atom<'_>, description: u32) -> Result<Picture> {
    let entry = entry(stsd, description)?;
    let configuration = |kind| {
        let missing = || Error::invalid(format!("the sample entry {} has no {} box", name(entry.kind), name(kind)));
        entry.children_from(VISUAL_FIELDS).find(kind)?.ok_or_else(missing)
    };
    let kind = entry.kind.escape_ascii();
    let codec = match &entry.kind {
        b"encv" | b"drmi" => return Err(Error::invalid("the video is encrypted")),
        b"avc1" | b"avc3" => {
            let [_, profile, constraints, level] = configuration(*b"avcC")?.fields().array()?;
            format!("{kind}.{profile:02x}{constraints:02x}{level:02x}")
        }
        b"hvc1" | b"hev1" => format!("{kind}.{}", hevc_profile(configuration(*b"hvcC")?)?),
        b"jpeg" | b"mjpa" => "mjpeg".to_owned(),
        b"mp4v" => match object_type(configuration(*b"esds")?)? {
            MPEG4_JPEG => "mjpeg".to_owned(),
            object_type => format!("{kind}.{object_type:02x}"),
        },
        _ => kind.to_string(),
    };
    let (width, height) = size(stsd, description)?.ok_or_else(|| Error::invalid("the video has no width or height"))?;
    Ok(Picture { codec, width, height })
}

/// The width and height in the sample entry `description` (from 1) of `stsd`, unless they are 0. All codecs have them at the
/// same place.
pub(super) fn size(stsd: Atom<'_>, description: u32) -> Result<Option<(u32, u32)>> {
    let mut fields = entry(stsd, description)?.fields();
    fields.skip(24)?;
    let (width, height) = (u32::from(fields.u16()?), u32::from(fields.u16()?));
    Ok((width > 0 && height > 0).then_some((width, height)))
}

fn entry(stsd: Atom<'_>, description: u32) -> Result<Atom<'_>> {
    let missing = || Error::invalid(format!("the track has no sample description {description}"));
    let index = (description as usize).checked_sub(1).ok_or_else(missing)?;
    stsd.children_from(8).nth(index).ok_or_else(missing)?
}

/// Whether all samples of an audio track are packets that can be carried as they are.
pub(super) fn is_packet_audio(stsd: Atom<'_>) -> bool {
    let is_known = |entry: Result<Atom<'_>>| entry.is_ok_and(|entry| PACKET_AUDIO.contains(&&entry.kind));
    let mut entries = stsd.children_from(8).peekable();
    entries.peek().is_some() && entries.all(is_known)
}

/// Profile, compatibility, tier, level and constraints as in ISO/IEC 14496-15, annex E.
fn hevc_profile(hvcc: Atom<'_>) -> Result<String> {
    let mut fields = hvcc.fields();
    let [_, profile] = fields.array()?;
    let compatibility = fields.u32()?.reverse_bits();
    let constraints: [u8; 6] = fields.array()?;
    let level = fields.u8()?;
    let space = ["", "A", "B", "C"].get(usize::from(profile >> 6)).unwrap_or(&"");
    let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
    let mut text = format!("{space}{}.{compatibility:X}.{tier}{level}", profile & 0x1F);
    let n_used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in constraints.iter().take(n_used) {
        text += &format!(".{byte:X}");
    }
    Ok(text)
}

/// The `objectTypeIndication` in an `esds` box.
fn object_type(esds: Atom<'_>) -> Result<u8> {
    let mut fields = esds.fields();
    fields.skip(4)?;
    descriptor(&mut fields, 3)?;
    fields.skip(2)?;
    let flags = fields.u8()?;
    if flags & 0x80 != 0 {
        fields.skip(2)?;
    }
    if flags & 0x40 != 0 {
        let length = fields.u8()?;
        fields.skip(usize::from(length))?;
    }
    if flags & 0x20 != 0 {
        fields.skip(2)?;
    }
    descriptor(&mut fields, 4)?;
    fields.u8()
}

/// Skips the tag and the length (1 to 4 bytes) of a descriptor.
fn descriptor(fields: &mut Fields<'_>, tag: u8) -> Result<()> {
    if fields.u8()? != tag {
        return Err(Error::invalid(format!("the \"esds\" box has no descriptor {tag}")));
    }
    for _ in 0..4 {
        if fields.u8()? & 0x80 == 0 {
            break;
        }
    }
    Ok(())
}

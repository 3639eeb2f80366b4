//! A track of the `moov` box: its samples, and the boxes of it that the initialization segment repeats.

use super::samples::{self, Budget, Defaults, Runs, Sample};
use crate::error::{Error, Result};
use crate::media::boxes::{Atom, Kind};

/// A track whose samples are carried.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub(super) id: u32,
    /// Ticks a second.
    pub(super) timescale: u32,
    /// The boxes `tkhd`, `mdhd`, `hdlr`, those of `minf` but `stbl`, and `stsd`; durations are 0.
    pub(super) tkhd: Vec<u8>,
    pub(super) mdhd: Vec<u8>,
    pub(super) hdlr: Vec<u8>,
    pub(super) media_information: Vec<u8>,
    pub(super) stsd: Vec<u8>,
    pub(super) edit: Edit,
    /// The number of the sample description from 1; 0 while there are no samples.
    pub(super) description: u32,
    /// In decode order.
    pub(super) samples: Vec<Sample>,
    /// The entry of `trex`.
    pub(super) defaults: Defaults,
    /// The decode time that follows the last sample.
    pub(super) end_time: i64,
}

/// The start of an edit list; further edits are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// The presentation time where playing begins, in ticks of the track.
    pub(super) media_time: i64,
    /// How long nothing is played before, in ticks of the movie.
    pub(super) delay: u64,
}

/// What decides whether a track is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) handler: Kind,
    pub(super) enabled: bool,
}

/// The handler of a track and whether it is enabled.
pub(super) fn role(trak: Atom<'_>) -> Result<Role> {
    let flags = trak.child(*b"tkhd")?.fields().u32()?;
    let mut fields = trak.child(*b"mdia")?.child(*b"hdlr")?.fields();
    fields.skip(8)?;
    Ok(Role { handler: fields.array()?, enabled: flags & 1 != 0 })
}

/// The `stsd` box of a track.
pub(super) fn sample_descriptions(trak: Atom<'_>) -> Result<Atom<'_>> {
    trak.child(*b"mdia")?.child(*b"minf")?.child(*b"stbl")?.child(*b"stsd")
}

/// A header box (`mvhd`, `tkhd` or `mdhd`) whose duration is 0, as it must be where `moov` has no samples. The duration
/// follows `fields_before` fields, of which the first is version and flags and two are times.
pub(super) fn without_duration(atom: Atom<'_>, fields_before: usize) -> Result<Vec<u8>> {
    let is_long = atom.fields().u8()? == 1;
    let time_bytes = if is_long { 8 } else { 4 };
    let header_bytes = atom.bytes.len() - atom.body.len();
    let start = header_bytes + 2 * time_bytes + (fields_before - 2) * 4;
    let mut bytes = atom.bytes.to_vec();
    let duration = bytes.get_mut(start..start + time_bytes);
    duration.ok_or_else(|| Error::invalid("a header box of the movie is too short"))?.fill(0);
    Ok(bytes)
}

/// The timescale in `mvhd` or `mdhd`.
pub(super) fn timescale(atom: Atom<'_>) -> Result<u32> {
    let mut fields = atom.fields();
    let [version, ..] = fields.array::<4>()?;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    match fields.u32()? {
        0 => Err(Error::invalid("a timescale is 0")),
        timescale => Ok(timescale),
    }
}

/// The duration in `tkhd`, in ticks of the movie, unless it is 0 or not known.
pub(super) fn duration(tkhd: Atom<'_>) -> Result<Option<i64>> {
    let mut fields = tkhd.fields();
    let [version, ..] = fields.array::<4>()?;
    let is_long = version == 1;
    fields.skip(if is_long { 16 } else { 8 } + 8)?;
    let (ticks, unknown) = if is_long { (fields.u64()?, u64::MAX) } else { (fields.u32()?.into(), u32::MAX.into()) };
    Ok(i64::try_from(ticks).ok().filter(|_| ticks != 0 && ticks != unknown))
}

/// The number of a track in `tkhd`.
pub(super) fn id(tkhd: Atom<'_>) -> Result<u32> {
    let mut fields = tkhd.fields();
    let [version, ..] = fields.array::<4>()?;
    fields.skip(if version == 1 { 16 } else { 8 })?;
    fields.u32()
}

fn edit(trak: Atom<'_>) -> Result<Edit> {
    let mut edit = Edit::default();
    let Some(edts) = trak.find(*b"edts")? else { return Ok(edit) };
    let Some(elst) = edts.find(*b"elst")? else { return Ok(edit) };
    let mut fields = elst.fields();
    let [version, ..] = fields.array::<4>()?;
    for _ in 0..fields.u32()? {
        let (duration, media_time) = if version == 1 {
            (fields.u64()?, fields.u64()?.cast_signed())
        } else {
            (u64::from(fields.u32()?), i64::from(fields.i32()?))
        };
        fields.skip(4)?;
        if media_time >= 0 {
            edit.media_time = samples::checked_time(Some(media_time))?;
            break;
        }
        edit.delay = edit.delay.saturating_add(duration);
    }
    Ok(edit)
}

/// The entry for track `id` in `mvex`.
pub(super) fn defaults(moov: Atom<'_>, id: u32) -> Result<Defaults> {
    let Some(mvex) = moov.find(*b"mvex")? else { return Ok(Defaults::default()) };
    for child in mvex.children() {
        let child = child?;
        let mut fields = child.fields();
        if child.kind != *b"trex" {
            continue;
        }
        fields.skip(4)?;
        if fields.u32()? == id {
            let (description, duration) = (fields.u32()?, fields.u32()?);
            return Ok(Defaults { description, duration, size: fields.u32()?, flags: fields.u32()? });
        }
    }
    Ok(Defaults::default())
}

// === impl Track ===

impl Track {
    /// Reads a `trak` box of `moov`, with the samples that its tables describe.
    pub(super) fn read(moov: Atom<'_>, trak: Atom<'_>, budget: &mut Budget) -> Result<Self> {
        let (tkhd, mdia) = (trak.child(*b"tkhd")?, trak.child(*b"mdia")?);
        let (mdhd, minf) = (mdia.child(*b"mdhd")?, mdia.child(*b"minf")?);
        let stbl = minf.child(*b"stbl")?;
        let mut media_information = Vec::new();
        for child in minf.children() {
            let child = child?;
            if child.kind != *b"stbl" {
                media_information.extend_from_slice(child.bytes);
            }
        }
        let id = id(tkhd)?;
        let (samples, description) = samples::of_tables(stbl, budget)?;
        let end_time = samples.last().map_or(0, |last| last.decode_time + i64::from(last.duration));
        Ok(Self {
            id,
            timescale: timescale(mdhd)?,
            tkhd: without_duration(tkhd, 5)?,
            mdhd: without_duration(mdhd, 4)?,
            hdlr: mdia.child(*b"hdlr")?.bytes.to_vec(),
            media_information,
            stsd: stbl.child(*b"stsd")?.bytes.to_vec(),
            edit: edit(trak)?,
            description,
            samples,
            defaults: defaults(moov, id)?,
            end_time,
        })
    }

    /// Appends the samples of a `traf` box. `implicit_base` is where the data of the `traf` before it ends, if that is known.
    /// Returns where the data of this one ends.
    pub(super) fn extend(
        &mut self,
        traf: Atom<'_>,
        moof_start: u64,
        implicit_base: Option<u64>,
        budget: &mut Budget,
    ) -> Result<u64> {
        let mut fields = traf.child(*b"tfhd")?.fields();
        let flags = fields.u32()?;
        fields.skip(4)?;
        let explicit_base = (flags & 0x1 != 0).then(|| fields.u64()).transpose()?;
        let defaults = Defaults {
            description: fields.u32_if(flags, 0x2)?.unwrap_or(self.defaults.description),
            duration: fields.u32_if(flags, 0x8)?.unwrap_or(self.defaults.duration),
            size: fields.u32_if(flags, 0x10)?.unwrap_or(self.defaults.size),
            flags: fields.u32_if(flags, 0x20)?.unwrap_or(self.defaults.flags),
        };
        let default_base = if flags & 0x2_0000 == 0 { implicit_base } else { Some(moof_start) };
        let unknown = || Error::invalid("the place of the samples depends on a track that is not carried");
        let base = explicit_base.or(default_base).ok_or_else(unknown)?;
        let decode_time = match traf.find(*b"tfdt")? {
            Some(tfdt) => decode_time(tfdt)?,
            None => self.end_time,
        };
        let n_before = self.samples.len();
        let (end, end_time) = Runs { traf, defaults, base, decode_time }.read(&mut self.samples, budget)?;
        self.end_time = end_time;
        if self.samples.len() > n_before {
            if self.description != 0 && self.description != defaults.description {
                return Err(samples::several_descriptions());
            }
            self.description = defaults.description;
        }
        Ok(end)
    }
}

/// The decode time of the first sample of a fragment.
pub(super) fn decode_time(tfdt: Atom<'_>) -> Result<i64> {
    let mut fields = tfdt.fields();
    let [version, ..] = fields.array::<4>()?;
    let time = if version == 1 { fields.u64()? } else { u64::from(fields.u32()?) };
    samples::checked_time(i64::try_from(time).ok())
}

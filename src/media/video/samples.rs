//! Samples: where each frame is in the file and when it is decoded and shown.
//!
//! They come from the tables of `stbl`, from the runs (`trun`) of a `moof`, or from both. A sample takes 32 bytes of memory
//! whatever the tables are; [`Budget`] bounds their number and their bytes by the length of the file, because tables of a few
//! bytes can claim billions of samples.

use crate::error::{Error, Result};
use crate::media::boxes::{Atom, Kind, name};

/// The maximum number of samples of a clip: about a day of video with audio, and 320 MB of memory.
const MAX_SAMPLES: u64 = 10_000_000;

/// The maximum decode time in ticks; leaves room to calculate.
const MAX_TIME: i64 = i64::MAX / 4;

/// The flag of a sample that is no sync sample.
const NOT_SYNC: u32 = 0x1_0000;

/// A frame of a video track, or a packet of an audio track, in decode order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The first byte in the file.
    pub(super) offset: u64,
    /// In ticks of the track's timescale.
    pub(super) decode_time: i64,
    /// The length in bytes.
    pub(super) size: u32,
    /// In ticks, until the decode time of the next sample.
    pub(super) duration: u32,
    /// The presentation time less the decode time, in ticks.
    pub(super) composition: i32,
    /// Whether decoding may begin here.
    pub(super) sync: bool,
    /// Whether this is the first sample of its track in a `moof`.
    pub(super) starts_moof: bool,
}

/// What the file can hold beyond the samples that were read.
#[derive(Debug)]
pub(super) struct Budget {
    file_length: u64,
    bytes: u64,
    samples: u64,
}

/// What holds for the samples of a run that say nothing else: `trex`, overridden by `tfhd`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Defaults {
    pub(super) description: u32,
    pub(super) duration: u32,
    pub(super) size: u32,
    pub(super) flags: u32,
}

/// The runs of a `traf`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs<'a> {
    pub(super) traf: Atom<'a>,
    pub(super) defaults: Defaults,
    /// Where the samples begin, and where data offsets count from.
    pub(super) base: u64,
    /// The decode time of the first sample.
    pub(super) decode_time: i64,
}

/// A run-length encoded table: `stts` or `ctts`.
struct RunLengths<'a> {
    entries: std::slice::Iter<'a, [[u8; 4]; 2]>,
    left: u32,
    value: [u8; 4],
}

/// Reads the samples that the tables of `stbl` describe, and the number of their sample description (0: no samples).
pub(super) fn of_tables(stbl: Atom<'_>, budget: &mut Budget) -> Result<(Vec<Sample>, u32)> {
    if stbl.find(*b"stz2")?.is_some() {
        return Err(Error::invalid("compact sample sizes (stz2) are not supported"));
    }
    let Some(stsz) = stbl.find(*b"stsz")? else { return Ok((Vec::new(), 0)) };
    let (count, mut size_of) = sizes(stsz)?;
    if count == 0 {
        return Ok((Vec::new(), 0));
    }
    let mut durations = RunLengths::new(stbl.child(*b"stts")?.table()?);
    let mut compositions = stbl.find(*b"ctts")?.map(|ctts| ctts.table()).transpose()?.map(RunLengths::new);
    let sync_samples = stbl.find(*b"stss")?.map(|stss| stss.table::<1>()).transpose()?;
    let mut samples = Vec::new();
    let mut decode_time = 0;
    let description = each_chunk(stbl, |mut offset, n_samples| {
        for _ in 0..n_samples {
            let Some(size) = size_of.next() else { return Ok(false) };
            let duration = durations.next().map(u32::from_be_bytes).ok_or_else(|| too_few(*b"stts"))?;
            let composition = match &mut compositions {
                Some(compositions) => compositions.next().map(i32::from_be_bytes).ok_or_else(|| too_few(*b"ctts"))?,
                None => 0,
            };
            let sync = sync_samples.is_none();
            budget.admit(offset, size)?;
            samples.push(Sample { offset, decode_time, size, duration, composition, sync, starts_moof: false });
            offset += u64::from(size);
            decode_time += i64::from(duration);
        }
        Ok(true)
    })?;
    if samples.len() as u64 != u64::from(count) {
        let message = format!("the chunks (stsc and stco) hold {} samples, but stsz {count}", samples.len());
        return Err(Error::invalid(message));
    }
    for [number] in sync_samples.unwrap_or_default() {
        let number = u32::from_be_bytes(*number);
        let sample = (number as usize).checked_sub(1).and_then(|index| samples.get_mut(index));
        sample.ok_or_else(|| Error::invalid(format!("stss names sample {number} of {count}")))?.sync = true;
    }
    Ok((samples, description))
}

/// Sets the durations from the decode times of consecutive samples: a gap between two input fragments becomes part of the
/// sample before it.
pub(super) fn settle(samples: &mut [Sample]) -> Result<()> {
    let mut next_time = None;
    for sample in samples.iter_mut().rev() {
        if let Some(next_time) = next_time {
            let unusable = |_| Error::invalid("the decode times go backwards, or leave a gap of more than 2^32 ticks");
            sample.duration = u32::try_from(next_time - sample.decode_time).map_err(unusable)?;
        }
        next_time = Some(sample.decode_time);
    }
    Ok(())
}

/// Delays the presentation of all samples so that none is presented before it is decoded. Returns the delay in ticks.
pub(super) fn without_negative_compositions(samples: &mut [Sample]) -> Result<i64> {
    let smallest = samples.iter().map(|sample| sample.composition).min().unwrap_or_default();
    if smallest >= 0 {
        return Ok(0);
    }
    for sample in samples {
        let too_large = || Error::invalid("the composition offsets are impossibly large");
        sample.composition = sample.composition.checked_sub(smallest).ok_or_else(too_large)?;
    }
    Ok(-i64::from(smallest))
}

/// The number of samples, and their sizes.
fn sizes(stsz: Atom<'_>) -> Result<(u32, Box<dyn Iterator<Item = u32> + '_>)> {
    let mut fields = stsz.fields();
    fields.skip(4)?;
    let size = fields.u32()?;
    let count = fields.u32()?;
    if size != 0 {
        return Ok((count, Box::new((0..count).map(move |_| size))));
    }
    if fields.left() < u64::from(count) * 4 {
        let room = fields.left() / 4;
        return Err(Error::invalid(format!("the \"stsz\" box claims {count} entries, but has {room}")));
    }
    Ok((count, Box::new((0..count).map_while(move |_| fields.u32().ok()))))
}

/// Calls `visit` with the offset of each chunk and the number of its samples until it returns false. Returns the number of
/// the sample description, which must be the same for all of them.
fn each_chunk(stbl: Atom<'_>, mut visit: impl FnMut(u64, u32) -> Result<bool>) -> Result<u32> {
    let mut runs = stbl.child(*b"stsc")?.table::<3>()?.iter().map(|run| run.map(u32::from_be_bytes)).peekable();
    let short = stbl.find(*b"stco")?.map(|stco| stco.table::<1>()).transpose()?.unwrap_or_default();
    let long = stbl.find(*b"co64")?.map(|co64| co64.table::<2>()).transpose()?.unwrap_or_default();
    let short = short.iter().map(|[offset]| u64::from(u32::from_be_bytes(*offset)));
    let long =
        long.iter().map(|[high, low]| u64::from(u32::from_be_bytes(*high)) << 32 | u64::from(u32::from_be_bytes(*low)));
    let Some([_, mut n_samples, first_description]) = runs.next() else {
        return Err(Error::invalid("the \"stsc\" box is empty"));
    };
    let mut description = first_description;
    for (chunk, offset) in (1..).zip(short.chain(long)) {
        while let Some(run) = runs.next_if(|[first_chunk, ..]| *first_chunk <= chunk) {
            [_, n_samples, description] = run;
        }
        if description != first_description {
            return Err(several_descriptions());
        }
        if !visit(offset, n_samples)? {
            break;
        }
    }
    Ok(first_description)
}

/// The failure of a track whose codec configuration changes.
pub(super) fn several_descriptions() -> Error {
    Error::invalid("the codec configuration changes within the clip (several sample descriptions)")
}

fn too_few(kind: Kind) -> Error {
    Error::invalid(format!("the {} box covers fewer samples than stsz", name(kind)))
}

// === impl Sample ===

impl Sample {
    /// In ticks of the track's timescale.
    pub(super) fn presentation_time(&self) -> i64 {
        self.decode_time + i64::from(self.composition)
    }

    /// The first byte after it in the file.
    pub(super) fn end(&self) -> u64 {
        self.offset + u64::from(self.size)
    }
}

// === impl Budget ===

impl Budget {
    pub(super) fn new(file_length: u64) -> Self {
        Self { file_length, bytes: file_length, samples: file_length.min(MAX_SAMPLES) }
    }

    /// Takes a sample into account, unless the file cannot hold it.
    fn admit(&mut self, offset: u64, size: u32) -> Result<()> {
        let size = u64::from(size);
        if offset.checked_add(size).is_none_or(|end| end > self.file_length) {
            let length = self.file_length;
            let message = format!(
                "the file is truncated or corrupt: a sample of {size} bytes at {offset} ends outside of its {length} bytes"
            );
            return Err(Error::invalid(message));
        }
        let bytes = self.bytes.checked_sub(size);
        self.bytes = bytes.ok_or_else(|| Error::invalid("the samples have more bytes than the file: they overlap"))?;
        let samples = self.samples.checked_sub(1);
        let too_many =
            || Error::invalid(format!("the clip has more samples than the file has bytes, or {MAX_SAMPLES}"));
        self.samples = samples.ok_or_else(too_many)?;
        Ok(())
    }
}

// === impl Runs ===

impl Runs<'_> {
    /// Appends the samples of the runs. Returns where the last one ends in the file, and the decode time of what follows it.
    pub(super) fn read(self, samples: &mut Vec<Sample>, budget: &mut Budget) -> Result<(u64, i64)> {
        let (mut position, mut decode_time) = (self.base, self.decode_time);
        let mut starts_moof = true;
        for child in self.traf.children() {
            let trun = child?;
            if trun.kind != *b"trun" {
                continue;
            }
            let mut fields = trun.fields();
            let flags = fields.u32()? & 0xFF_FFFF;
            let count = fields.u32()?;
            if flags & 0x1 != 0 {
                let outside = || Error::invalid("a \"trun\" box has a data offset outside of the file");
                position = self.base.checked_add_signed(i64::from(fields.i32()?)).ok_or_else(outside)?;
            }
            let mut first_flags = fields.u32_if(flags, 0x4)?;
            let row_bytes = u64::from((flags & 0xF00).count_ones()) * 4;
            if fields.left() < u64::from(count) * row_bytes {
                return Err(Error::invalid(format!("a \"trun\" box claims {count} samples, but is shorter")));
            }
            for _ in 0..count {
                let duration = fields.u32_if(flags, 0x100)?.unwrap_or(self.defaults.duration);
                let size = fields.u32_if(flags, 0x200)?.unwrap_or(self.defaults.size);
                let own_flags = fields.u32_if(flags, 0x400)?;
                let composition = fields.u32_if(flags, 0x800)?.map_or(0, u32::cast_signed);
                let sample_flags = first_flags.take().or(own_flags).unwrap_or(self.defaults.flags);
                let sync = sample_flags & NOT_SYNC == 0;
                budget.admit(position, size)?;
                samples.push(Sample { offset: position, decode_time, size, duration, composition, sync, starts_moof });
                starts_moof = false;
                position += u64::from(size);
                decode_time = checked_time(decode_time.checked_add_unsigned(u64::from(duration)))?;
            }
        }
        Ok((position, decode_time))
    }
}

/// Refuses times that are too large to calculate with.
pub(super) fn checked_time(time: Option<i64>) -> Result<i64> {
    let too_large = || Error::invalid("a decode time is impossibly large");
    time.filter(|time| (0..=MAX_TIME).contains(time)).ok_or_else(too_large)
}

// === impl RunLengths ===

impl<'a> RunLengths<'a> {
    fn new(entries: &'a [[[u8; 4]; 2]]) -> Self {
        Self { entries: entries.iter(), left: 0, value: [0; 4] }
    }
}

impl Iterator for RunLengths<'_> {
    type Item = [u8; 4];

    fn next(&mut self) -> Option<[u8; 4]> {
        while self.left == 0 {
            let [count, value] = self.entries.next()?;
            (self.left, self.value) = (u32::from_be_bytes(*count), *value);
        }
        self.left -= 1;
        Some(self.value)
    }
}

//! Writes fragmented MP4: the initialization segment, and for each fragment one `moof` and one `mdat` box.

use std::io::{Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::movie::Movie;
use super::plan::{self, Plan};
use super::samples::Sample;
use super::track::Track;
use crate::error::{Error, Result};
use crate::media::boxes::{build, version_and_flags};

/// The maximum length of a fragment: data offsets have 31 bits.
pub(super) const MAX_FRAGMENT_BYTES: u64 = i32::MAX as u64;

/// How many bytes are copied at once.
const PIECE_BYTES: u64 = 256 << 10;

/// The playback rate in edit lists.
const NORMAL_RATE: [u8; 4] = [0, 1, 0, 0];

/// The flags of a sample that decoding can begin with, and of one that depends on others.
const SYNC_FLAGS: u32 = 0x0200_0000;
const DEPENDENT_FLAGS: u32 = 0x0101_0000;

/// Consecutive samples of a track in a fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    pub(super) track_id: u32,
    pub(super) samples: &'a [Sample],
}

/// A fragment that was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) sha256: [u8; 32],
}

/// Writes segments one after the other, and counts their bytes.
#[derive(Debug)]
pub(super) struct Writer<'a, W> {
    output: &'a mut W,
    position: u64,
    n_fragments: u32,
}

/// The initialization segment: `ftyp`, and a `moov` without samples.
pub(super) fn init(movie: &Movie, plan: &Plan) -> Vec<u8> {
    let brands: &[u8] = if movie.quicktime { b"iso5iso6mp41qt  " } else { b"iso5iso6mp41" };
    let ftyp = build(*b"ftyp", &[b"iso5", &512_u32.to_be_bytes(), brands]);
    let mut traks = trak(&movie.video, &edts(plan.video_start, 0));
    let mut trexs = trex(&movie.video, DEPENDENT_FLAGS);
    if let Some(audio) = &movie.audio {
        let delay = plan::scale(plan.audio_start.min(0).saturating_neg(), audio.timescale, movie.timescale);
        traks.extend(trak(audio, &edts(plan.audio_start.max(0), delay)));
        trexs.extend(trex(audio, SYNC_FLAGS));
    }
    let moov = build(*b"moov", &[&movie.mvhd, &traks, &build(*b"mvex", &[&trexs])]);
    [ftyp, moov].concat()
}

/// The SHA-256 of the bytes `start..end` of `input`.
pub(super) fn sha256(input: &mut (impl Read + Seek), start: u64, end: u64) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    each_piece(input, start, end, |piece| {
        hash.update(piece);
        Ok(())
    })?;
    Ok(hash.finalize().into())
}

fn trak(track: &Track, edts: &[u8]) -> Vec<u8> {
    let no_entries = |kind| build(kind, &[&[0; 8]]);
    let sample_tables = [*b"stts", *b"stsc", *b"stco"].map(no_entries).concat();
    let stbl = build(*b"stbl", &[&track.stsd, &sample_tables, &build(*b"stsz", &[&[0; 12]])]);
    let minf = build(*b"minf", &[&track.media_information, &stbl]);
    let mdia = build(*b"mdia", &[&track.mdhd, &track.hdlr, &minf]);
    build(*b"trak", &[&track.tkhd, edts, &mdia])
}

/// An edit list that begins at `media_time` (ticks of the track) after `delay` (ticks of the movie); nothing if both are 0.
fn edts(media_time: i64, delay: i64) -> Vec<u8> {
    if media_time == 0 && delay == 0 {
        return Vec::new();
    }
    let entries = if delay > 0 { vec![(delay, -1), (0, media_time)] } else { vec![(0, media_time)] };
    let short = i32::try_from(media_time).is_ok() && i32::try_from(delay).is_ok();
    let mut rows = Vec::new();
    for (duration, time) in &entries {
        let (duration, time) = (duration.to_be_bytes(), time.to_be_bytes());
        let skipped = if short { 4 } else { 0 };
        rows.extend(duration.iter().skip(skipped).chain(time.iter().skip(skipped)).chain(&NORMAL_RATE));
    }
    let n_entries = if delay > 0 { 2_u32 } else { 1 };
    let version = u8::from(!short);
    build(*b"edts", &[&build(*b"elst", &[&version_and_flags(version, 0), &n_entries.to_be_bytes(), &rows])])
}

fn trex(track: &Track, flags: u32) -> Vec<u8> {
    let fields = [0, track.id, track.description, 0, 0, flags].map(u32::to_be_bytes);
    build(*b"trex", &[fields.as_flattened()])
}

/// The `moof` box. The samples of the runs follow from `data_offset` on, counted from the start of the `moof` box.
fn moof(sequence_number: u32, runs: &[Run<'_>], mut data_offset: u64) -> Vec<u8> {
    let mut trafs = Vec::new();
    for run in runs {
        trafs.extend(traf(run, data_offset));
        data_offset += run.n_bytes();
    }
    let mfhd = build(*b"mfhd", &[&[0; 4], &sequence_number.to_be_bytes()]);
    build(*b"moof", &[&mfhd, &trafs])
}

/// What is the same for all samples is written once, into `tfhd`.
fn traf(run: &Run<'_>, data_offset: u64) -> Vec<u8> {
    let Some((first, others)) = run.samples.split_first() else { return Vec::new() };
    let last = others.last().unwrap_or(first);
    let same_duration = others.iter().all(|sample| sample.duration == first.duration);
    let same_size = others.iter().all(|sample| sample.size == first.size);
    let same_flags = others.iter().all(|sample| sample.sync == last.sync);
    let has_composition = run.samples.iter().any(|sample| sample.composition != 0);

    let mut tfhd_flags = 0x2_0000;
    let mut tfhd = run.track_id.to_be_bytes().to_vec();
    // Data offsets count from the moof, so that a fragment can stand anywhere.
    let mut trun_flags = 0x1;
    let data_offset = u32::try_from(data_offset).unwrap_or(u32::MAX);
    let mut trun = [run.n_samples(), data_offset].map(u32::to_be_bytes).concat();
    let mut fixed = |is_fixed, tfhd_flag, trun_flag, value: u32| {
        if is_fixed {
            tfhd_flags |= tfhd_flag;
            tfhd.extend(value.to_be_bytes());
        } else {
            trun_flags |= trun_flag;
        }
    };
    fixed(same_duration, 0x8, 0x100, first.duration);
    fixed(same_size, 0x10, 0x200, first.size);
    fixed(same_flags, 0x20, 0x400, flags(last));
    if same_flags && first.sync != last.sync {
        trun_flags |= 0x4;
        trun.extend(flags(first).to_be_bytes());
    }
    if has_composition {
        trun_flags |= 0x800;
    }
    for sample in run.samples {
        let fields = [
            (0x100, sample.duration),
            (0x200, sample.size),
            (0x400, flags(sample)),
            (0x800, sample.composition.cast_unsigned()),
        ];
        for (_, value) in fields.iter().filter(|(flag, _)| trun_flags & flag != 0) {
            trun.extend(value.to_be_bytes());
        }
    }
    let tfhd = build(*b"tfhd", &[&version_and_flags(0, tfhd_flags), &tfhd]);
    let tfdt = build(*b"tfdt", &[&version_and_flags(1, 0), &first.decode_time.to_be_bytes()]);
    let trun = build(*b"trun", &[&version_and_flags(1, trun_flags), &trun]);
    build(*b"traf", &[&tfhd, &tfdt, &trun])
}

fn flags(sample: &Sample) -> u32 {
    if sample.sync { SYNC_FLAGS } else { DEPENDENT_FLAGS }
}

/// Calls `visit` with the bytes of the samples, piece by piece. Neighbours in the file are read together.
fn each_piece_of_samples(
    input: &mut (impl Read + Seek),
    samples: &[Sample],
    mut visit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    for neighbours in samples.chunk_by(|left, right| left.end() == right.offset) {
        if let (Some(first), Some(last)) = (neighbours.first(), neighbours.last()) {
            each_piece(input, first.offset, last.end(), &mut visit)?;
        }
    }
    Ok(())
}

fn each_piece(
    input: &mut (impl Read + Seek),
    start: u64,
    end: u64,
    mut visit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut left = end - start;
    let mut buffer = vec![0; usize::try_from(left.min(PIECE_BYTES)).unwrap_or_default()];
    input.seek(SeekFrom::Start(start))?;
    while left > 0 {
        let n_bytes = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let piece = buffer.get_mut(..n_bytes).unwrap_or_default();
        input.read_exact(piece)?;
        visit(piece)?;
        left -= n_bytes as u64;
    }
    Ok(())
}

// === impl Run ===

impl Run<'_> {
    fn n_bytes(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.size)).sum()
    }

    fn n_samples(&self) -> u32 {
        u32::try_from(self.samples.len()).unwrap_or(u32::MAX)
    }
}

// === impl Writer ===

impl<'a, W: Write> Writer<'a, W> {
    pub(super) fn new(output: &'a mut W) -> Self {
        Self { output, position: 0, n_fragments: 0 }
    }

    /// The number of bytes that were written.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn init(&mut self, init: &[u8]) -> Result<()> {
        self.output.write_all(init)?;
        self.position += init.len() as u64;
        Ok(())
    }

    /// Writes the samples of the runs as a fragment.
    pub(super) fn fragment(&mut self, input: &mut (impl Read + Seek), runs: &[Run<'_>]) -> Result<Written> {
        self.n_fragments += 1;
        let data_length = 8 + runs.iter().map(Run::n_bytes).sum::<u64>();
        let moof_length = moof(self.n_fragments, runs, 0).len() as u64;
        let length = moof_length + data_length;
        if length > MAX_FRAGMENT_BYTES {
            let message = format!(
                "fragment {} has {length} bytes, more than {MAX_FRAGMENT_BYTES}: the clip has too few sync samples",
                self.n_fragments
            );
            return Err(Error::invalid(message));
        }
        let mut head = moof(self.n_fragments, runs, moof_length + 8);
        head.extend(u32::try_from(data_length).unwrap_or(u32::MAX).to_be_bytes());
        head.extend(b"mdat");
        let mut hash = Sha256::new();
        hash.update(&head);
        self.output.write_all(&head)?;
        for run in runs {
            each_piece_of_samples(input, run.samples, |piece| {
                hash.update(piece);
                Ok(self.output.write_all(piece)?)
            })?;
        }
        let offset = self.position;
        self.position += length;
        Ok(Written { offset, length, sha256: hash.finalize().into() })
    }
}

//! What the headers of a movie say, whatever its codecs are. No table of samples is kept.

use std::io::{Read, Seek};

use super::movie::{chosen_tracks, each_box, load, no_moov};
use super::{codec, seconds, track};
use crate::error::{Context, Result};
use crate::media::boxes::Atom;

/// What is known of a movie without reading its samples. Of several video or audio tracks, the first one that is
/// enabled counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Description {
    /// Whether there is a video track.
    pub has_video: bool,
    /// Whether there is an audio track.
    pub has_audio: bool,
    /// The width of the stored frames in pixels; rotation and pixel aspect ratio are not applied.
    pub width: Option<u32>,
    /// The height of the stored frames.
    pub height: Option<u32>,
    /// How long the longer one of video and audio plays, in seconds. Edit lists are applied, except those of fragmented
    /// movies: there it is the sum of the fragments.
    pub duration_s: Option<f64>,
}

/// What `moov` says, and the fragments that were added to it.
#[derive(Debug)]
struct Outline {
    video: Option<Track>,
    audio: Option<Track>,
    size: Option<(u32, u32)>,
    is_fragmented: bool,
}

/// A track of video or audio.
#[derive(Clone, Copy, Debug)]
struct Track {
    id: u32,
    /// What the edit list leaves of it by its header, in seconds; does not count fragments.
    played_s: Option<f64>,
    /// Ticks a second.
    timescale: u32,
    /// The duration of the samples of a fragment that does not say it, in ticks.
    default_duration: u32,
    /// The decode times from the first sample to the end of the last one, in ticks.
    times: Option<(i64, i64)>,
}

/// Describes an MP4 or QuickTime file, plain or fragmented. Unlike [`super::fragment`], it takes audio without video,
/// encrypted tracks, and codecs of all kinds.
///
/// # Errors
///
/// `InvalidArgument` with `describe video: …` if the file is truncated or corrupt; the error of `input` otherwise.
pub fn describe(input: &mut (impl Read + Seek)) -> Result<Description> {
    try_describe(input).context(|| "describe video")
}

fn try_describe(input: &mut (impl Read + Seek)) -> Result<Description> {
    let mut outline = None;
    each_box(input, |input, header, position| {
        match (&header.kind, &mut outline) {
            (b"moov", None) => outline = Some(Outline::of_moov(&load(input, position, header)?)?),
            (b"moof", Some(outline)) => outline.add_moof(&load(input, position, header)?)?,
            _ => {}
        }
        Ok(())
    })?;
    outline.map(|outline| outline.describe()).ok_or_else(no_moov)
}

/// The sum of the durations in `stts`.
fn table_duration(stbl: Atom<'_>) -> Result<i64> {
    let Some(stts) = stbl.find(*b"stts")? else { return Ok(0) };
    let entries = stts.table::<2>()?.iter().map(|entry| entry.map(|field| i64::from(u32::from_be_bytes(field))));
    Ok(entries.fold(0, |sum, [count, duration]| sum.saturating_add(count.saturating_mul(duration))))
}

/// The sum of the durations in a `trun`.
fn run_duration(trun: Atom<'_>, default_duration: u32) -> Result<i64> {
    let mut fields = trun.fields();
    let flags = fields.u32()? & 0xFF_FFFF;
    let count = fields.u32()?;
    fields.u32_if(flags, 0x1)?;
    fields.u32_if(flags, 0x4)?;
    if flags & 0x100 == 0 {
        return Ok(i64::from(count).saturating_mul(i64::from(default_duration)));
    }
    let mut sum = 0_i64;
    for _ in 0..count {
        sum = sum.saturating_add(i64::from(fields.u32()?));
        // Size, flags and composition offset.
        fields.skip((flags & 0xE00).count_ones() as usize * 4)?;
    }
    Ok(sum)
}

// === impl Outline ===

impl Outline {
    fn of_moov(bytes: &[u8]) -> Result<Self> {
        let moov = Atom::parse(bytes)?;
        let timescale = track::timescale(moov.child(*b"mvhd")?)?;
        let (video, audio) = chosen_tracks(moov, |_| Ok(true))?;
        let size = video.map(|trak| codec::size(track::sample_descriptions(trak)?, 1)).transpose()?.flatten();
        let track = |trak: Option<Atom<'_>>| trak.map(|trak| Track::read(moov, trak, timescale)).transpose();
        Ok(Self { video: track(video)?, audio: track(audio)?, size, is_fragmented: false })
    }

    fn add_moof(&mut self, bytes: &[u8]) -> Result<()> {
        self.is_fragmented = true;
        for child in Atom::parse(bytes)?.children() {
            let traf = child?;
            if traf.kind != *b"traf" {
                continue;
            }
            let mut fields = traf.child(*b"tfhd")?.fields();
            let flags = fields.u32()?;
            let id = fields.u32()?;
            let mut tracks = self.video.iter_mut().chain(&mut self.audio);
            let Some(track) = tracks.find(|track| track.id == id) else { continue };
            if flags & 0x1 != 0 {
                fields.skip(8)?;
            }
            fields.u32_if(flags, 0x2)?;
            let default_duration = fields.u32_if(flags, 0x8)?.unwrap_or(track.default_duration);
            track.extend(traf, default_duration)?;
        }
        Ok(())
    }

    fn describe(&self) -> Description {
        let tracks = self.video.iter().chain(&self.audio);
        let (width, height) = self.size.unzip();
        Description {
            has_video: self.video.is_some(),
            has_audio: self.audio.is_some(),
            width,
            height,
            duration_s: tracks.filter_map(|track| track.duration_s(self.is_fragmented)).reduce(f64::max),
        }
    }
}

// === impl Track ===

impl Track {
    fn read(moov: Atom<'_>, trak: Atom<'_>, movie_timescale: u32) -> Result<Self> {
        let (tkhd, mdia) = (trak.child(*b"tkhd")?, trak.child(*b"mdia")?);
        let id = track::id(tkhd)?;
        let table_duration = table_duration(mdia.child(*b"minf")?.child(*b"stbl")?)?;
        Ok(Self {
            id,
            played_s: track::duration(tkhd)?.map(|ticks| seconds(ticks, movie_timescale)),
            timescale: track::timescale(mdia.child(*b"mdhd")?)?,
            default_duration: track::defaults(moov, id)?.duration,
            times: (table_duration > 0).then_some((0, table_duration)),
        })
    }

    /// Adds the samples of a fragment, which follow those before it unless the fragment says when they begin.
    fn extend(&mut self, traf: Atom<'_>, default_duration: u32) -> Result<()> {
        let begin = traf.find(*b"tfdt")?.map(track::decode_time).transpose()?;
        let mut end = begin.or(self.times.map(|(_, end)| end)).unwrap_or_default();
        let (first, last) = self.times.unwrap_or((end, end));
        for child in traf.children() {
            let trun = child?;
            if trun.kind == *b"trun" {
                end = end.saturating_add(run_duration(trun, default_duration)?);
            }
        }
        self.times = Some((first, last.max(end)));
        Ok(())
    }

    fn duration_s(&self, is_fragmented: bool) -> Option<f64> {
        let stored_s = self.times.map(|(first, last)| seconds(last.saturating_sub(first), self.timescale));
        self.played_s.filter(|_| !is_fragmented).or(stored_s)
    }
}

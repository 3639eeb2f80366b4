//! Where a clip is cut into fragments, and the times of the fragments.
//!
//! A fragment begins at a sync sample that separates the frames in presentation order too: every frame before it in the file
//! is shown before it, and every frame after it is shown after it. So a fragment has consecutive frames, and none of them
//! needs a frame of another fragment:
//!
//! - An IDR frame of H.264 or H.265 without leading frames is such a sample.
//! - A sync sample with leading frames (open GOP: H.265 CRA, H.264 recovery points) is none, because the leading frames refer
//!   to the frames before: it lies within a fragment that began earlier. A clip with open GOPs only is one fragment.
//! - The first fragment begins with the first frame, which must be a sync sample. If it is cut out of an open GOP, its leading
//!   frames are counted, although decoders skip them.
//!
//! If each frame is a sync sample, a fragment has about a second, or the frames of a `moof` if the input has fragments.

use std::ops::Range;

use super::movie::Movie;
use super::samples::{self, Sample};
use super::track::Track;
use crate::error::{Error, Result};

/// The maximum number of fragments of a clip.
const MAX_FRAGMENTS: usize = 1_000_000;

/// The fragments of a movie.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
    /// The presentation time of the first frame in ticks of the video track.
    pub(super) video_start: i64,
    /// The time in ticks of the audio track that plays together with the first frame; negative if the audio begins later.
    pub(super) audio_start: i64,
    /// The number of frames that the edit list of the source does not show.
    pub(super) n_hidden: u64,
}

/// A fragment. The samples are indexes into those of the tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) video: Range<usize>,
    pub(super) audio: Range<usize>,
    /// When its first frame is shown, in ticks of the video track from the first frame of the clip on.
    pub(super) start: i64,
    /// When the first frame of the next fragment is shown, or when the last frame of the clip ends.
    pub(super) end: i64,
}

/// Plans the fragments. Negative composition offsets, which players read differently in fragments, are moved out of the way.
pub(super) fn plan(movie: &mut Movie) -> Result<Plan> {
    let is_fragmented = !movie.fragments.is_empty();
    let video = &mut movie.video;
    let edit_time = video.edit.media_time;
    let earliest = video.samples.iter().map(Sample::presentation_time).min().unwrap_or_default();
    let n_hidden = video.samples.iter().filter(|sample| sample.presentation_time() < edit_time).count() as u64;
    let audio_start = movie.audio.as_ref().map_or(0, |audio| audio_start(video, audio, earliest, movie.timescale));
    let video_start = earliest + samples::without_negative_compositions(&mut video.samples)?;
    let cuts = cuts(&video.samples, video.timescale, is_fragmented)?;
    let last_end = video.samples.iter().map(|sample| sample.presentation_time() + i64::from(sample.duration)).max();
    let last_end = last_end.unwrap_or_default() - video_start;
    let start_of = |frame: usize| match video.samples.get(frame) {
        Some(_) if frame == 0 => 0,
        Some(sample) => sample.presentation_time() - video_start,
        None => last_end,
    };
    let n_frames = video.samples.len();
    let n_packets = movie.audio.as_ref().map_or(0, |audio| audio.samples.len());
    let mut parts = Vec::with_capacity(cuts.len());
    let mut first_packet = 0;
    for (index, &first_frame) in cuts.iter().enumerate() {
        let next_frame = cuts.get(index + 1).copied();
        let end_frame = next_frame.unwrap_or(n_frames);
        let (start, end) = (start_of(first_frame), start_of(end_frame));
        let end_packet = match (&movie.audio, next_frame) {
            (Some(audio), Some(_)) => packets_before(audio, audio_start, end, video.timescale).max(first_packet),
            _ => n_packets,
        };
        parts.push(Part { video: first_frame..end_frame, audio: first_packet..end_packet, start, end });
        first_packet = end_packet;
    }
    Ok(Plan { parts, video_start, audio_start, n_hidden })
}

/// The first frames of the fragments, in decode order.
fn cuts(samples: &[Sample], timescale: u32, is_fragmented: bool) -> Result<Vec<usize>> {
    if !samples.iter().any(|sample| sample.sync) {
        return Err(Error::invalid("no frame of the video is a sync sample"));
    }
    if samples.first().is_some_and(|first| !first.sync) {
        return Err(Error::invalid(
            "the first frame is no sync sample, so that the frames at the start cannot be decoded",
        ));
    }
    let mut no_leading = Vec::new();
    let mut earliest_after = i64::MAX;
    for (index, sample) in samples.iter().enumerate().rev() {
        if sample.sync && sample.presentation_time() <= earliest_after {
            no_leading.push(index);
        }
        earliest_after = earliest_after.min(sample.presentation_time());
    }
    let all_sync = samples.iter().all(|sample| sample.sync);
    let mut cuts = vec![0];
    let mut cut_time = samples.first().map_or(0, Sample::presentation_time);
    let mut latest_before = i64::MIN;
    for (index, sample) in samples.iter().enumerate() {
        if no_leading.pop_if(|next| *next == index).is_some() && index > 0 {
            let time = sample.presentation_time();
            let is_due = match (all_sync, is_fragmented) {
                (false, _) => true,
                (true, true) => sample.starts_moof,
                (true, false) => time - cut_time >= i64::from(timescale),
            };
            if is_due && latest_before <= time {
                cuts.push(index);
                cut_time = time;
            }
        }
        latest_before = latest_before.max(sample.presentation_time());
    }
    if cuts.len() > MAX_FRAGMENTS {
        return Err(Error::invalid(format!("the clip has more than {MAX_FRAGMENTS} fragments")));
    }
    Ok(cuts)
}

/// The number of audio packets that begin before `end` (ticks of the video track from the first frame on).
fn packets_before(audio: &Track, audio_start: i64, end: i64, video_timescale: u32) -> usize {
    let end = i128::from(end) * i128::from(audio.timescale);
    let time = |packet: &Sample| i128::from(packet.decode_time - audio_start) * i128::from(video_timescale);
    audio.samples.partition_point(|packet| time(packet) < end)
}

/// The time in the audio track that the source plays together with its first frame. A negative time is rounded to what the
/// edit list of the output can say, in ticks of the movie.
fn audio_start(video: &Track, audio: &Track, earliest_frame: i64, movie_timescale: u32) -> i64 {
    let delay_of =
        |track: &Track| scale(track.edit.delay.try_into().unwrap_or(i64::MAX), movie_timescale, track.timescale);
    let frame_time = i128::from(earliest_frame) - i128::from(video.edit.media_time) + i128::from(delay_of(video));
    let frame_time = i64::try_from(frame_time).unwrap_or(i64::MAX);
    let start = i128::from(audio.edit.media_time) - i128::from(delay_of(audio))
        + i128::from(scale(frame_time, video.timescale, audio.timescale));
    let start = i64::try_from(start).unwrap_or_default().clamp(i64::MIN / 4, i64::MAX / 4);
    if start >= 0 {
        return start;
    }
    scale(scale(start, audio.timescale, movie_timescale), movie_timescale, audio.timescale)
}

/// Converts ticks from one timescale to another, rounded to the nearest.
pub(super) fn scale(ticks: i64, from: u32, to: u32) -> i64 {
    let (from, to) = (i128::from(from.max(1)), i128::from(to));
    let scaled = (i128::from(ticks) * to * 2 + from).div_euclid(from * 2);
    i64::try_from(scaled)
        .unwrap_or(if scaled < 0 { i64::MIN / 4 } else { i64::MAX / 4 })
        .clamp(i64::MIN / 4, i64::MAX / 4)
}

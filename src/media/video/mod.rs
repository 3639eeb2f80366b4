//! Video clips as fragmented MP4, without decoding or encoding.
//!
//! [`fragment`] and [`of_jpegs`] write an initialization segment (`ftyp`, `moov`), and then fragments of one `moof` and one
//! `mdat` box each. The bytes of the initialization segment followed by those of any one fragment are an MP4 file that
//! decodes to exactly the frames of the fragment, so that two range reads are enough to show some seconds of a long clip.
//!
//! **Frames** are numbered from 0 in the order in which they are shown. All frames that are stored are counted, even those
//! that the edit list of the source hides ([`Clip::hidden_frames`]).
//!
//! **Times** are seconds from the first frame on, which is at 0 even if the source shows it later; the edit lists of the
//! output say the same to players, and keep the audio in step. Only the start of the source's edit lists is used: what they cut
//! from the end or the middle stays in.
//!
//! **Tracks**: of several video or audio tracks the first one that is enabled is taken, and no other kinds. Sample entries are
//! copied byte for byte. PCM audio is left out, because its tables have an entry per value.
//!
//! **Limits**: samples are copied in pieces. The memory is 32 bytes a sample, at most 32 times the length of the file or 320 MB,
//! and the `moov` box or one `moof` box (at most 256 MiB). External data references of QuickTime files are not followed.
//!
//! | file | what it is about |
//! |---|---|
//! | `movie`, `track`, `codec`, `samples` | what a file holds |
//! | `describe` | what the headers of a movie say |
//! | `plan` | where it is cut |
//! | `writer` | the output |
//! | `jpegs` | clips of JPEG files |

mod codec;
mod describe;
mod jpegs;
mod movie;
mod plan;
mod samples;
mod track;
mod writer;

use std::io::{Read, Seek, Write};

pub use self::describe::{Description, describe};
pub use self::jpegs::{FrameOptions, of_jpegs};
use self::movie::Movie;
use self::plan::{Part, Plan};
use self::writer::{Run, Writer, Written};
use crate::error::{Context, Error, Result};

/// A fragmented clip.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// The video codec as in RFC 6381, for example `avc1.64001e`; `mjpeg`; or the name of the sample entry.
    pub codec: String,
    /// The width of the stored frames in pixels; rotation and pixel aspect ratio are not applied.
    pub width: u32,
    /// The height of the stored frames in pixels.
    pub height: u32,
    /// From the start of the first frame to the end of the last one, in seconds.
    pub duration_s: f64,
    /// The average number of frames a second; 0 if the clip has no duration.
    pub frame_rate: f64,
    /// The number of frames.
    pub n_frames: u64,
    /// The number of frames at the start that the edit list of the source does not show. Decoders that apply edit lists number
    /// the frames of the source from there on.
    pub hidden_frames: u64,
    /// Whether the fragments carry audio.
    pub has_audio: bool,
    /// The length of the initialization segment in bytes.
    pub init_length: u64,
    /// The length of the whole file in bytes.
    pub byte_length: u64,
    /// In presentation order, and in the order of the file.
    pub fragments: Vec<Fragment>,
}

/// A part of a clip that decodes on its own after the initialization segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Fragment {
    /// The number of its first frame, from 0 in presentation order.
    pub start_frame: u64,
    /// The number of its last frame.
    pub end_frame: u64,
    /// When its first frame is shown, in seconds.
    pub start_time: f64,
    /// When the first frame of the next fragment is shown, or when the last frame of the clip ends, in seconds.
    pub end_time: f64,
    /// Where it begins in the file.
    pub byte_offset: u64,
    /// Its length in bytes.
    pub byte_length: u64,
    /// The number of its frames.
    pub n_frames: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// Writes the MP4 or QuickTime file `input`, plain or fragmented, as a fragmented MP4 file. The output of this function is
/// reproduced byte for byte.
///
/// # Errors
///
/// `InvalidArgument` with `fragment video: …` if the file is truncated or corrupt, has no video, is encrypted, or exceeds the
/// limits; the error of `input` or `output` otherwise. The output is incomplete then.
pub fn fragment(input: &mut (impl Read + Seek), output: &mut impl Write) -> Result<Clip> {
    try_fragment(input, output).context(|| "fragment video")
}

/// Describes a file that is fragmented already, without rewriting it: for files of [`fragment`], and of other programs if
/// each of their fragments is one `moof` and one `mdat` box and decodes on its own.
///
/// # Errors
///
/// `InvalidArgument` with `index video: …` if the file is not fragmented like that, or for the reasons of [`fragment`].
pub fn index(input: &mut (impl Read + Seek)) -> Result<Clip> {
    try_index(input).context(|| "index video")
}

fn try_fragment(input: &mut (impl Read + Seek), output: &mut impl Write) -> Result<Clip> {
    let mut movie = movie::read(input)?;
    let plan = plan::plan(&mut movie)?;
    let mut writer = Writer::new(output);
    writer.init(&writer::init(&movie, &plan))?;
    let init_length = writer.position();
    let mut fragments = Vec::with_capacity(plan.parts.len());
    for part in &plan.parts {
        let written = writer.fragment(input, &runs(&movie, part))?;
        fragments.push(Fragment::new(&movie, part, written));
    }
    Ok(Clip::new(&movie, &plan, init_length, writer.position(), fragments))
}

fn try_index(input: &mut (impl Read + Seek)) -> Result<Clip> {
    let mut movie = movie::read(input)?;
    let plan = plan::plan(&mut movie)?;
    let (Some(first), Some(last)) = (movie.fragments.first(), movie.fragments.last()) else {
        return Err(Error::invalid("the file has no fragments"));
    };
    if plan.parts.len() != movie.fragments.len() {
        return Err(Error::invalid("a fragment of the file is not exactly one independent group of frames"));
    }
    let mut fragments = Vec::with_capacity(plan.parts.len());
    for (part, place) in plan.parts.iter().zip(&movie.fragments) {
        let mut samples = runs(&movie, part).into_iter().flat_map(|run| run.samples);
        let is_inside = samples.all(|sample| place.start <= sample.offset && sample.end() <= place.end);
        if place.first_frame != part.video.start || !is_inside {
            return Err(Error::invalid("a fragment of the file does not hold the frames of its time, and no others"));
        }
        let sha256 = writer::sha256(input, place.start, place.end)?;
        let written = Written { offset: place.start, length: place.end - place.start, sha256 };
        fragments.push(Fragment::new(&movie, part, written));
    }
    Ok(Clip::new(&movie, &plan, first.start, last.end, fragments))
}

/// The samples of a fragment in the order of its data: video before audio.
fn runs<'a>(movie: &'a Movie, part: &Part) -> Vec<Run<'a>> {
    let mut runs = Vec::with_capacity(2);
    let tracks = [(Some(&movie.video), &part.video), (movie.audio.as_ref(), &part.audio)];
    for (track, range) in tracks {
        if let Some(track) = track
            && let Some(samples) = track.samples.get(range.clone())
            && !samples.is_empty()
        {
            runs.push(Run { track_id: track.id, samples });
        }
    }
    runs
}

#[expect(clippy::cast_precision_loss, reason = "2^52 ticks are more than a century for any timescale in use")]
fn seconds(ticks: i64, timescale: u32) -> f64 {
    ticks as f64 / f64::from(timescale)
}

// === impl Clip ===

impl Clip {
    fn new(movie: &Movie, plan: &Plan, init_length: u64, byte_length: u64, fragments: Vec<Fragment>) -> Self {
        let n_frames = movie.video.samples.len() as u64;
        let duration_s = seconds(plan.parts.last().map_or(0, |part| part.end), movie.video.timescale);
        #[expect(clippy::cast_precision_loss, reason = "clips have less than 2^52 frames")]
        let frame_rate = if duration_s > 0.0 { n_frames as f64 / duration_s } else { 0.0 };
        Self {
            codec: movie.picture.codec.clone(),
            width: movie.picture.width,
            height: movie.picture.height,
            duration_s,
            frame_rate,
            n_frames,
            hidden_frames: plan.n_hidden,
            has_audio: movie.audio.is_some(),
            init_length,
            byte_length,
            fragments,
        }
    }
}

// === impl Fragment ===

impl Fragment {
    /// The SHA-256 in hexadecimal digits.
    pub fn digest(&self) -> String {
        self.sha256.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
    }

    fn new(movie: &Movie, part: &Part, written: Written) -> Self {
        Self {
            start_frame: part.video.start as u64,
            end_frame: part.video.end.saturating_sub(1) as u64,
            start_time: seconds(part.start, movie.video.timescale),
            end_time: seconds(part.end, movie.video.timescale),
            byte_offset: written.offset,
            byte_length: written.length,
            n_frames: part.video.len() as u64,
            sha256: written.sha256,
        }
    }
}

#[cfg(test)]
mod tests;

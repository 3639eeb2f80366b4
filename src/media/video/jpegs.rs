//! Clips of JPEG files: each is stored as it is, as one sync sample.

use std::io::{Cursor, Write};
use std::num::NonZeroU32;

use image::{ImageFormat, ImageReader};

use super::codec::Picture;
use super::movie::Movie;
use super::plan::{Part, Plan};
use super::samples::Sample;
use super::track::{Edit, Track};
use super::writer::{self, MAX_FRAGMENT_BYTES, Run, Writer};
use super::{Clip, Fragment};
use crate::error::{Context, Error, Result};
use crate::media::boxes::build;

const TRACK_ID: u32 = 1;

/// The transformation that leaves pictures as they are, in `mvhd` and `tkhd`.
const UNITY_MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// How JPEG files become a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameOptions {
    /// Frames a second: numerator and denominator, for example 30000 and 1001.
    pub frame_rate: (NonZeroU32, NonZeroU32),
    /// The number of frames of each fragment but the last one. A fragment is held in memory while it is written.
    pub frames_per_fragment: NonZeroU32,
}

/// Writes JPEG files of the same size as a fragmented MP4 file, each byte for byte. Only their headers are checked.
///
/// # Errors
///
/// `InvalidArgument` with `write frame N: …` (from 0) or `write frames: …` if a file is not JPEG, if its size differs from that
/// of the first one, if there is none, or if a fragment exceeds 2 GiB; the error of `frames` or `output` otherwise.
pub fn of_jpegs(
    frames: impl IntoIterator<Item = Result<Vec<u8>>>,
    options: FrameOptions,
    output: &mut impl Write,
) -> Result<Clip> {
    let mut frames = frames.into_iter().peekable();
    let first = match frames.peek() {
        Some(Ok(first)) => first,
        Some(Err(_)) => return Err(frames.next().and_then(Result::err).unwrap_or_else(no_frames)),
        None => return Err(no_frames()),
    };
    let mut movie = movie(size(first).context(|| "write frame 0")?, options)?;
    let mut plan = Plan { parts: Vec::new(), video_start: 0, audio_start: 0, n_hidden: 0 };
    let mut writer = Writer::new(output);
    writer.init(&writer::init(&movie, &plan))?;
    let init_length = writer.position();
    let mut fragments = Vec::new();
    let mut data = Vec::new();
    let mut start = 0;
    while let Some(frame) = frames.next() {
        append(&mut movie, &mut data, &frame?, options)?;
        let end = movie.video.samples.len();
        let is_full = end - start == options.frames_per_fragment.get() as usize;
        if is_full || frames.peek().is_none() {
            let samples = movie.video.samples.get(start..).unwrap_or_default();
            let run = Run { track_id: TRACK_ID, samples };
            let written = writer.fragment(&mut Cursor::new(&data), &[run])?;
            let part = Part { video: start..end, audio: 0..0, start: time(start, options), end: time(end, options) };
            fragments.push(Fragment::new(&movie, &part, written));
            plan.parts.push(part);
            data.clear();
            start = end;
        }
    }
    Ok(Clip::new(&movie, &plan, init_length, writer.position(), fragments))
}

fn append(movie: &mut Movie, data: &mut Vec<u8>, frame: &[u8], options: FrameOptions) -> Result<()> {
    let number = movie.video.samples.len();
    let doing = || format!("write frame {number}");
    let (width, height) = size(frame).context(doing)?;
    let picture = &movie.picture;
    if (width, height) != (picture.width, picture.height) {
        let message =
            format!("it has {width} x {height} pixels, but the first frame {} x {}", picture.width, picture.height);
        return Err(Error::invalid(message).context(doing()));
    }
    let offset = data.len() as u64;
    let size = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    if offset + u64::from(size) > MAX_FRAGMENT_BYTES {
        let message = format!("the fragment has more than {MAX_FRAGMENT_BYTES} bytes: use fewer frames per fragment");
        return Err(Error::invalid(message).context(doing()));
    }
    let duration = options.frame_rate.1.get();
    let decode_time = time(number, options);
    movie.video.samples.push(Sample {
        offset,
        decode_time,
        size,
        duration,
        composition: 0,
        sync: true,
        starts_moof: false,
    });
    data.extend_from_slice(frame);
    Ok(())
}

/// When frame `number` is shown, in ticks.
fn time(number: usize, options: FrameOptions) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(i64::from(options.frame_rate.1.get()))
}

/// Width and height as the header of a JPEG file says.
fn size(jpeg: &[u8]) -> Result<(u32, u32)> {
    let reader = ImageReader::with_format(Cursor::new(jpeg), ImageFormat::Jpeg);
    reader.into_dimensions().map_err(|err| Error::invalid(format!("the file is not a valid JPEG: {err}")))
}

fn no_frames() -> Error {
    Error::invalid("write frames: there are none")
}

/// A movie without frames.
fn movie((width, height): (u32, u32), options: FrameOptions) -> Result<Movie> {
    let timescale = options.frame_rate.0.get();
    let too_large = |_| Error::invalid("write frame 0: it is too large");
    let (width_px, height_px) = (u16::try_from(width).map_err(too_large)?, u16::try_from(height).map_err(too_large)?);
    let mvhd = [&[0, 0, 0, timescale, 0, 0x1_0000, 0x0100_0000, 0, 0][..], &UNITY_MATRIX, &[0; 6], &[TRACK_ID + 1]];
    let tkhd = [&[3, 0, 0, TRACK_ID, 0, 0, 0, 0, 0, 0][..], &UNITY_MATRIX, &[width << 16, height << 16]];
    let hdlr = build(*b"hdlr", &[&[0; 8], b"vide", &[0; 12], b"VideoHandler\0"]);
    let url = build(*b"url ", &[&[0, 0, 0, 1]]);
    let dref = build(*b"dref", &[&[0; 4], &1_u32.to_be_bytes(), &url]);
    let vmhd = build(*b"vmhd", &[&[0, 0, 0, 1], &[0; 8]]);
    let video = Track {
        id: TRACK_ID,
        timescale,
        tkhd: of_words(*b"tkhd", &tkhd),
        // The language is "und".
        mdhd: of_words(*b"mdhd", &[&[0, 0, 0, timescale, 0, 0x55C4_0000]]),
        hdlr,
        media_information: [vmhd, build(*b"dinf", &[&dref])].concat(),
        stsd: stsd(width_px, height_px),
        edit: Edit::default(),
        description: 1,
        ..Track::default()
    };
    let picture = Picture { codec: "mjpeg".to_owned(), width, height };
    let mvhd = of_words(*b"mvhd", &mvhd);
    Ok(Movie { quicktime: false, mvhd, timescale, picture, video, audio: None, fragments: Vec::new() })
}

fn of_words(kind: [u8; 4], words: &[&[u32]]) -> Vec<u8> {
    let bytes: Vec<u8> = words.concat().into_iter().flat_map(u32::to_be_bytes).collect();
    build(kind, &[&bytes])
}

/// A sample entry of MPEG-4 visual with the object type of JPEG.
fn stsd(width: u16, height: u16) -> Vec<u8> {
    // ES_Descriptor with id 1, DecoderConfigDescriptor (JPEG, visual stream, unknown buffer and bit rates), SLConfigDescriptor.
    let decoder: &[u8] = &[4, 13, 0x6C, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let esds = build(*b"esds", &[&[0; 4], &[3, 21, 0, 1, 0], decoder, &[6, 1, 2]]);
    let entry = build(
        *b"mp4v",
        &[
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 16],
            &width.to_be_bytes(),
            &height.to_be_bytes(),
            // 72 dpi, one frame a sample, no name, 24 bits a pixel.
            &[0, 0x48, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 32],
            &[0, 0x18, 0xFF, 0xFF],
            &esds,
        ],
    );
    build(*b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1], &entry])
}

//! Frame folders: each sequence becomes a clip, whose fragments and boxes are rows of the tables of [`clips`](super::clips).
//!
//! The fragments of a clip hold each JPEG file byte for byte, or H.264 if that was asked for.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    num::NonZeroU32,
    path::Path,
};

use super::{
    assets::Assets,
    clips::{CLIP, Described, Rows},
    frames::{self, Frame, Sequence, Statistics},
    load::Loaded,
    name::split_in,
    request::{ClipOptions, Encoding},
    source::{DataFile, Files},
    video,
    work::Work,
};
use crate::{
    error::{Context, Error, Result},
    jobs::Progress,
    media::{
        image::{self, ImageFormat},
        video::{Clip, Fragment, FrameOptions, of_jpegs},
    },
};

/// The frame rate of sequences that state none.
const FRAME_RATE: f64 = 25.0;
/// The number of frames of a fragment.
const FRAMES_PER_FRAGMENT: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// The largest picture that is read.
const MAX_FRAME_BYTES: u64 = 256 << 20;

/// Builds the clips and loads their tables.
///
/// # Errors
/// `InvalidArgument`, with the sequence, for frames that cannot be read or differ in size, and for annotations that are
/// broken or belong to no frame; `FailedPrecondition` if frames are to be encoded and there is no ffmpeg.
pub async fn load(work: &Work<'_>, files: &Files, assets: &Assets) -> Result<Loaded> {
    let described = files.data.iter().map(DataFile::path).collect::<Result<Vec<_>>>()?;
    let paths: Vec<_> = described.into_iter().map(Path::to_owned).chain(files.others.iter().cloned()).collect();
    let sequences = frames::sequences(&files.root, &paths);
    let n_frames: usize = sequences.iter().map(|sequence| sequence.frames.len()).sum();
    work.progress.phase("build clips", "frames", Some(n_frames as u64));
    let mut rows = Rows::create(work.spool, true)?;
    for sequence in sequences {
        let doing = format!("read sequence \"{}\"", sequence.name);
        rows = store(work, sequence, rows, assets).await.context(|| doing)?;
    }
    rows.load(work).await
}

/// Stores the clip of a sequence, and adds its rows.
async fn store(work: &Work<'_>, sequence: Sequence, mut rows: Rows, assets: &Assets) -> Result<Rows> {
    if let Some(number) = sequence.repeated() {
        return Err(Error::invalid(format!("two files are frame {number}")));
    }
    let target = work.spool.join("clip.mp4");
    let build = {
        let (target, progress, options) = (target.clone(), work.progress.clone(), work.request.clips);
        move || build(&sequence, options, &target, &progress).map(|clip| (sequence, clip))
    };
    let (sequence, clip) = blocking(build).await?;
    let title = sequence.title().unwrap_or(&work.request.dataset);
    let uri = assets.put_file(CLIP, &format!("{title}.mp4"), &target).await?;
    let split = work.request.split.clone().or_else(|| split_in(&sequence.name).map(str::to_owned));
    let add = move || {
        let statistics = match &sequence.annotations {
            Some(file) => Some(annotate(&sequence, file, &clip, &uri, &mut rows)?),
            None => None,
        };
        rows.clip(&Described {
            uri: &uri,
            source: &sequence.name,
            split: split.as_deref(),
            clip: &clip,
            statistics: statistics.as_deref(),
        })?;
        Ok(rows)
    };
    blocking(add).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::invalid("the reader gave up")))
}

/// Writes the clip of a sequence to `target`.
fn build(sequence: &Sequence, options: ClipOptions, target: &Path, progress: &Progress) -> Result<Clip> {
    let info = sequence.info.as_deref().map(frames::frame_rate).transpose()?.flatten();
    let frame_options = FrameOptions {
        frame_rate: rational(options.frame_rate.or(info).unwrap_or(FRAME_RATE))?,
        frames_per_fragment: options.frames_per_fragment.unwrap_or(FRAMES_PER_FRAGMENT),
    };
    let mut first = None;
    let pictures = sequence.frames.iter().map(|frame| {
        progress.check()?;
        let picture = read(frame, options.encoding, &mut first)?;
        progress.advance(1);
        Ok(picture)
    });
    match options.encoding {
        Encoding::Copy => {
            let mut output = BufWriter::new(File::create(target)?);
            let clip = of_jpegs(pictures, frame_options, &mut output)?;
            output.flush()?;
            Ok(clip)
        }
        Encoding::H264 => {
            let encoded = target.with_file_name("encoded.mp4");
            frames::encode(pictures, frame_options, &encoded)?;
            let clip = video::fragment(&encoded, target)?;
            fs::remove_file(&encoded)?;
            if clip.n_frames != sequence.frames.len() as u64 {
                let (encoded, given) = (clip.n_frames, sequence.frames.len());
                return Err(Error::internal(format!("ffmpeg made {encoded} frames of {given}")));
            }
            Ok(clip)
        }
    }
}

/// Reads a picture, and compares its format and size with those of the `first`.
fn read(frame: &Frame, encoding: Encoding, first: &mut Option<image::ImageFacts>) -> Result<Vec<u8>> {
    let name = frame.path.file_name().unwrap_or_default().display();
    let doing = || format!("read frame \"{name}\"");
    if fs::metadata(&frame.path)?.len() > MAX_FRAME_BYTES {
        return Err(Error::invalid("it is larger than 256 MiB").context(doing()));
    }
    let bytes = fs::read(&frame.path)?;
    let facts = image::probe(&bytes).context(doing)?;
    if encoding == Encoding::Copy && facts.format != ImageFormat::Jpeg {
        let remedy = "only JPEG frames are stored as they are: set \"encode\" to \"h264\", or convert them";
        return Err(Error::invalid(remedy).context(doing()));
    }
    let expected = *first.get_or_insert(facts);
    if facts != expected {
        let shown =
            |facts: image::ImageFacts| format!("{:?} of {} x {} pixels", facts.format, facts.width, facts.height);
        let (found, expected) = (shown(facts), shown(expected));
        return Err(Error::invalid(format!("it is a {found}, but the first frame a {expected}")).context(doing()));
    }
    Ok(bytes)
}

/// Adds the boxes of a clip. Returns what each of its fragments shows.
fn annotate(sequence: &Sequence, file: &Path, clip: &Clip, uri: &str, rows: &mut Rows) -> Result<Vec<Statistics>> {
    let mut statistics = vec![Statistics::default(); clip.fragments.len()];
    let add = |found: frames::Annotation| {
        let place = sequence.place_of(found.frame);
        let frame = place.ok_or_else(|| Error::invalid(format!("there is no frame {}", found.frame)))?;
        let fragment = fragment_of(&clip.fragments, frame);
        if let Some(statistics) = statistics.get_mut(fragment) {
            statistics.add(&found);
        }
        rows.track(uri, fragment, frame, &found)
    };
    let name = file.file_name().unwrap_or_default().display();
    frames::read(file, sequence.layout, add).context(|| format!("read \"{name}\""))?;
    Ok(statistics)
}

/// The number of the fragment with a frame.
fn fragment_of(fragments: &[Fragment], frame: u64) -> usize {
    fragments.partition_point(|fragment| fragment.end_frame < frame)
}

/// A frame rate as a fraction: rates such as 29.97 are meant as 30000/1001.
fn rational(rate: f64) -> Result<(NonZeroU32, NonZeroU32)> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
    let fraction = |numerator: f64, denominator: u32| {
        Some((NonZeroU32::new(numerator.round() as u32)?, NonZeroU32::new(denominator)?))
    };
    let ntsc = (rate * 1.001).round();
    let found = if rate.fract() == 0.0 {
        fraction(rate, 1)
    } else if (ntsc * 1000.0 / 1001.0 - rate).abs() < 0.005 {
        fraction(ntsc * 1000.0, 1001)
    } else {
        fraction(rate * 1000.0, 1000)
    };
    let found = found.filter(|_| (0.001..=1000.0).contains(&rate));
    found.ok_or_else(|| Error::invalid(format!("a frame rate of {rate} is not between 0.001 and 1000")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rate: f64, numerator: u32, denominator: u32) {
        let (found, by) = rational(rate).unwrap();
        assert_eq!((found.get(), by.get()), (numerator, denominator), "{rate}");
    }

    #[test]
    fn rates_are_fractions() {
        check(25.0, 25, 1);
        check(29.97, 30_000, 1001);
        check(23.976, 24_000, 1001);
        check(59.94, 60_000, 1001);
        check(12.5, 12_500, 1000);
        check(0.5, 500, 1000);
        for rate in [0.0, -1.0, f64::NAN, 1e9, 0.0001] {
            assert!(rational(rate).is_err(), "{rate}");
        }
    }
}

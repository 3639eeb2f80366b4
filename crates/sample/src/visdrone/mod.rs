//! Small video sequences in the layout of VisDrone-MOT, drawn here: people and vehicles with exact boxes and tracks.
//!
//! What is written, every fourth sequence for validation:
//!
//! ```text
//! <folder>/VisDrone2019-MOT-train/sequences/uav0000086_00000_v/0000001.jpg …
//!                                 annotations/uav0000086_00000_v.txt
//!          VisDrone2019-MOT-val/…
//! ```
//!
//! How a sequence comes about:
//!
//! ```text
//! plan (name, place, flaws) ─▶ cast (who is where in each frame) ─▶ shot ─┬▶ JPEG
//!                   └▶ backdrop ──────────────────────────────────────┘   └▶ annotation ─▶ flaw ─▶ text
//! ```
//!
//! Everybody and every vehicle in a frame has a line, hidden or not, as long as the middle is inside the frame:
//! VisDrone ends a track when more than a half is outside. Only the crowd of an ignored region has one line for all.
//!
//! In reading order: `options` · `summary` of the contents · `plan` the sequences and what is special about each ·
//! `category` VisDrone's categories · `look` what they look like · `place` lanes and pavements · `cast` who takes part
//! and moves how · `backdrop` what lies behind · `shot` a frame and what is seen in it · `annotation` lines · `flaw`
//! the text and its oddities.

mod options;
mod summary;

mod plan;
mod category;
mod look;
mod place;
mod cast;

mod backdrop;
mod shot;

mod annotation;
mod flaw;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use self::{
    options::VisdroneOptions,
    summary::{Counts, SequenceSummary, VisdroneSummary},
};

use self::annotation::Annotator;
use self::cast::Cast;
use self::plan::{Oddity, Sequence, Split};
use crate::canvas::Canvas;
use crate::dice::Dice;
use crate::error::{Error, Result};
use crate::{folder, scenery};

/// As many as the true data set has, about.
const SEQUENCES_MAX: u32 = 100;
/// As many as the longest sequence of the true data set has, about.
const FRAMES_MAX: u32 = 3_000;

/// Draws a data set into `folder`, which is made if it is not there, and must be empty if it is.
///
/// # Errors
///
/// [`Error::OutOfRange`] for a number of sequences or frames out of range, [`Error::NotEmpty`] for a folder that is not
/// empty, and what the file system says.
pub fn write_visdrone(folder: &Path, options: &VisdroneOptions) -> Result<VisdroneSummary> {
    Error::check_range("sequences", options.sequences, SEQUENCES_MAX)?;
    Error::check_range("frames", options.frames, FRAMES_MAX)?;
    folder::prepare(folder)?;
    let mut summary = VisdroneSummary::default();
    for sequence in plan::sequences(options) {
        let (counts, bytes) = write_sequence(folder, &sequence, options)?;
        summary.sequences += 1;
        match sequence.split {
            Split::Train => summary.train_sequences += 1,
            Split::Val => summary.val_sequences += 1,
        }
        summary.total.add(&counts);
        summary.bytes += bytes;
        let split = sequence.split.name();
        summary.by_sequence.push(SequenceSummary { name: sequence.name, split, counts });
    }
    Ok(summary)
}

/// Writes frames and annotations of a sequence; gives the numbers of its contents and the size of its files.
fn write_sequence(folder: &Path, sequence: &Sequence, options: &VisdroneOptions) -> Result<(Counts, u64)> {
    let split = folder.join(sequence.split.folder());
    let (frames, annotations) = (split.join("sequences").join(&sequence.name), split.join("annotations"));
    folder::make(&frames)?;
    folder::make(&annotations)?;
    let mut dice = Dice::new(options.seed, sequence.stream);
    let place = sequence.place;
    let stage = place.stage(sequence.light);
    let region = sequence.has(Oddity::IgnoredRegion).then(|| backdrop::crowd_region(&stage, &mut dice));
    let cast = Cast::new(place, &stage, sequence.bustle, options.frames, &mut dice);
    let mut behind = Canvas::new(stage.width, stage.height)?;
    backdrop::draw(&mut behind, place, &stage, region, &mut dice);
    let mut annotator = Annotator::new(region, sequence.has(Oddity::UnscoredTarget));
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for index in 0..options.frames {
        let (frame, bodies) = (index + 1, cast.bodies(index));
        let mut shot = shot::take(&behind, &bodies)?;
        lines.extend(annotator.lines(frame, &bodies, &shot.sightings));
        scenery::draw_light(&mut shot.canvas.pen(), &stage);
        bytes += folder::write(&frames.join(format!("{frame:07}.jpg")), &shot.canvas.into_jpeg()?)?;
    }
    let mut counts = flaw::count(options.frames, &lines);
    let text = flaw::text(lines, sequence, &mut counts, &mut dice);
    bytes += folder::write(&annotations.join(format!("{}.txt", sequence.name)), text.as_bytes())?;
    Ok((counts, bytes))
}

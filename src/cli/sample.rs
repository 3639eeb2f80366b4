//! `merganser sample`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use merganser_sample::{CocoOptions, Error as SampleError, VisdroneOptions, write_coco, write_visdrone};
use serde::Serialize;

use super::{failure::Failure, output};
use crate::error::{Error, ErrorKind};

/// Write a folder of sample data in the layout of COCO or VisDrone
///
/// coco: images with annotations and captions, and with duplicates, missing values and crowds. visdrone: video sequences
/// as frames, with the boxes and tracks of people and vehicles, and with ignored regions, lines without order and
/// trailing commas. The output is identical for the same seed.
#[derive(Debug, Args)]
pub struct Sample {
    /// The folder to write; it must be empty or not exist
    folder: PathBuf,
    /// The layout of the folder
    #[arg(long, value_enum, default_value_t = Layout::Coco)]
    layout: Layout,
    /// Number of images (coco) [default: 240]
    #[arg(long)]
    images: Option<u32>,
    /// Number of sequences (visdrone); every fourth is for validation [default: 4]
    #[arg(long)]
    sequences: Option<u32>,
    /// Number of frames of each sequence (visdrone) [default: 60]
    #[arg(long)]
    frames: Option<u32>,
    /// Seed of the random generator
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// Images, JSON files of annotations and captions
    Coco,
    /// VisDrone-MOT: folders of frames, a text file of annotations for each
    Visdrone,
}

impl From<SampleError> for Failure {
    fn from(err: SampleError) -> Self {
        let message = err.to_string();
        Self::Failed(match err {
            SampleError::OutOfRange { .. } => Error::invalid(message),
            SampleError::NotEmpty { .. } => Error::new(ErrorKind::AlreadyExists, message),
            SampleError::Io { doing, source } => Error::from(source).context(doing),
            SampleError::Internal(_) => Error::internal(message),
        })
    }
}

// === impl Sample ===

impl Sample {
    /// Runs the command.
    pub fn run(self) -> Result<(), Failure> {
        self.check_flags()?;
        match self.layout {
            Layout::Coco => self.write_coco(),
            Layout::Visdrone => self.write_visdrone(),
        }
    }

    /// Refuses flags of the other layout.
    fn check_flags(&self) -> Result<(), Failure> {
        let flags = [
            ("--images", "coco", self.images.is_some() && self.layout != Layout::Coco),
            ("--sequences", "visdrone", self.sequences.is_some() && self.layout != Layout::Visdrone),
            ("--frames", "visdrone", self.frames.is_some() && self.layout != Layout::Visdrone),
        ];
        match flags.into_iter().find(|&(_, _, is_foreign)| is_foreign) {
            Some((flag, layout, _)) => Err(Failure::Usage(format!("{flag} needs --layout {layout}"))),
            None => Ok(()),
        }
    }

    fn write_coco(&self) -> Result<(), Failure> {
        let defaults = CocoOptions::default();
        let options = CocoOptions { images: self.images.unwrap_or(defaults.images), seed: self.seed };
        let summary = write_coco(&self.folder, &options)?;
        let text = format!(
            "{} images, {} annotations and {} captions",
            summary.image_files, summary.annotations, summary.captions
        );
        self.print(&summary, &text)
    }

    fn write_visdrone(&self) -> Result<(), Failure> {
        let defaults = VisdroneOptions::default();
        let options = VisdroneOptions {
            sequences: self.sequences.unwrap_or(defaults.sequences),
            frames: self.frames.unwrap_or(defaults.frames),
            seed: self.seed,
        };
        let summary = write_visdrone(&self.folder, &options)?;
        let total = &summary.total;
        let text = format!(
            "{} sequences of {} frames together, {} boxes and {} tracks",
            summary.sequences, total.frames, total.counted_boxes, total.tracks
        );
        self.print(&summary, &text)
    }

    fn print(&self, summary: &impl Serialize, text: &str) -> Result<(), Failure> {
        if self.json {
            let json = serde_json::to_string(summary).map_err(|err| Error::internal(err.to_string()))?;
            return Ok(output::print(json)?);
        }
        Ok(output::print(format_args!("wrote {text} to {}", self.folder.display()))?)
    }
}

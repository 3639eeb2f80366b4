//! `merganser sample`.

use std::path::PathBuf;

use clap::Args;
use merganser_sample::{CocoOptions, Error as SampleError, write_coco};

use super::{failure::Failure, output};
use crate::error::{Error, ErrorKind};

/// Write a folder of sample data in the COCO layout
///
/// Generates images with annotations and captions, including the flaws of real data: duplicates, missing values,
/// crowds. The output is identical for the same seed.
#[derive(Debug, Args)]
pub struct Sample {
    /// The folder to write; it must be empty or not exist
    folder: PathBuf,
    /// Number of images
    #[arg(long, default_value_t = 240)]
    images: u32,
    /// Seed of the random generator
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
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
        let options = CocoOptions { images: self.images, seed: self.seed };
        let summary = write_coco(&self.folder, &options)?;
        if self.json {
            let json = serde_json::to_string(&summary).map_err(|err| Error::internal(err.to_string()))?;
            return Ok(output::print(json)?);
        }
        let folder = self.folder.display();
        Ok(output::print(format_args!(
            "wrote {} images, {} annotations and {} captions to {folder}",
            summary.image_files, summary.annotations, summary.captions
        ))?)
    }
}

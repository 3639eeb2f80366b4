//! `_metadata.json` of frames: what each video is, and where its frames begin.

use std::{
    fs::File,
    io::{BufWriter, Seek, Write},
    path::Path,
};

use serde::Serialize;
use serde_json::json;

use super::{
    super::{
        json::{optional_text, text},
        request::FrameSettings,
    },
    clip::Clip,
};
use crate::error::{Error, Result};

/// How many of the videos that were left out are named.
const MAX_NAMED: usize = 1_000;

/// The records of the videos, in a temporary file.
#[derive(Debug)]
pub struct Records {
    settings: FrameSettings,
    videos: BufWriter<File>,
    count: i32,
    frames: u64,
    skipped: u64,
    named: Vec<Skipped>,
}

/// A video that was left out.
#[derive(Debug, Serialize)]
struct Skipped {
    key: u64,
    path: Option<String>,
    reason: String,
}

// === impl Records ===

impl Records {
    /// None yet.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(settings: FrameSettings, staging: &Path) -> Result<Self> {
        let videos = BufWriter::new(tempfile::tempfile_in(staging)?);
        Ok(Self { settings, videos, count: 0, frames: 0, skipped: 0, named: Vec::new() })
    }

    /// Adds the video of a row. Returns its number.
    ///
    /// # Errors
    /// `InvalidArgument` for too many; errors of the disk.
    pub fn add(&mut self, row: u64, path: Option<&str>, metadata: &[u8], clip: &Clip) -> Result<i32> {
        let id = self.count;
        let (frames, height, width) = clip.shape();
        let mut record = Vec::new();
        if id > 0 {
            record.extend_from_slice(b",\n    ");
        }
        // Writing to memory does not fail.
        let _ = write!(record, "{{\"id\": {id}, \"key\": {row}, \"path\": ");
        optional_text(path, &mut record);
        record.extend_from_slice(b", \"checksum\": ");
        text(clip.sha256(), &mut record);
        let start = self.frames;
        let _ = write!(
            record,
            ", \"T\": {frames}, \"H\": {height}, \"W\": {width}, \"start_row\": {start}, \"metadata\": "
        );
        record.extend_from_slice(metadata);
        record.push(b'}');
        self.videos.write_all(&record)?;
        self.frames += frames as u64;
        self.count = id.checked_add(1).ok_or_else(|| Error::invalid("lance_frames holds 2,147,483,647 videos"))?;
        Ok(id)
    }

    /// Adds a video that is left out.
    pub fn skip(&mut self, row: u64, path: Option<String>, reason: String) {
        self.skipped += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(Skipped { key: row, path, reason });
        }
    }

    /// How many were left out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Writes and syncs the file `target`. Blocks.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn write(&mut self, fingerprint: &str, target: &Path) -> Result<()> {
        let settings = &self.settings;
        let head = json!({
            "cache_format_version": 1,
            "format": "lance",
            "layout": "lance-video-frames",
            "schema_fingerprint": fingerprint,
            "num_rows": self.frames,
            "total_rows": self.frames,
            "n_videos": self.count,
            "n_skipped": self.skipped,
            "skipped": self.named,
            "encoding": "webp",
            "quality": settings.quality,
            "resize": settings.resize,
            "video_column": settings.video_column,
        });
        let head = serde_json::to_string_pretty(&head).map_err(|err| Error::internal("write JSON").with_source(err))?;
        let mut file = BufWriter::new(File::create(target)?);
        file.write_all(head.trim_end_matches("\n}").as_bytes())?;
        file.write_all(b",\n  \"videos\": [\n    ")?;
        self.videos.flush()?;
        let videos = self.videos.get_mut();
        videos.rewind()?;
        std::io::copy(videos, &mut file)?;
        file.write_all(b"\n  ]\n}\n")?;
        Ok(file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?)
    }
}

//! The frames of videos: a row with a video becomes a row for each of its frames.
//!
//! ```text
//! rows ─▶ cell (URI, bytes) ─▶ ffmpeg (several at once) ─▶ clip: WebP images in a file ─▶ rows of frames
//!                                                       └▶ records: what the rows say of their videos
//! ```
//!
//! A video is decoded to its end before its first frame is passed on, so that one with an error can be left out whole.

mod cell;
mod clip;
mod ffmpeg;
mod records;

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::{StreamExt, stream::FuturesOrdered};
use tokio_util::task::AbortOnDropHandle;

use self::{
    cell::{Cell, CellColumn},
    clip::Clip,
};
pub use self::{
    clip::{columns, schema},
    records::Records,
};
use super::{
    json::{self, JsonColumns},
    request::{Format, FrameSettings},
};
use crate::{
    engine::BatchStream,
    error::{Error, Result},
    storage::Storage,
};

/// Makes rows of frames from the rows of a stream.
#[derive(Debug)]
pub struct FrameRows {
    column: CellColumn,
    /// The columns without the video.
    rest: Vec<usize>,
    settings: Arc<FrameSettings>,
    storage: Storage,
    staging: PathBuf,
    /// How many videos are decoded at once.
    threads: usize,
    /// The number of rows that were read.
    read: u64,
    is_at_end: bool,
    waiting: VecDeque<VideoRow>,
    /// Those that are being decoded, in the order of their rows.
    decoding: FuturesOrdered<AbortOnDropHandle<Result<Decoded>>>,
    /// The clip whose frames are passed on.
    open: Option<Clip>,
    records: Records,
}

/// A row with a video.
#[derive(Debug)]
struct VideoRow {
    row: u64,
    cell: Cell,
    /// The values of the other columns, as a JSON object.
    metadata: Vec<u8>,
}

/// What became of a video.
#[derive(Debug)]
struct Decoded {
    row: u64,
    path: Option<String>,
    metadata: Vec<u8>,
    /// The clip, or why there is none.
    clip: Result<Clip, String>,
}

// === impl FrameRows ===

impl FrameRows {
    /// For rows with the columns of `schema`, with temporary files in `staging`, decoding `threads` videos at once.
    ///
    /// # Errors
    /// `InvalidArgument` if there is no column with videos, and for types that the records cannot hold.
    pub fn new(
        schema: &SchemaRef,
        settings: &FrameSettings,
        storage: &Storage,
        staging: PathBuf,
        threads: usize,
    ) -> Result<Self> {
        let column = CellColumn::of(schema, settings.video_column.as_deref())?;
        let rest: Vec<_> = (0..schema.fields().len()).filter(|at| *at != column.at()).collect();
        json::check(&json::part(schema, &rest), Format::LanceFrames)?;
        let settings =
            FrameSettings { video_column: Some(schema.field(column.at()).name().clone()), ..settings.clone() };
        Ok(Self {
            column,
            rest,
            records: Records::create(settings.clone(), &staging)?,
            settings: Arc::new(settings),
            storage: storage.clone(),
            staging,
            threads,
            read: 0,
            is_at_end: false,
            waiting: VecDeque::new(),
            decoding: FuturesOrdered::new(),
            open: None,
        })
    }

    /// The next frames of the videos of `stream`.
    ///
    /// # Errors
    /// `FailedPrecondition` for a video that cannot be decoded, unless these are left out, and if there is no ffmpeg;
    /// errors of the stream, the store and the disk.
    pub async fn next(&mut self, stream: &mut BatchStream) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(clip) = &mut self.open {
                if let Some(batch) = clip.next().await? {
                    return Ok(Some(batch));
                }
                self.open = None;
            }
            self.begin(stream).await?;
            let Some(decoded) = self.decoding.next().await else { return Ok(None) };
            let decoded = decoded.map_err(|err| Error::internal("decode a video").with_source(err))?;
            self.take(decoded?)?;
        }
    }

    /// What the videos are whose frames were passed on.
    pub fn into_records(self) -> Records {
        self.records
    }

    /// Begins to decode videos, as many as are decoded at once.
    async fn begin(&mut self, stream: &mut BatchStream) -> Result<()> {
        while self.decoding.len() < self.threads {
            let Some(VideoRow { row, cell, metadata }) = self.next_row(stream).await? else { break };
            let (storage, staging, settings) = (self.storage.clone(), self.staging.clone(), Arc::clone(&self.settings));
            // Goes on while frames are written.
            self.decoding.push_back(AbortOnDropHandle::new(tokio::spawn(async move {
                let path = cell.path().map(ToOwned::to_owned);
                let clip = cell.decode(&storage, &staging, &settings).await?;
                Ok(Decoded { row, path, metadata, clip })
            })));
        }
        Ok(())
    }

    async fn next_row(&mut self, stream: &mut BatchStream) -> Result<Option<VideoRow>> {
        while self.waiting.is_empty() && !self.is_at_end {
            match stream.next().await.transpose()? {
                Some(batch) => self.add(&batch)?,
                None => self.is_at_end = true,
            }
        }
        Ok(self.waiting.pop_front())
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let options = json::options();
        let mut values = JsonColumns::of(batch, &options)?;
        for (row, cell) in self.column.cells(batch)?.into_iter().enumerate() {
            let mut metadata = Vec::new();
            values.object(&self.rest, row, &mut metadata);
            self.waiting.push_back(VideoRow { row: self.read, cell, metadata });
            self.read += 1;
        }
        Ok(())
    }

    fn take(&mut self, decoded: Decoded) -> Result<()> {
        let Decoded { row, path, metadata, clip } = decoded;
        match clip {
            Ok(mut clip) => {
                clip.number(self.records.add(row, path.as_deref(), &metadata, &clip)?);
                self.open = Some(clip);
                Ok(())
            }
            Err(reason) if self.settings.skip_corrupt => {
                tracing::warn!(row, path, reason, "a video is left out");
                self.records.skip(row, path, reason);
                Ok(())
            }
            Err(reason) => {
                let path = path.map(|path| format!(" (\"{path}\")")).unwrap_or_default();
                Err(Error::precondition(format!(
                    "the video of row {row}{path} has no frames: {reason}; leave such rows out by a query, or set \
                     \"skip_corrupt\""
                )))
            }
        }
    }
}

//! The frames of one video.

use std::{io::SeekFrom, ops::Range, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, BinaryArray, Float64Array, Int32Array, RecordBatch},
    buffer::{Buffer, OffsetBuffer},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{super::record::Column, ffmpeg::Frames};
use crate::error::{Error, Result};

/// How much of the frames is passed on at once, unless a single one has more.
const BATCH_BYTES: usize = 8 << 20;
/// The microseconds of a second.
const SECOND: f64 = 1e6;

/// The frames of a video, which are passed on from the first to the last.
#[derive(Debug)]
pub struct Clip {
    frames: Frames,
    sha256: String,
    id: i32,
    next: usize,
}

/// The columns of frames.
pub fn schema() -> SchemaRef {
    let fields = [
        ("video_id", DataType::Int32),
        ("frame_idx", DataType::Int32),
        ("bytes", DataType::Binary),
        ("time", DataType::Float64),
    ];
    Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
}

/// The columns of frames, as DuckDB describes them.
pub fn columns() -> Vec<Column> {
    let columns = [("video_id", "INTEGER"), ("frame_idx", "INTEGER"), ("bytes", "BLOB"), ("time", "DOUBLE")];
    columns.map(|(name, data_type)| Column { name: name.to_owned(), data_type: data_type.to_owned() }).to_vec()
}

// === impl Clip ===

impl Clip {
    /// The frames of the video with this checksum.
    pub fn new(frames: Frames, sha256: String) -> Self {
        Self { frames, sha256, id: 0, next: 0 }
    }

    /// Gives it its number in the export.
    pub fn number(&mut self, id: i32) {
        self.id = id;
    }

    /// Frames, height and width.
    pub fn shape(&self) -> (usize, u32, u32) {
        (self.frames.sizes.len(), self.frames.height, self.frames.width)
    }

    /// The SHA-256 of the video, in hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The next frames.
    ///
    /// # Errors
    /// Errors of the disk.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.next == 0 {
            self.frames.file.seek(SeekFrom::Start(0)).await?;
        }
        let mut offsets = vec![0_i32];
        let mut bytes = 0;
        for size in &self.frames.sizes[self.next..] {
            if bytes > 0 && bytes + size > BATCH_BYTES {
                break;
            }
            bytes += size;
            offsets.push(i32::try_from(bytes).map_err(|err| Error::internal("a frame is too large").with_source(err))?);
        }
        let count = offsets.len() - 1;
        if count == 0 {
            return Ok(None);
        }
        let mut values = vec![0; bytes];
        self.frames.file.read_exact(&mut values).await?;
        let images = BinaryArray::new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(values), None);
        let rows = self.next..self.next + count;
        self.next = rows.end;
        self.rows(rows, images).map(Some)
    }

    fn rows(&self, rows: Range<usize>, images: BinaryArray) -> Result<RecordBatch> {
        let failed = |source: String| Error::internal("make rows of frames").with_source(source);
        let start = i32::try_from(rows.start).map_err(|err| failed(err.to_string()))?;
        let end = i32::try_from(rows.end).map_err(|err| failed(err.to_string()))?;
        #[expect(clippy::cast_precision_loss, reason = "Exact for 285 years.")]
        let time = |microseconds: i64| microseconds as f64 / SECOND;
        let times = self.frames.times[rows].iter().map(|found| found.map(time));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from_iter_values(std::iter::repeat_n(self.id, images.len()))),
            Arc::new(Int32Array::from_iter_values(start..end)),
            Arc::new(images),
            Arc::new(times.collect::<Float64Array>()),
        ];
        RecordBatch::try_new(schema(), columns).map_err(|err| failed(err.to_string()))
    }
}

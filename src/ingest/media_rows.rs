//! The media of a column: stored as assets, several at a time, and described in a file.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use arrow::{
    array::{Array, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray},
    datatypes::Int64Type,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    assets::{Assets, Medium},
    work::Work,
};
use crate::error::{Error, Result};

/// The columns that tell where a row is: its file, and its number in it.
pub(super) const FILE: &str = "merganser_file";
pub(super) const ROW: &str = "file_row_number";

/// How many media are decoded and written at a time.
const CONCURRENT: usize = 8;

/// Stores the media that the query `rows` gives (file, row, number in a list, bytes, path), and writes one line of JSON about
/// each to the file `stored`.
///
/// # Errors
/// `InvalidArgument` for a picture that cannot be decoded; Cancelled; errors of the storage.
pub(super) async fn store(work: &Work<'_>, rows: &str, column: &str, stored: &Path, assets: &Assets) -> Result<()> {
    let sql = rows.to_owned();
    let lease = work.lake.engine().lease().await?;
    // At most one batch is buffered while another is stored: blobs are large.
    let (sender, mut batches) = mpsc::channel::<Result<RecordBatch>>(1);
    let _guard = lease.worker().spawn(move |connection| {
        let sent = connection.prepare(&sql).and_then(|statement| {
            let mut rows = statement.execute(&[])?;
            while let Some(batch) = rows.next_batch()? {
                if sender.blocking_send(Ok(batch)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        if let Err(err) = sent {
            let _ = sender.blocking_send(Err(err));
        }
    });
    let mut out = BufWriter::new(File::create(stored)?);
    while let Some(batch) = work.progress.unless_cancelled(async { Ok(batches.recv().await) }).await? {
        let media = Media { work, column, assets, rows: Rows::of(&batch?)?, has_failed: AtomicBool::new(false) };
        media.store(&mut out).await?;
    }
    Ok(out.flush()?)
}

/// The columns of a batch.
struct Rows {
    files: StringArray,
    rows: Int64Array,
    numbers: Int64Array,
    blobs: BinaryArray,
    paths: StringArray,
}

// === impl Rows ===

impl Rows {
    fn of(batch: &RecordBatch) -> Result<Self> {
        let columns = || {
            Some(Self {
                files: batch.column(0).as_string_opt::<i32>()?.clone(),
                rows: batch.column(1).as_primitive_opt::<Int64Type>()?.clone(),
                numbers: batch.column(2).as_primitive_opt::<Int64Type>()?.clone(),
                blobs: batch.column(3).as_binary_opt::<i32>()?.clone(),
                paths: batch.column(4).as_string_opt::<i32>()?.clone(),
            })
        };
        columns().ok_or_else(|| Error::internal("media columns have an unexpected type"))
    }
}

/// The media of a batch.
struct Media<'a> {
    work: &'a Work<'a>,
    column: &'a str,
    assets: &'a Assets,
    rows: Rows,
    has_failed: AtomicBool,
}

// === impl Media ===

impl Media<'_> {
    /// After a failure no further medium is begun, but those that were begun are finished: what they write must be known to
    /// be removed.
    async fn store(&self, out: &mut BufWriter<File>) -> Result<()> {
        let mut stored = stream::iter(0..self.rows.files.len()).map(|index| self.store_one(index)).buffered(CONCURRENT);
        let mut failure = None;
        while let Some(line) = stored.next().await {
            match line {
                Ok(line) if failure.is_none() => writeln!(out, "{line}")?,
                Ok(_) => {}
                Err(err) => failure = failure.or(Some(err)),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn store_one(&self, index: usize) -> Result<Value> {
        if self.has_failed.load(Ordering::Relaxed) {
            return Err(Error::cancelled());
        }
        let stored = match self.work.progress.check() {
            Ok(()) => self.try_store(index).await,
            Err(err) => Err(err),
        };
        self.has_failed.fetch_or(stored.is_err(), Ordering::Relaxed);
        stored
    }

    async fn try_store(&self, index: usize) -> Result<Value> {
        let Rows { files, rows, numbers, blobs, paths } = &self.rows;
        let (file, row) = (files.value(index), rows.value(index));
        let place = json!({ "file": file, "row": row, "number": numbers.value(index) });
        let path = paths.is_valid(index).then(|| paths.value(index));
        self.work.progress.advance(1);
        if !blobs.is_valid(index) {
            // Without bytes, the path is the URI of the media.
            return Ok(with(place, json!({ "uri": path })));
        }
        let medium = Medium::of(Bytes::copy_from_slice(blobs.value(index)), path).await?;
        // The same bytes get the same name, in whatever file and row they come.
        let fallback = &medium.sha256[..32];
        let uri = match path.filter(|path| self.work.request.keep_urls && is_url(path)) {
            Some(url) => url.to_owned(),
            None => self.assets.put_once(self.column, path, fallback, &medium).await?,
        };
        let facts = &medium.facts;
        let side = json!({
            "uri": uri, "width": facts.width, "height": facts.height, "duration": facts.duration_s,
            "format": facts.kind.map(|kind| kind.media_type), "bytes": medium.bytes.len(), "sha256": medium.sha256,
        });
        Ok(with(place, side))
    }
}

fn is_url(path: &str) -> bool {
    ["http://", "https://", "s3://", "gs://", "hf://"].iter().any(|scheme| path.starts_with(scheme))
}

/// Both objects as one.
fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

//! Rows on their way from a worker to a reader.
//!
//! ```text
//! DuckDB ─▶ ResultStream (2,048 rows) ─▶ coalesce ─▶ bounded channel ─▶ BatchStream ─▶ Flight
//! ```
//!
//! The channel holds a few batches; when it is full the worker waits, and DuckDB with it, so memory does not grow
//! with the result. Inside a transaction the connection may be wanted for the next statement while a reader is slow
//! or gone for now: the rest of the rows then moves to a file in the staging folder and the worker is free.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    compute::concat_batches,
    datatypes::SchemaRef,
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    duckdb::ResultStream,
    worker::{TaskGuard, Worker},
};
use crate::error::{Error, Result};

/// A batch is sent once it is this large …
const TARGET_BATCH_BYTES: usize = 1 << 20;
/// … or has this many rows.
const TARGET_BATCH_ROWS: usize = 1 << 16;
/// How many batches wait for a slow reader.
const CHANNEL_BATCHES: usize = 4;

/// Where a worker puts the batches of a result.
#[derive(Debug)]
pub struct BatchSender {
    channel: mpsc::Sender<Result<Item>>,
    worker: Worker,
    runtime: Handle,
    staging: PathBuf,
}

/// The batches of a result, for its reader. Dropping it interrupts the statement.
#[derive(Debug)]
pub struct BatchStream {
    schema: SchemaRef,
    channel: mpsc::Receiver<Result<Item>>,
    spool: Option<Spool>,
    /// Whether the statement has a connection of its own.
    alone: bool,
    /// Present while the statement may still run.
    _guard: Option<TaskGuard>,
}

#[derive(Debug)]
enum Item {
    Batch(RecordBatch),
    /// The rest of the result, in a file.
    Spool(Spool),
}

#[derive(Debug)]
struct Spool(StreamReader<BufReader<File>>);

/// A channel for one result that `worker` produces.
pub fn channel(worker: &Worker, staging: PathBuf) -> (BatchSender, BatchReceiver) {
    let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
    let sender = BatchSender { channel: sender, worker: worker.clone(), runtime: Handle::current(), staging };
    (sender, BatchReceiver(receiver))
}

/// The reader's end before the columns are known.
#[derive(Debug)]
pub struct BatchReceiver(mpsc::Receiver<Result<Item>>);

// === impl BatchReceiver ===

impl BatchReceiver {
    /// The stream, once `schema` is known; `guard` ends the statement when the stream is dropped.
    /// `alone` says that the statement has a connection of its own.
    pub fn into_stream(self, schema: SchemaRef, guard: TaskGuard, alone: bool) -> BatchStream {
        BatchStream { schema, channel: self.0, spool: None, alone, _guard: Some(guard) }
    }
}

// === impl BatchSender ===

impl BatchSender {
    /// Sends all rows of `rows`; an error in midstream is sent as well. Returns early when the reader is gone.
    pub fn send_all(&self, rows: &mut ResultStream<'_>) {
        let mut coalescer = Coalescer::new(rows.schema());
        loop {
            let batch = match coalescer.next_batch(rows) {
                Ok(Some(batch)) => batch,
                Ok(None) => return,
                Err(err) => {
                    let _ = self.channel.blocking_send(Err(err));
                    return;
                }
            };
            match self.send_or_make_way(batch) {
                Sent::Yes => {}
                Sent::ReaderGone => return,
                Sent::Queued(batch) => return self.spool_rest(batch, &mut coalescer, rows),
            }
        }
    }

    /// Tells the reader, behind the rows, that the statement failed after them.
    pub fn fail(&self, err: Error) {
        let _ = self.channel.blocking_send(Err(err));
    }

    fn send_or_make_way(&self, batch: RecordBatch) -> Sent {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                permit = self.channel.reserve() => match permit {
                    Ok(permit) => {
                        permit.send(Ok(Item::Batch(batch)));
                        Sent::Yes
                    }
                    Err(_) => Sent::ReaderGone,
                },
                () = self.worker.wait_queued() => Sent::Queued(batch),
            }
        })
    }

    /// Another statement waits for the connection: writes the rest to a file and leaves its delivery to the runtime.
    fn spool_rest(&self, first: RecordBatch, coalescer: &mut Coalescer, rows: &mut ResultStream<'_>) {
        let rest = spool(&self.staging, coalescer, rows).map(Item::Spool);
        let channel = self.channel.clone();
        self.runtime.spawn(async move {
            if channel.send(Ok(Item::Batch(first))).await.is_ok() {
                let _ = channel.send(rest).await;
            }
        });
    }
}

enum Sent {
    Yes,
    ReaderGone,
    /// Not sent: a task is queued behind this one.
    Queued(RecordBatch),
}

fn spool(staging: &Path, coalescer: &mut Coalescer, rows: &mut ResultStream<'_>) -> Result<Spool> {
    let failed = |err| Error::internal("spool result").with_source(err);
    let mut file = tempfile::tempfile_in(staging)?;
    let mut writer = StreamWriter::try_new(&mut file, &rows.schema()).map_err(failed)?;
    while let Some(batch) = coalescer.next_batch(rows)? {
        writer.write(&batch).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    drop(writer);
    std::io::Seek::rewind(&mut file)?;
    Ok(Spool(StreamReader::try_new(BufReader::new(file), None).map_err(failed)?))
}

// === impl BatchStream ===

impl BatchStream {
    /// A result that is already complete.
    pub fn complete(schema: SchemaRef, batches: &[RecordBatch]) -> Self {
        let (sender, channel) = mpsc::channel(batches.len().max(1));
        for batch in batches {
            // The channel has room for all of them.
            let _ = sender.try_send(Ok(Item::Batch(batch.clone())));
        }
        Self { schema, channel, spool: None, alone: false, _guard: None }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether its statement still runs, on a connection that nothing else needs.
    pub fn holds_connection(&self) -> bool {
        self.alone && !self.channel.is_closed()
    }

    /// The next rows, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        if self.spool.is_none() {
            match self.channel.recv().await? {
                Ok(Item::Batch(batch)) => return Some(Ok(batch)),
                Ok(Item::Spool(spool)) => self.spool = Some(spool),
                Err(err) => return Some(Err(err)),
            }
        }
        let mut spool = self.spool.take()?;
        let read = tokio::task::spawn_blocking(move || (spool.0.next(), spool)).await;
        let (batch, spool) = read.ok()?;
        self.spool = Some(spool);
        batch.map(|batch| batch.map_err(|err| Error::internal("read spooled result").with_source(err)))
    }
}

/// Puts DuckDB's small batches together.
struct Coalescer {
    schema: SchemaRef,
    parts: Vec<RecordBatch>,
}

// === impl Coalescer ===

impl Coalescer {
    fn new(schema: SchemaRef) -> Self {
        Self { schema, parts: Vec::new() }
    }

    fn next_batch(&mut self, rows: &mut ResultStream<'_>) -> Result<Option<RecordBatch>> {
        let (mut bytes, mut count) = (0, 0);
        while bytes < TARGET_BATCH_BYTES && count < TARGET_BATCH_ROWS {
            let Some(batch) = rows.next_batch()? else { break };
            bytes += batch.get_array_memory_size();
            count += batch.num_rows();
            self.parts.push(batch);
        }
        let batch = match self.parts.as_slice() {
            [] => return Ok(None),
            [only] => only.clone(),
            parts => concat_batches(&self.schema, parts)
                .map_err(|err| Error::internal("put batches together").with_source(err))?,
        };
        self.parts.clear();
        Ok(Some(batch))
    }
}

//! Rows in transit from a worker to a reader.
//!
//! ```text
//! DuckDB ─▶ ResultStream (chunks of 2,048 rows to batches) ─▶ bounded channel ─▶ BatchStream ─▶ Flight
//! ```
//!
//! The channel holds a few batches; when it is full, the worker and DuckDB wait, so memory does not grow with the
//! result. Inside a transaction, the next statement may need the connection while a reader is slow or absent: the rest
//! of the rows is then moved to a file in the staging folder, and the worker is free.

use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use futures::{StreamExt, stream::BoxStream};
use tokio::{runtime::Handle, sync::mpsc};

use super::{
    duckdb::{BatchLimits, Reads, ResultStream},
    worker::{TaskGuard, Worker},
};
use crate::error::{Error, Result};

/// The number of batches that are buffered for a slow reader.
const CHANNEL_BATCHES: usize = 4;
/// A batch that is larger, and larger than what was asked for, waits until those before it were taken.
const LARGE_BYTES: usize = 4 << 20;

/// The end to which a worker sends the batches of a result.
#[derive(Debug)]
pub struct BatchSender {
    limits: BatchLimits,
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
    /// What [`ready`](Self::ready) received and has not been returned yet.
    first: Option<Result<Item>>,
    spool: Option<Spool>,
    /// Whether the statement has its own connection.
    alone: bool,
    /// Present while the statement may still run.
    guard: Option<TaskGuard>,
}

#[derive(Debug)]
enum Item {
    Batch(RecordBatch),
    /// The rest of the result, in a file.
    Spool(Spool),
}

#[derive(Debug)]
struct Spool(StreamReader<BufReader<File>>);

/// A channel for one result that `worker` produces in batches within `limits`.
pub fn channel(worker: &Worker, staging: PathBuf, limits: BatchLimits) -> (BatchSender, BatchReceiver) {
    let (sender, receiver) = mpsc::channel(CHANNEL_BATCHES);
    let sender = BatchSender { limits, channel: sender, worker: worker.clone(), runtime: Handle::current(), staging };
    (sender, BatchReceiver(receiver))
}

/// The reader's end before the columns are known.
#[derive(Debug)]
pub struct BatchReceiver(mpsc::Receiver<Result<Item>>);

/// What a worker produces: the result of an execution, or of several.
pub trait Batches {
    /// The columns.
    fn schema(&self) -> SchemaRef;

    /// The next rows, or `None` at the end.
    ///
    /// # Errors
    /// Errors of DuckDB if the statement fails midway; there are no more rows then.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>>;
}

impl Batches for ResultStream<'_> {
    fn schema(&self) -> SchemaRef {
        Self::schema(self)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        Self::next_batch(self)
    }
}

// === impl BatchReceiver ===

impl BatchReceiver {
    /// The stream, once `schema` is known; `guard` ends the statement when the stream is dropped. `alone` specifies
    /// that the statement has its own connection.
    pub fn into_stream(self, schema: SchemaRef, guard: TaskGuard, alone: bool) -> BatchStream {
        BatchStream { schema, channel: self.0, first: None, spool: None, alone, guard: Some(guard) }
    }
}

// === impl BatchSender ===

impl BatchSender {
    /// The size of the batches.
    pub fn limits(&self) -> BatchLimits {
        self.limits
    }

    /// Sends all of `rows`; an error midway is sent as well. Returns early if the reader is gone.
    pub fn send_all(&self, rows: &mut impl Batches) {
        loop {
            let batch = match rows.next_batch() {
                Ok(Some(batch)) => batch,
                Ok(None) => return,
                Err(err) => return self.fail(err),
            };
            match self.send_or_make_way(Ok(Item::Batch(batch))) {
                Sent::Yes => {}
                Sent::ReaderGone => return,
                Sent::Queued(batch) => return self.spool_rest(*batch, rows),
            }
        }
    }

    /// Reports to the reader, after the rows, that the statement failed after them.
    pub fn fail(&self, err: Error) {
        if let Sent::Queued(failure) = self.send_or_make_way(Err(err)) {
            let channel = self.channel.clone();
            self.runtime.spawn(async move { channel.send(*failure).await });
        }
    }

    fn send_or_make_way(&self, item: Result<Item>) -> Sent {
        let stopped = self.worker.running_task_stopped();
        let room = if self.is_large(&item) { CHANNEL_BATCHES } else { 1 };
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                permits = self.channel.reserve_many(room) => match permits.map(|mut permits| permits.next()) {
                    Ok(Some(permit)) => {
                        permit.send(item);
                        Sent::Yes
                    }
                    Ok(None) | Err(_) => Sent::ReaderGone,
                },
                // The reader finds the reason in the task's handle.
                () = stopped.cancelled() => Sent::ReaderGone,
                () = self.worker.wait_queued() => Sent::Queued(Box::new(item)),
            }
        })
    }

    fn is_large(&self, item: &Result<Item>) -> bool {
        let Ok(Item::Batch(batch)) = item else { return false };
        batch.get_array_memory_size() > LARGE_BYTES.max(2 * self.limits.bytes)
    }

    /// Another statement waits for the connection: writes the rest to a file, whose delivery is left to the runtime.
    fn spool_rest(&self, first: Result<Item>, rows: &mut impl Batches) {
        let rest = spool(&self.staging, rows).map(Item::Spool);
        let channel = self.channel.clone();
        self.runtime.spawn(async move {
            if channel.send(first).await.is_ok() {
                let _ = channel.send(rest).await;
            }
        });
    }
}

enum Sent {
    Yes,
    ReaderGone,
    /// Not sent: a task is queued behind this one.
    Queued(Box<Result<Item>>),
}

fn spool(staging: &Path, rows: &mut impl Batches) -> Result<Spool> {
    let failed = |err| Error::internal("spool result").with_source(err);
    let mut file = tempfile::tempfile_in(staging)?;
    let mut writer = StreamWriter::try_new(&mut file, &rows.schema()).map_err(failed)?;
    while let Some(batch) = rows.next_batch()? {
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
        Self { schema, channel, first: None, spool: None, alone: false, guard: None }
    }

    /// A result that no worker produces; it is read ahead up to the capacity of the channel. Dropping the stream drops
    /// `rows`.
    pub fn of(schema: SchemaRef, mut rows: BoxStream<'static, Result<RecordBatch>>) -> Self {
        let (sender, channel) = mpsc::channel(CHANNEL_BATCHES);
        tokio::spawn(async move {
            let feed = async {
                while let Some(batch) = rows.next().await {
                    if sender.send(batch.map(Item::Batch)).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! { () = sender.closed() => {}, () = feed => {} }
        });
        Self { schema, channel, first: None, spool: None, alone: false, guard: None }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What its statement's functions read; complete after the last rows. `None` for a result that was complete at once.
    pub fn reads(&self) -> Option<Arc<Reads>> {
        Some(Arc::clone(self.guard.as_ref()?.handle()?.reads()))
    }

    /// Whether its statement is still running, on a connection that nothing else needs.
    pub fn holds_connection(&self) -> bool {
        self.alone && !self.channel.is_closed()
    }

    /// Resolves once rows, the end or a failure are available.
    pub async fn ready(&mut self) {
        if self.first.is_none() && self.spool.is_none() {
            self.first = self.channel.recv().await;
        }
    }

    /// The failure that preceded all rows, if [`ready`](Self::ready) received one.
    pub fn failed_first(&mut self) -> Option<Error> {
        match self.first.take() {
            Some(Err(err)) => Some(self.explain(err)),
            first => {
                self.first = first;
                self.stop_reason()
            }
        }
    }

    /// The next rows, or `None` at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        if let Some(reason) = self.stop_reason() {
            *self = Self::complete(self.schema(), &[]);
            return Some(Err(reason));
        }
        if self.spool.is_none() {
            let item = match self.first.take() {
                Some(item) => Some(item),
                None => self.channel.recv().await,
            };
            match item {
                Some(Ok(Item::Batch(batch))) => return Some(Ok(batch)),
                Some(Ok(Item::Spool(spool))) => self.spool = Some(spool),
                Some(Err(err)) => return Some(Err(self.explain(err))),
                // A statement that was stopped ends without an error.
                None => return self.stop_reason().map(Err),
            }
        }
        let mut spool = self.spool.take()?;
        let read = tokio::task::spawn_blocking(move || (spool.0.next(), spool)).await;
        let (batch, spool) = read.ok()?;
        self.spool = Some(spool);
        batch.map(|batch| batch.map_err(|err| Error::internal("read spooled result").with_source(err)))
    }

    fn stop_reason(&self) -> Option<Error> {
        self.guard.as_ref()?.handle()?.stop_reason()
    }

    fn explain(&self, err: Error) -> Error {
        match self.guard.as_ref().and_then(TaskGuard::handle) {
            Some(task) => task.explain(err),
            None => err,
        }
    }
}

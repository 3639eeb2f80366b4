//! Rows in transit from a client to a statement.
//!
//! ```text
//! Flight ─▶ InflowSender ─▶ queue of a few MiB ─▶ Inflow ─▶ the scan, on one or several threads of DuckDB
//! ```
//!
//! The queue holds a few MiB; when it is full, the sender waits, and so does the client. If either side is dropped, the
//! other one ends: without [`InflowSender::finish`], the rows are not considered complete.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::accept;
use crate::error::{Error, Result};

/// The sender waits while this much is queued.
const QUEUE_BYTES: usize = 16 << 20;
/// Below this number of rows, a single thread reads, which preserves their order: this is the size of DuckDB's row
/// groups.
const PARALLEL_ROWS: usize = 122_880;
/// A helper thread that found nothing to read for this long returns to other work.
const PATIENCE: Duration = Duration::from_millis(250);

/// Rows read by a statement; see [`Connection::scan`](super::Connection::scan). Dropping it stops the sender.
#[derive(Debug)]
pub struct Inflow {
    schema: SchemaRef,
    queue: Arc<Queue>,
}

/// The source of the rows. Dropping it before [`finish`](Self::finish) is a failure.
#[derive(Debug)]
pub struct InflowSender(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Something was queued, or the end was reached.
    arrived: Condvar,
    /// There is room again, or there are no readers any more.
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<(RecordBatch, usize)>,
    bytes: usize,
    rows: usize,
    /// Nothing more will be queued.
    ended: bool,
    /// There are no readers any more.
    abandoned: bool,
    failure: Option<Error>,
    readers: usize,
}

/// The two ends of a queue for rows with the columns of `schema`.
///
/// # Errors
/// Unsupported for an Arrow type that DuckDB cannot accept; `InvalidArgument` for invalid column names.
pub fn inflow(schema: &SchemaRef) -> Result<(InflowSender, Inflow)> {
    check_names(schema)?;
    let queue = Arc::<Queue>::default();
    Ok((InflowSender(Arc::clone(&queue)), Inflow { schema: accept::schema(schema)?, queue }))
}

/// The bytes of the rows of a batch.
pub fn bytes_of(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

fn check_names(schema: &SchemaRef) -> Result<()> {
    if schema.fields().is_empty() {
        return Err(Error::invalid("the rows have no columns"));
    }
    let mut seen = HashSet::new();
    match schema.fields().iter().find(|field| !seen.insert(field.name().to_lowercase())) {
        Some(twice) => Err(Error::invalid(format!("the rows have two columns \"{}\" (ignoring case)", twice.name()))),
        None => Ok(()),
    }
}

// === impl InflowSender ===

impl InflowSender {
    /// Queues rows once there is room for them.
    ///
    /// # Errors
    /// Cancelled if there are no readers any more.
    pub async fn send(&self, batch: RecordBatch) -> Result<()> {
        loop {
            // A future that is created before the state is inspected misses no change of it.
            let taken = self.0.taken.notified();
            {
                let mut state = self.0.state.lock();
                if state.abandoned {
                    return Err(Error::cancelled());
                }
                if state.bytes < QUEUE_BYTES {
                    state.push(batch);
                    self.0.arrived.notify_all();
                    return Ok(());
                }
            }
            taken.await;
        }
    }

    /// All rows have been sent.
    pub fn finish(self) {
        self.0.state.lock().ended = true;
    }

    /// Ends the rows with a failure: those sent are discarded.
    pub fn fail(self, err: Error) {
        self.0.state.lock().failure = Some(err);
    }
}

impl Drop for InflowSender {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        if !state.ended && state.failure.is_none() {
            state.failure = Some(Error::cancelled());
        }
        state.ended = true;
        self.0.arrived.notify_all();
    }
}

// === impl Inflow ===

impl Inflow {
    /// Rows that are complete.
    ///
    /// # Errors
    /// As [`inflow`].
    pub fn complete(batch: RecordBatch) -> Result<Self> {
        Self::of(&batch.schema(), [batch])
    }

    /// Batches that are complete, with the columns of `schema`.
    ///
    /// # Errors
    /// As [`inflow`].
    pub fn of(schema: &SchemaRef, batches: impl IntoIterator<Item = RecordBatch>) -> Result<Self> {
        let (sender, inflow) = inflow(schema)?;
        {
            let mut state = inflow.queue.state.lock();
            batches.into_iter().for_each(|batch| state.push(batch));
        }
        sender.finish();
        Ok(inflow)
    }

    /// The columns, as passed to DuckDB.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Why the rows that were read are incomplete; `None` if they are complete.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.queue.state.lock().failure.take()
    }

    /// Reports that no more rows can be read; the first reason is kept.
    pub(super) fn fail(&self, err: Error) {
        self.queue.state.lock().failure.get_or_insert(err);
        self.queue.arrived.notify_all();
    }

    /// Waits until the size can be estimated, and returns whether more than one thread should read.
    pub(super) fn is_large(&self) -> bool {
        let mut state = self.queue.state.lock();
        while !state.ended && state.bytes < QUEUE_BYTES && state.rows < PARALLEL_ROWS {
            self.queue.arrived.wait(&mut state);
        }
        state.batches.len() > 1 && state.rows >= PARALLEL_ROWS
    }

    /// Adds a reading thread, until [`next`](Self::next) returns `None` to it.
    pub(super) fn join(&self) {
        self.queue.state.lock().readers += 1;
    }

    /// The next rows; `None` at the end, after a failure, and for a helper that is not needed. A reader with `stays`
    /// waits as long as necessary; the last reader always does.
    pub(super) fn next(&self, stays: bool) -> Option<RecordBatch> {
        let mut state = self.queue.state.lock();
        loop {
            if state.failure.is_some() {
                return None;
            }
            if let Some(batch) = state.pop() {
                self.queue.taken.notify_one();
                return Some(batch);
            }
            if state.ended {
                return None;
            }
            let waited_in_vain = if stays {
                self.queue.arrived.wait(&mut state);
                false
            } else {
                self.queue.arrived.wait_for(&mut state, PATIENCE).timed_out()
            };
            if waited_in_vain && state.leave() {
                return None;
            }
        }
    }
}

impl Drop for Inflow {
    fn drop(&mut self) {
        let mut state = self.queue.state.lock();
        state.abandoned = true;
        state.batches.clear();
        self.queue.taken.notify_one();
    }
}

// === impl State ===

impl State {
    fn push(&mut self, batch: RecordBatch) {
        let bytes = bytes_of(&batch);
        self.bytes += bytes;
        self.rows += batch.num_rows();
        self.batches.push_back((batch, bytes));
    }

    fn pop(&mut self) -> Option<RecordBatch> {
        let (batch, bytes) = self.batches.pop_front()?;
        self.bytes -= bytes;
        Some(batch)
    }

    /// Lets a reader leave unless it is the last one.
    fn leave(&mut self) -> bool {
        let may = self.readers > 1;
        self.readers -= usize::from(may);
        may
    }
}

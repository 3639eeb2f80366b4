//! Executions: statements that have been started and whose result waits for its reader.
//!
//! A client asks for a result with GetFlightInfo and fetches it with DoGet, or never. The statement runs at the first,
//! exactly once; what is kept here is its result: complete (it may be read again) or a stream (read once). What
//! nobody fetches is given up after a while, and its statement interrupted.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parking_lot::Mutex;

use crate::{
    context::Principal,
    engine::BatchStream,
    error::{Error, Result},
    ids::ExecutionId,
};

/// The most results that wait at once; the oldest is given up for a new one.
const MAX_WAITING: usize = 1024;

/// The rows of an execution.
#[derive(Debug)]
pub enum Rows {
    /// All of them are here.
    Complete(SchemaRef, Vec<RecordBatch>),
    /// They come as they are read.
    Stream(Box<BatchStream>),
}

/// The results that wait.
#[derive(Debug)]
pub struct Executions {
    waiting: Mutex<HashMap<ExecutionId, Waiting>>,
    ttl: Duration,
}

#[derive(Debug)]
struct Waiting {
    owner: Principal,
    since: Instant,
    rows: Rows,
}

// === impl Rows ===

impl Rows {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        match self {
            Self::Complete(schema, _) => SchemaRef::clone(schema),
            Self::Stream(stream) => stream.schema(),
        }
    }

    /// How many rows there are, where that is known.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Complete(_, batches) => Some(batches.iter().map(RecordBatch::num_rows).sum()),
            Self::Stream(_) => None,
        }
    }
}

// === impl Executions ===

impl Executions {
    pub(super) fn new(ttl: Duration) -> Self {
        Self { waiting: Mutex::default(), ttl }
    }

    /// Keeps `rows` for `owner`.
    pub fn put(&self, owner: Principal, rows: Rows) -> ExecutionId {
        let id = ExecutionId::new();
        let mut waiting = self.waiting.lock();
        if waiting.len() >= MAX_WAITING {
            let oldest = waiting.iter().min_by_key(|(_, waiting)| waiting.since).map(|(id, _)| *id);
            oldest.and_then(|id| waiting.remove(&id));
        }
        waiting.insert(id, Waiting { owner, since: Instant::now(), rows });
        id
    }

    /// The rows that the ticket `id` stands for.
    ///
    /// # Errors
    /// `NotFound` when they were read already, waited too long, or are another user's.
    pub fn take(&self, id: &[u8], reader: &Principal) -> Result<BatchStream> {
        let gone = || Error::not_found("the result is gone: it was read, or waited too long; run the statement again");
        let id = ExecutionId::from_bytes(id).ok_or_else(gone)?;
        let mut waiting = self.waiting.lock();
        if waiting.get(&id).is_none_or(|found| found.owner != *reader) {
            return Err(gone());
        }
        let Some(found) = waiting.remove(&id) else { return Err(gone()) };
        match found.rows {
            Rows::Stream(stream) => Ok(*stream),
            Rows::Complete(schema, batches) => {
                let stream = BatchStream::complete(SchemaRef::clone(&schema), &batches);
                waiting.insert(id, Waiting { rows: Rows::Complete(schema, batches), ..found });
                Ok(stream)
            }
        }
    }

    /// Gives up the oldest stream, if it has waited for `age`: its statement holds a connection that others need.
    pub(super) fn drop_oldest_stream(&self, age: Duration) {
        let mut waiting = self.waiting.lock();
        let holds = |rows: &Rows| matches!(rows, Rows::Stream(stream) if stream.holds_connection());
        let streams = waiting.iter().filter(|(_, waiting)| holds(&waiting.rows));
        let oldest = streams.min_by_key(|(_, waiting)| waiting.since);
        let oldest = oldest.filter(|(_, waiting)| waiting.since.elapsed() >= age).map(|(id, _)| *id);
        oldest.and_then(|id| waiting.remove(&id));
    }

    pub(super) fn drop_expired(&self) {
        self.waiting.lock().retain(|_, waiting| waiting.since.elapsed() < self.ttl);
    }

    pub(super) fn clear(&self) {
        self.waiting.lock().clear();
    }
}

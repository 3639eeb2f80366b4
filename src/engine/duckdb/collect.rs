//! Rows that the threads of DuckDB collect, until they are read.
//!
//! ```text
//! thread ─▶ Batcher ─┬▶ ready, if its batch of rows is the one that is read ─▶ the reader
//!                    └▶ ahead, by the number of its batch ───────┘
//! ```
//!
//! What is ready and ahead is bounded: threads without room give their task back to DuckDB, and go on with others.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arrow::array::RecordBatch;
use duckdb::ffi;
use merganser_planner::{Collect, Failed, Part, Room, Vector, Waiting};
use parking_lot::{Condvar, Mutex};

use super::{
    batcher::{BatchLimits, Batcher, Chunk},
    connection::ArrowOptions,
    layout::Layout,
    value::LogicalType,
};
use crate::error::{Error, Result};

/// How much may be ready for the reader.
const READY_BYTES: usize = 8 << 20;
/// How much may be there in all.
const ALL_BYTES: usize = 40 << 20;

/// The rows of a result.
pub(super) struct Collected {
    /// Taken for the layout.
    options: Mutex<Option<ArrowOptions>>,
    layout: OnceLock<Arc<Layout>>,
    limits: BatchLimits,
    /// Set when nobody wants more rows.
    unwanted: Arc<AtomicBool>,
    state: Mutex<State>,
    /// There are rows, or there is something else for the reader to do.
    changed: Condvar,
}

// SAFETY: the options are only taken, by one thread.
unsafe impl Send for Collected {}
// SAFETY: as above.
unsafe impl Sync for Collected {}

#[derive(Default)]
struct State {
    ready: VecDeque<RecordBatch>,
    ready_bytes: usize,
    /// Rows of later batches, by their number.
    ahead: BTreeMap<u64, Vec<RecordBatch>>,
    ahead_bytes: usize,
    /// The batch that is read.
    current: u64,
    waiting: Vec<(u64, Waiting)>,
    has_changed: bool,
    abandoned: bool,
    failure: Option<Error>,
}

/// The rows of one thread.
struct Collecting {
    rows: Arc<Collected>,
    batcher: Batcher,
    batch: u64,
    /// Whether there was room since rows were passed on.
    has_room: bool,
}

// === impl Collected ===

impl Collected {
    /// For a result whose rows end when `unwanted` is set.
    pub(super) fn new(options: ArrowOptions, limits: BatchLimits, unwanted: Arc<AtomicBool>) -> Arc<Self> {
        let (options, layout) = (Mutex::new(Some(options)), OnceLock::new());
        Arc::new(Self { options, layout, limits, unwanted, state: Mutex::default(), changed: Condvar::new() })
    }

    /// The columns; `None` if DuckDB keeps the rows.
    pub(super) fn layout(&self) -> Option<&Arc<Layout>> {
        self.layout.get()
    }

    /// Takes the next rows that are ready, and lets threads go on for which there is room now.
    pub(super) fn take(&self) -> Option<RecordBatch> {
        let mut state = self.state.lock();
        let batch = state.ready.pop_front()?;
        state.ready_bytes -= batch.get_array_memory_size();
        let resumed = state.with_room();
        drop(state);
        drop(resumed);
        Some(batch)
    }

    /// Fails if nobody wants more rows.
    ///
    /// # Errors
    /// Cancelled.
    pub(super) fn check_wanted(&self) -> Result<()> {
        if self.unwanted.load(Ordering::Acquire) { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// Waits until something has changed since the last call, at most this long.
    pub(super) fn wait(&self, limit: Duration) {
        let mut state = self.state.lock();
        if !state.has_changed {
            self.changed.wait_for(&mut state, limit);
        }
        state.has_changed = false;
    }

    /// Nobody wants more rows.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        state.abandoned = true;
        let resumed = std::mem::take(&mut state.waiting);
        let rows = (std::mem::take(&mut state.ready), std::mem::take(&mut state.ahead));
        drop(state);
        drop((resumed, rows));
    }

    /// Why the rows could not be collected, if that is why the statement failed.
    pub(super) fn failure(&self) -> Option<Error> {
        self.state.lock().failure.take()
    }

    fn check<T>(&self, outcome: Result<T>) -> Result<T, Failed> {
        outcome.map_err(|err| {
            self.state.lock().failure.get_or_insert(err);
            Failed
        })
    }

    fn push(&self, batch: u64, rows: RecordBatch) {
        let bytes = rows.get_array_memory_size();
        let mut state = self.state.lock();
        if state.abandoned {
            return;
        }
        if batch <= state.current {
            state.ready.push_back(rows);
            state.ready_bytes += bytes;
            self.tell(&mut state);
        } else {
            state.ahead.entry(batch).or_default().push(rows);
            state.ahead_bytes += bytes;
        }
    }

    fn tell(&self, state: &mut State) {
        state.has_changed = true;
        self.changed.notify_one();
    }

    fn lay_out(&self, columns: Vec<(String, ffi::duckdb_logical_type)>) -> Result<()> {
        let columns = columns.into_iter().map(|(name, kind)| (name, LogicalType::from_raw(kind)));
        let (names, types): (Vec<_>, Vec<_>) = columns.unzip();
        let options = self.options.lock().take().ok_or_else(|| Error::internal("a result began twice"))?;
        // It was not set before: that would have taken the options.
        let _ = self.layout.set(Arc::new(Layout::new(options, &names, &types)?));
        Ok(())
    }
}

// === impl State ===

impl State {
    /// The thread that the reader waits for needs room among what is ready; the others share the rest.
    fn is_full(&self, batch: u64) -> bool {
        if batch <= self.current {
            self.ready_bytes >= READY_BYTES
        } else {
            self.ready_bytes + self.ahead_bytes >= ALL_BYTES
        }
    }

    /// The tasks that may go on; they do when they are dropped, which must be without the lock.
    fn with_room(&mut self) -> Vec<Waiting> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (kept, resumed): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(batch, _)| self.is_full(*batch));
        self.waiting = kept;
        self.has_changed |= !resumed.is_empty();
        resumed.into_iter().map(|(_, waiting)| waiting).collect()
    }
}

impl Collect for Collected {
    fn begin(&self, columns: Vec<(String, ffi::duckdb_logical_type)>) -> Result<(), Failed> {
        self.check(self.lay_out(columns))
    }

    #[expect(
        clippy::expect_used,
        reason = "DuckDB makes parts of results that have begun; C++ has no other way to fail"
    )]
    fn part(self: Arc<Self>) -> Box<dyn Part> {
        let batcher = Batcher::new(self.layout().expect("columns"), self.limits);
        Box::new(Collecting { rows: self, batcher, batch: 0, has_room: false })
    }

    fn advance(&self, batch: u64) {
        let mut state = self.state.lock();
        if batch <= state.current {
            return;
        }
        state.current = batch;
        while let Some(entry) = state.ahead.first_entry().filter(|entry| *entry.key() <= batch) {
            for rows in entry.remove() {
                let bytes = rows.get_array_memory_size();
                state.ahead_bytes -= bytes;
                state.ready_bytes += bytes;
                state.ready.push_back(rows);
            }
        }
        let resumed = state.with_room();
        self.tell(&mut state);
        drop(state);
        drop(resumed);
    }

    fn finish(&self) {
        self.advance(u64::MAX);
    }
}

// === impl Collecting ===

impl Collecting {
    fn pass_on(&mut self) {
        while let Some(rows) = self.batcher.pop() {
            self.rows.push(self.batch, rows);
            self.has_room = false;
        }
    }
}

impl Part for Collecting {
    fn room(&mut self, batch: u64, waiting: &mut dyn FnMut() -> Option<Waiting>) -> Room {
        if self.has_room {
            return Room::Some;
        }
        let mut state = self.rows.state.lock();
        if state.abandoned || self.rows.unwanted.load(Ordering::Acquire) {
            return Room::Unwanted;
        }
        if state.is_full(batch) {
            state.waiting.extend(waiting().map(|waiting| (batch, waiting)));
            return Room::None;
        }
        self.has_room = true;
        Room::Some
    }

    unsafe fn append(
        &mut self,
        batch: u64,
        raw: ffi::duckdb_data_chunk,
        columns: &[Vector],
        from: usize,
    ) -> Result<usize, Failed> {
        self.batch = batch;
        // SAFETY: by the caller.
        let appended = unsafe { self.batcher.append(&Chunk { raw, columns }, from) };
        self.pass_on();
        self.rows.check(appended)
    }

    fn flush(&mut self) -> Result<(), Failed> {
        let flushed = self.batcher.flush();
        self.pass_on();
        self.rows.check(flushed)
    }
}

//! Results that leave DuckDB on the threads that compute them, through a sink of our own (`cpp/collector.cpp`).
//!
//! ```text
//! threads of DuckDB ─▶ Part::append (chunks) ─▶ Part::flush ─▶ whatever implements Collect ─▶ the reader
//! ```
//!
//! The reader executes pending tasks (`duckdb_pending_execute_task`) until there are no more. Rows are in order if DuckDB
//! preserves their order: threads work on batches of consecutive rows, which have numbers.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
    sync::Arc,
};

use duckdb::ffi;

/// What rows are collected into. Whatever fails in it fails the statement: the reader has to know the reason from it.
pub trait Collect: Send + Sync {
    /// The columns of the result, whose types the callee destroys. Not called for statements whose result DuckDB keeps,
    /// such as writes; then nothing else is called either.
    ///
    /// # Errors
    /// If they cannot be collected.
    fn begin(&self, columns: Vec<(String, ffi::duckdb_logical_type)>) -> Result<(), Failed>;
    /// What one of the computing threads collects.
    fn part(self: Arc<Self>) -> Box<dyn Part>;
    /// The batches before this one are complete.
    fn advance(&self, batch: u64);
    /// All rows are there.
    fn finish(&self);
}

/// The rows of one thread, in order.
pub trait Part: Send {
    /// Whether there is room for rows of a batch. If there is none, what `waiting` gives is kept until there is; it must be
    /// asked for under the lock that decides.
    fn room(&mut self, batch: u64, waiting: &mut dyn FnMut() -> Option<Waiting>) -> Room;
    /// Takes rows of a chunk, given as it is and by its columns, from row `from` on. Returns the first row that is left, or
    /// the number of rows; before the rest is taken, it must be asked whether there is room.
    ///
    /// # Errors
    /// If the rows cannot be collected.
    ///
    /// # Safety
    /// The chunk is alive, and has the columns of the result.
    unsafe fn append(
        &mut self,
        batch: u64,
        chunk: ffi::duckdb_data_chunk,
        columns: &[Vector],
        from: usize,
    ) -> Result<usize, Failed>;
    /// The thread has all of its rows of the batch.
    ///
    /// # Errors
    /// If the rows cannot be collected.
    fn flush(&mut self) -> Result<(), Failed>;
}

/// Rows could not be collected.
#[derive(Clone, Copy, Debug)]
pub struct Failed;

/// Whether there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is.
    Some,
    /// There is none now.
    None,
    /// Nobody wants more rows.
    Unwanted,
}

/// The values of a column of a chunk.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Vector {
    /// Values, as DuckDB's C API has them.
    pub data: *const c_void,
    /// The index of the value of each row; null if they are in the order of the rows.
    pub selection: *const u32,
    /// A bit for each value, set if it is not NULL; null if none is.
    pub validity: *const u64,
}

/// A task of DuckDB that waits for room. It goes on when this is dropped.
#[derive(Debug)]
pub struct Waiting(*mut c_void);

// SAFETY: the state that it points to may be signalled by any thread, once.
unsafe impl Send for Waiting {}

unsafe extern "C" {
    fn merganser_collector_start(
        connection: ffi::duckdb_connection,
        statement: ffi::duckdb_prepared_statement,
        rows: *mut c_void,
        pending: *mut ffi::duckdb_pending_result,
    ) -> ffi::duckdb_state;
    fn merganser_collector_wake(waiting: *mut c_void);
}

/// Begins to execute a statement whose rows go to `rows`. Returns the outcome of `duckdb_pending_prepared`, and the pending
/// result, which the caller must destroy.
///
/// # Safety
/// Connection and statement must be open, and not in use by another thread.
pub unsafe fn collect(
    connection: ffi::duckdb_connection,
    statement: ffi::duckdb_prepared_statement,
    rows: Arc<dyn Collect>,
) -> (ffi::duckdb_state, ffi::duckdb_pending_result) {
    let mut pending = ptr::null_mut();
    let rows = Box::into_raw(Box::new(rows)).cast();
    // SAFETY: by the caller; the C++ takes the box, and drops it with its last user.
    let state = unsafe { merganser_collector_start(connection, statement, rows, &raw mut pending) };
    (state, pending)
}

// === impl Waiting ===

impl Drop for Waiting {
    fn drop(&mut self) {
        // SAFETY: given by C++, and given back once.
        unsafe { merganser_collector_wake(self.0) };
    }
}

// === called by C++, which has no other way to fail than these results ===

type Rows = Arc<dyn Collect>;
type AnyPart = Box<dyn Part>;

/// A panic is a failure, too.
fn attempt<T>(work: impl FnOnce() -> Result<T, Failed>) -> Result<T, Failed> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failed))
}

/// # Safety
/// `rows` is that of [`collect`]; `names` and `types` have an entry for each of the columns.
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_begin(
    rows: *mut c_void,
    columns: u64,
    names: *const *const c_char,
    types: *const ffi::duckdb_logical_type,
) -> bool {
    // SAFETY: by the caller; without columns, C++ may give null pointers, which are not read.
    let columns = (0..usize::try_from(columns).unwrap_or(0)).map(|index| unsafe {
        let name = CStr::from_ptr(*names.add(index)).to_string_lossy().into_owned();
        (name, *types.add(index))
    });
    // SAFETY: by the caller.
    let rows = unsafe { &*rows.cast::<Rows>() };
    attempt(|| rows.begin(columns.collect())).is_ok()
}

/// # Safety
/// `rows` is that of [`collect`].
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_part(rows: *mut c_void) -> *mut c_void {
    // SAFETY: alive as long as the collector.
    let rows = unsafe { &*rows.cast::<Rows>() };
    Box::into_raw(Box::new(Arc::clone(rows).part())).cast()
}

/// # Safety
/// `part` is of [`merganser_collector_part`], and not used again.
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_drop_part(part: *mut c_void) {
    // SAFETY: made by `Box::into_raw`, and dropped once.
    drop(unsafe { Box::from_raw(part.cast::<AnyPart>()) });
}

/// Returns 0 if there is room, 1 if there is none, and 2 if nobody wants more rows. If there is none, and `waiting` is not
/// null, that is kept, to be given to `merganser_collector_wake`.
///
/// # Safety
/// `part` is of [`merganser_collector_part`], used by one thread at a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_room(part: *mut c_void, batch: u64, waiting: *mut c_void) -> c_int {
    // SAFETY: by the caller.
    let part = unsafe { &mut *part.cast::<AnyPart>() };
    match part.room(batch, &mut || (!waiting.is_null()).then_some(Waiting(waiting))) {
        Room::Some => 0,
        Room::None => 1,
        Room::Unwanted => 2,
    }
}

/// Returns the first row that is left, or -1 for a failure.
///
/// # Safety
/// As [`merganser_collector_room`]; the chunk is alive, and there are `count` columns.
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_append(
    part: *mut c_void,
    batch: u64,
    chunk: ffi::duckdb_data_chunk,
    columns: *const Vector,
    count: u64,
    from: i64,
) -> i64 {
    // SAFETY: by the caller; every result has a column, so that the pointer is not null.
    let (part, columns) =
        unsafe { (&mut *part.cast::<AnyPart>(), slice::from_raw_parts(columns, usize::try_from(count).unwrap_or(0))) };
    let from = usize::try_from(from).unwrap_or(0);
    // SAFETY: by the caller.
    let next = attempt(|| unsafe { part.append(batch, chunk, columns, from) });
    next.ok().and_then(|next| i64::try_from(next).ok()).unwrap_or(-1)
}

/// # Safety
/// As [`merganser_collector_room`].
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_flush(part: *mut c_void) -> bool {
    // SAFETY: by the caller.
    let part = unsafe { &mut *part.cast::<AnyPart>() };
    attempt(|| part.flush()).is_ok()
}

/// # Safety
/// `rows` is that of [`collect`].
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_advance(rows: *mut c_void, batch: u64) {
    // SAFETY: by the caller.
    unsafe { (*rows.cast::<Rows>()).advance(batch) };
}

/// # Safety
/// `rows` is that of [`collect`].
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_finish(rows: *mut c_void) {
    // SAFETY: by the caller.
    unsafe { (*rows.cast::<Rows>()).finish() };
}

/// # Safety
/// `rows` is that of [`collect`], and not used again.
#[unsafe(no_mangle)]
unsafe extern "C" fn merganser_collector_drop(rows: *mut c_void) {
    // SAFETY: made by `Box::into_raw`, and dropped once.
    drop(unsafe { Box::from_raw(rows.cast::<Rows>()) });
}

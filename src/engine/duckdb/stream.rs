//! The execution of a statement, and its rows.

use std::{ffi::CStr, ptr, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use duckdb::ffi;
use merganser_planner::Vector;

use super::{
    batcher::{BatchLimits, Batcher, Chunk},
    collect::Collected,
    error,
    layout::Layout,
    pending::{Pending, Step},
    statement::Statement,
    value::{LogicalType, Value},
};
use crate::error::{Error, Result};

/// The result of an execution, whose rows are computed as they are read, and a little ahead.
///
/// Another statement on the same connection ends the stream; dropping the stream stops the statement.
#[expect(missing_debug_implementations, reason = "a stream has nothing to show")]
pub struct ResultStream<'s> {
    layout: Arc<Layout>,
    rows: Rows,
    /// It outlives its result, and no second execution of it runs meanwhile.
    statement: &'s Statement<'s>,
}

enum Rows {
    /// The threads of DuckDB collect them while tasks are pending.
    Collected { rows: Arc<Collected>, pending: Option<Pending> },
    /// DuckDB has them, or computes them chunk by chunk.
    Kept(Kept),
}

/// Rows that DuckDB has.
struct Kept {
    result: ResultHandle,
    batcher: Batcher,
    /// The chunk that is read, and its first row that is left.
    current: Option<(ChunkHandle, usize)>,
    is_over: bool,
}

struct ResultHandle(ffi::duckdb_result);

// === impl Statement ===

impl Statement<'_> {
    /// Executes the statement with `params`. The rows of a query are computed as they are read; other statements have ended
    /// when this returns.
    ///
    /// # Errors
    /// `InvalidArgument` for the wrong number of parameters; errors of DuckDB.
    pub fn execute(&self, params: &[Value]) -> Result<ResultStream<'_>> {
        self.execute_in_batches(params, BatchLimits::default())
    }

    /// [`execute`](Self::execute), with the size of the batches.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn execute_in_batches(&self, params: &[Value], limits: BatchLimits) -> Result<ResultStream<'_>> {
        self.connection().check_interrupted()?;
        let expected = self.parameter_count();
        if params.len() != expected {
            let got = params.len();
            return Err(Error::invalid(format!("the statement takes {expected} parameters, {got} were given")));
        }
        self.renew()?;
        for (index, value) in (1..).zip(params) {
            // SAFETY: statement and value are alive; DuckDB copies the value.
            if unsafe { ffi::duckdb_bind_value(self.as_ptr(), index, value.as_ptr()) } != ffi::DuckDBSuccess {
                // SAFETY: the statement is alive.
                return Err(unsafe { error::from_pointer(ffi::duckdb_prepare_error(self.as_ptr())) });
            }
        }
        // Outside of a transaction DuckDB binds the statement again, because the catalog may have changed.
        let _shared = if self.connection().is_open() { None } else { self.connection().share_preparing() };
        self.connection().will_execute();
        ResultStream::start(self, limits)
    }
}

// === impl ResultHandle ===

impl ResultHandle {
    fn check(&mut self) -> Result<()> {
        // SAFETY: the result is alive, and the message belongs to it.
        let text = unsafe { ffi::duckdb_result_error(&raw mut self.0) };
        // SAFETY: as above.
        if text.is_null() { Ok(()) } else { Err(unsafe { error::from_pointer(text) }) }
    }

    fn columns(&mut self) -> (Vec<String>, Vec<LogicalType>) {
        // SAFETY: the result is alive and the indexes in range; names belong to the result, types to `LogicalType`.
        unsafe {
            let columns = 0..ffi::duckdb_column_count(&raw mut self.0);
            columns
                .map(|index| {
                    let name = CStr::from_ptr(ffi::duckdb_column_name(&raw mut self.0, index));
                    let kind = ffi::duckdb_column_logical_type(&raw mut self.0, index);
                    (name.to_string_lossy().into_owned(), LogicalType::from_raw(kind))
                })
                .unzip()
        }
    }

    /// The next rows, or `None` at the end.
    fn next_chunk(&mut self) -> Result<Option<ChunkHandle>> {
        // SAFETY: the result is alive.
        let mut chunk = ChunkHandle(unsafe { merganser_planner::next_chunk(&mut self.0) });
        if chunk.is_empty() {
            self.check()?;
            // SAFETY: as above; fetching takes the record by value and leaves it in place.
            chunk = ChunkHandle(unsafe { ffi::duckdb_fetch_chunk(self.0) });
        }
        if chunk.is_empty() {
            self.check()?;
            return Ok(None);
        }
        Ok(Some(chunk))
    }
}

impl Drop for ResultHandle {
    fn drop(&mut self) {
        // SAFETY: filled by an execution and destroyed once.
        unsafe { ffi::duckdb_destroy_result(&raw mut self.0) };
    }
}

// === impl ResultStream ===

impl<'s> ResultStream<'s> {
    fn start(statement: &'s Statement<'_>, limits: BatchLimits) -> Result<Self> {
        let connection = statement.connection();
        if !connection.collects() {
            return Self::start_streaming(statement, limits);
        }
        let rows = Collected::new(connection.arrow_options()?, limits, connection.unwanted());
        let collect = Arc::clone(&rows);
        // SAFETY: connection and statement are alive, and this thread's; `Pending` owns the result.
        let started = unsafe {
            let (state, pending) = merganser_planner::collect(connection.as_ptr(), statement.as_ptr(), collect);
            Pending::new(state, pending)
        };
        let pending = started.map_err(|err| rows.failure().unwrap_or(err))?;
        match rows.layout().map(Arc::clone) {
            Some(layout) => {
                let rows = Rows::Collected { rows, pending: Some(pending) };
                Ok(Self { layout, rows, statement })
            }
            None => Self::keep(statement, run(pending, &rows)?, limits),
        }
    }

    /// The result as DuckDB streams it.
    fn start_streaming(statement: &'s Statement<'_>, limits: BatchLimits) -> Result<Self> {
        // SAFETY: the record is plain data that DuckDB fills; all zero is its empty form.
        let mut result = ResultHandle(unsafe { std::mem::zeroed() });
        // SAFETY: the statement is alive and the out pointer valid; a failed result is checked and destroyed too.
        let state = unsafe { ffi::duckdb_execute_prepared_streaming(statement.as_ptr(), &raw mut result.0) };
        if state != ffi::DuckDBSuccess {
            result.check()?;
            return Err(Error::internal("DuckDB failed without a reason"));
        }
        Self::keep(statement, result, limits)
    }

    fn keep(statement: &'s Statement<'_>, mut result: ResultHandle, limits: BatchLimits) -> Result<Self> {
        let (names, types) = result.columns();
        let layout = Arc::new(Layout::new(statement.connection().arrow_options()?, &names, &types)?);
        let batcher = Batcher::new(&layout, limits);
        let rows = Rows::Kept(Kept { result, batcher, current: None, is_over: false });
        Ok(Self { layout, rows, statement })
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.layout.schema)
    }

    /// The next rows, or `None` at the end.
    ///
    /// # Errors
    /// Errors of DuckDB if the statement fails midway; the stream is over then.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        match &mut self.rows {
            Rows::Collected { rows, pending } => next_collected(rows, pending),
            Rows::Kept(kept) => kept.next_batch(),
        }
    }

    /// Reads to the end, discards the rows, and returns the number of rows that the statement changed.
    ///
    /// # Errors
    /// As [`next_batch`](Self::next_batch).
    pub fn drain(&mut self) -> Result<u64> {
        let mut changed = 0;
        while let Some(batch) = self.next_batch()? {
            changed += count_of(&batch);
        }
        Ok(changed)
    }
}

impl Drop for ResultStream<'_> {
    fn drop(&mut self) {
        let Rows::Collected { rows, pending } = &mut self.rows else { return };
        rows.abandon();
        if pending.take().is_some() {
            // The next statement waits for the tasks. Those of other threads end by this, and an open transaction survives:
            // only the thread that executes a statement aborts it.
            // SAFETY: the connection is open.
            unsafe { ffi::duckdb_interrupt(self.statement.connection().as_ptr()) };
        }
    }
}

/// Executes all tasks of a statement whose rows DuckDB keeps.
fn run(mut pending: Pending, rows: &Collected) -> Result<ResultHandle> {
    loop {
        match pending.step()? {
            Step::Executed => {}
            Step::Wait(limit) => rows.wait(limit),
            Step::Done => break,
        }
    }
    let mut result = ResultHandle(pending.finish());
    result.check()?;
    Ok(result)
}

/// Executes tasks until there are rows.
fn next_collected(rows: &Collected, pending: &mut Option<Pending>) -> Result<Option<RecordBatch>> {
    loop {
        if let Some(batch) = rows.take() {
            return Ok(Some(batch));
        }
        if pending.is_some() {
            // An open transaction survives that, but not an interrupt.
            rows.check_wanted()?;
        }
        let Some(mut running) = pending.take() else { return Ok(None) };
        match running.step().map_err(|err| rows.failure().unwrap_or(err))? {
            Step::Executed => {}
            Step::Wait(limit) => rows.wait(limit),
            Step::Done => {
                ResultHandle(running.finish()).check()?;
                continue;
            }
        }
        *pending = Some(running);
    }
}

// === impl Kept ===

impl Kept {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.batcher.pop() {
                return Ok(Some(batch));
            }
            if self.is_over {
                return Ok(None);
            }
            // Whatever fails ends the rows.
            self.is_over = true;
            self.is_over = !self.append()?;
        }
    }

    /// Appends rows until a batch is complete, or a chunk is read. Whether there may be more.
    fn append(&mut self) -> Result<bool> {
        let Some((chunk, from)) = (match self.current.take() {
            None => self.result.next_chunk()?.map(|chunk| (chunk, 0)),
            current => current,
        }) else {
            return self.batcher.flush().map(|()| false);
        };
        let columns = chunk.columns();
        // SAFETY: the chunk is alive, and its columns are the result's.
        let next = unsafe { self.batcher.append(&Chunk { raw: chunk.0, columns: &columns }, from)? };
        self.current = (next < chunk.len()).then_some((chunk, next));
        Ok(true)
    }
}

/// The number in the result that DuckDB returns for statements that change rows: one column "Count".
pub fn count_of(batch: &RecordBatch) -> u64 {
    use arrow::{array::AsArray, datatypes::Int64Type};
    let is_count = batch.num_columns() == 1 && batch.schema().field(0).name() == "Count";
    let counts = is_count.then(|| batch.column(0).as_primitive_opt::<Int64Type>()).flatten();
    counts.map_or(0, |counts| counts.iter().flatten().filter_map(|count| u64::try_from(count).ok()).sum())
}

struct ChunkHandle(ffi::duckdb_data_chunk);

// === impl ChunkHandle ===

impl ChunkHandle {
    fn is_empty(&self) -> bool {
        self.0.is_null() || self.len() == 0
    }

    fn len(&self) -> usize {
        // SAFETY: the chunk is alive.
        usize::try_from(unsafe { ffi::duckdb_data_chunk_get_size(self.0) }).unwrap_or(0)
    }

    /// Its columns; DuckDB has flattened them.
    fn columns(&self) -> Vec<Vector> {
        // SAFETY: the chunk is alive, and the indexes in range.
        unsafe {
            let columns = 0..ffi::duckdb_data_chunk_get_column_count(self.0);
            let vectors = columns.map(|index| ffi::duckdb_data_chunk_get_vector(self.0, index));
            let plain = |vector| Vector {
                data: ffi::duckdb_vector_get_data(vector).cast_const(),
                selection: ptr::null(),
                validity: ffi::duckdb_vector_get_validity(vector).cast_const(),
            };
            vectors.map(plain).collect()
        }
    }
}

impl Drop for ChunkHandle {
    fn drop(&mut self) {
        // SAFETY: owned by this value; destroying null does nothing.
        unsafe { ffi::duckdb_destroy_data_chunk(&raw mut self.0) };
    }
}

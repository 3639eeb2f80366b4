//! The execution of a statement, and its rows.

use std::{ffi::CStr, marker::PhantomData};

use arrow::{
    array::{RecordBatch, StructArray},
    compute::concat_batches,
    datatypes::SchemaRef,
    ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi},
};
use duckdb::ffi;

use super::{
    batch::BatchBuilder,
    connection::ArrowOptions,
    error,
    statement::{Statement, arrow_schema},
    value::{LogicalType, Value},
};
use crate::error::{Error, Result};

/// The size of the batches of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// A batch is complete once it is this large …
    pub bytes: usize,
    /// … or has this many rows.
    pub rows: usize,
}

/// The result of an execution, read chunk by chunk: DuckDB computes ahead only as far as its streaming buffer.
///
/// Another statement on the same connection ends the stream; dropping the stream stops the statement.
#[expect(missing_debug_implementations, reason = "a stream has nothing to show")]
pub struct ResultStream<'s> {
    result: ResultHandle,
    options: ArrowOptions,
    exported: FFI_ArrowSchema,
    schema: SchemaRef,
    /// Present if it supports the types of all columns.
    builder: Option<BatchBuilder>,
    /// Remaining rows of a chunk that exceeded the batch limit.
    rest: Option<RecordBatch>,
    exhausted: bool,
    /// The statement outlives its result, and no second execution of it runs meanwhile.
    _statement: PhantomData<&'s Statement<'s>>,
}

struct ResultHandle(ffi::duckdb_result);

// === impl Statement ===

impl Statement<'_> {
    /// Executes the statement with `params`. Rows are computed as they are read.
    ///
    /// # Errors
    /// `InvalidArgument` for the wrong number of parameters; errors of DuckDB.
    pub fn execute(&self, params: &[Value]) -> Result<ResultStream<'_>> {
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
        ResultStream::start(self)
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
}

impl Drop for ResultHandle {
    fn drop(&mut self) {
        // SAFETY: filled by an execution and destroyed once.
        unsafe { ffi::duckdb_destroy_result(&raw mut self.0) };
    }
}

// === impl ResultStream ===

impl<'s> ResultStream<'s> {
    fn start(statement: &'s Statement<'_>) -> Result<Self> {
        // SAFETY: the record is plain data that DuckDB fills; all zero is its empty form.
        let mut result = ResultHandle(unsafe { std::mem::zeroed() });
        // SAFETY: the statement is alive and the out pointer valid; a failed result is checked and destroyed too.
        let state = unsafe { ffi::duckdb_execute_prepared_streaming(statement.as_ptr(), &raw mut result.0) };
        if state != ffi::DuckDBSuccess {
            result.check()?;
            return Err(Error::internal("DuckDB failed without a reason"));
        }
        let (names, types) = result.columns();
        let options = statement.connection().arrow_options()?;
        let (schema, exported) = arrow_schema(&options, &names, &types)?;
        let builder = BatchBuilder::new(&schema, &types);
        Ok(Self { result, options, exported, schema, builder, rest: None, exhausted: false, _statement: PhantomData })
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// The next rows, in as few chunks of 2,048 as make a batch of `limits`, or `None` at the end.
    ///
    /// # Errors
    /// Errors of DuckDB if the statement fails midway; the stream is over then.
    pub fn next_batch_of(&mut self, limits: BatchLimits) -> Result<Option<RecordBatch>> {
        let batch = match self.rest.take() {
            Some(rest) => Some(rest),
            None => self.next_chunks(limits)?,
        };
        Ok(batch.map(|batch| {
            let rows = limits.rows.min(batch.num_rows());
            if rows < batch.num_rows() {
                self.rest = Some(batch.slice(rows, batch.num_rows() - rows));
            }
            batch.slice(0, rows)
        }))
    }

    fn next_chunks(&mut self, limits: BatchLimits) -> Result<Option<RecordBatch>> {
        let Some(mut builder) = self.builder.take() else { return self.next_converted(limits) };
        while builder.rows() < limits.rows && builder.bytes() < limits.bytes {
            let Some(chunk) = self.next_chunk()? else { break };
            // SAFETY: the chunk is alive, and its columns are the result's, for which the builder was created; DuckDB
            // flattens the chunks that it returns.
            unsafe { builder.append(chunk.0)? };
        }
        let batch = if builder.rows() == 0 { None } else { Some(builder.finish()?) };
        self.builder = Some(builder);
        Ok(batch)
    }

    /// The next rows (at most 2,048), or `None` at the end.
    ///
    /// # Errors
    /// As [`next_batch_of`](Self::next_batch_of).
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        match self.next_chunk()? {
            Some(chunk) => self.convert(&chunk).map(Some),
            None => Ok(None),
        }
    }

    /// The next rows by DuckDB's own conversion, concatenated.
    fn next_converted(&mut self, limits: BatchLimits) -> Result<Option<RecordBatch>> {
        let (mut parts, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while rows < limits.rows && bytes < limits.bytes {
            let Some(batch) = self.next_batch()? else { break };
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            parts.push(batch);
        }
        match parts.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            parts => concat_batches(&self.schema, parts)
                .map(Some)
                .map_err(|err| Error::internal("put batches together").with_source(err)),
        }
    }

    fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        if self.exhausted {
            return Ok(None);
        }
        // SAFETY: the result is alive.
        let mut chunk = Chunk(unsafe { merganser_planner::next_chunk(&mut self.result.0) });
        if chunk.is_empty() {
            self.exhausted = true;
            self.result.check()?;
            // SAFETY: as above; fetching takes the record by value and leaves it in place.
            chunk = Chunk(unsafe { ffi::duckdb_fetch_chunk(self.result.0) });
        }
        if chunk.is_empty() {
            self.result.check()?;
            return Ok(None);
        }
        self.exhausted = false;
        Ok(Some(chunk))
    }

    fn convert(&mut self, chunk: &Chunk) -> Result<RecordBatch> {
        // A conversion that fails ends the stream.
        self.exhausted = true;
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: chunk and options are alive; `FFI_ArrowArray` is the C data interface's record, and its `Drop`
        // releases it; the exported schema describes the same columns as the chunk.
        let data = unsafe {
            error::check_error_data(ffi::duckdb_data_chunk_to_arrow(self.options.0, chunk.0, (&raw mut array).cast()))?;
            from_ffi(array, &self.exported)
        };
        let data = data.map_err(|err| Error::internal("import DuckDB's rows").with_source(err))?;
        let batch = RecordBatch::from(StructArray::from(data)).with_schema(self.schema());
        let batch = batch.map_err(|err| Error::internal("import DuckDB's rows").with_source(err))?;
        self.exhausted = false;
        Ok(batch)
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

/// The number in the result that DuckDB returns for statements that change rows: one column "Count".
pub fn count_of(batch: &RecordBatch) -> u64 {
    use arrow::{array::AsArray, datatypes::Int64Type};
    let is_count = batch.num_columns() == 1 && batch.schema().field(0).name() == "Count";
    let counts = is_count.then(|| batch.column(0).as_primitive_opt::<Int64Type>()).flatten();
    counts.map_or(0, |counts| counts.iter().flatten().filter_map(|count| u64::try_from(count).ok()).sum())
}

struct Chunk(ffi::duckdb_data_chunk);

// === impl Chunk ===

impl Chunk {
    fn is_empty(&self) -> bool {
        // SAFETY: the chunk is alive when it is not null.
        self.0.is_null() || unsafe { ffi::duckdb_data_chunk_get_size(self.0) } == 0
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: owned by this value; destroying null does nothing.
        unsafe { ffi::duckdb_destroy_data_chunk(&raw mut self.0) };
    }
}

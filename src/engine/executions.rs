//! The executions of one statement for several rows of parameters, whose results are one result.

use std::sync::Arc;

use arrow::{array::RecordBatch, compute::concat_batches, datatypes::SchemaRef};

use super::{
    bind::Parameters,
    duckdb::{BatchLimits, ResultStream, Statement},
    stream::Batches,
};
use crate::error::{Error, Result};

/// The results in the order of the rows of parameters. Each execution starts when the rows before it have been read.
#[expect(missing_debug_implementations, reason = "as ResultStream")]
pub struct Executions<'s> {
    statement: &'s Statement<'s>,
    parameters: &'s Parameters,
    limits: BatchLimits,
    schema: SchemaRef,
    /// The result of the last execution; DuckDB has one at a time.
    current: Option<ResultStream<'s>>,
    /// Rows that would have made the last batch too large.
    rest: Option<RecordBatch>,
    next: usize,
}

// === impl Executions ===

impl<'s> Executions<'s> {
    /// Starts the first execution.
    ///
    /// # Errors
    /// `InvalidArgument` for the wrong number of parameters; errors of DuckDB.
    pub fn start(statement: &'s Statement<'s>, parameters: &'s Parameters, limits: BatchLimits) -> Result<Self> {
        let first = statement.execute_in_batches(&parameters.values(0)?, limits)?;
        let schema = first.schema();
        Ok(Self { statement, parameters, limits, schema, current: Some(first), rest: None, next: 1 })
    }

    fn start_next(&mut self) -> Result<()> {
        self.current = None;
        if self.next < self.parameters.count() {
            self.next += 1;
            let started = self.statement.execute_in_batches(&self.parameters.values(self.next - 1)?, self.limits)?;
            if started.schema() != self.schema {
                return Err(Error::invalid(format!(
                    "row {} of the parameters gives columns of other types than the first; cast the parameters, \
                     such as ?::VARCHAR",
                    self.next
                )));
            }
            self.current = Some(started);
        }
        Ok(())
    }
}

impl Batches for Executions<'_> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Small results share a batch.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut parts: Vec<_> = self.rest.take().into_iter().collect();
        let mut rows = parts.iter().map(RecordBatch::num_rows).sum::<usize>();
        let mut bytes = parts.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
        while let Some(current) = &mut self.current {
            if let Some(part) = current.next_batch()? {
                rows += part.num_rows();
                bytes += part.get_array_memory_size();
                if !parts.is_empty() && (rows > self.limits.rows || bytes > self.limits.bytes) {
                    self.rest = Some(part);
                    break;
                }
                parts.push(part);
            } else {
                self.start_next()?;
            }
        }
        match parts.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            several => concat_batches(&self.schema, several)
                .map(Some)
                .map_err(|err| Error::internal("join results").with_source(err)),
        }
    }
}

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
    schema: SchemaRef,
    /// The result of the last execution; DuckDB has one at a time.
    current: Option<ResultStream<'s>>,
    next: usize,
}

// === impl Executions ===

impl<'s> Executions<'s> {
    /// Starts the first execution.
    ///
    /// # Errors
    /// `InvalidArgument` for the wrong number of parameters; errors of DuckDB.
    pub fn start(statement: &'s Statement<'s>, parameters: &'s Parameters) -> Result<Self> {
        let first = statement.execute(&parameters.values(0)?)?;
        Ok(Self { statement, parameters, schema: first.schema(), current: Some(first), next: 1 })
    }

    fn start_next(&mut self) -> Result<()> {
        self.current = None;
        if self.next < self.parameters.count() {
            self.next += 1;
            let started = self.statement.execute(&self.parameters.values(self.next - 1)?)?;
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
    fn next_batch_of(&mut self, limits: BatchLimits) -> Result<Option<RecordBatch>> {
        let (mut parts, mut rest) = (Vec::new(), limits);
        while let Some(current) = &mut self.current {
            if let Some(part) = current.next_batch_of(rest)? {
                rest.rows = rest.rows.saturating_sub(part.num_rows());
                rest.bytes = rest.bytes.saturating_sub(part.get_array_memory_size());
                parts.push(part);
                if rest.rows == 0 || rest.bytes == 0 {
                    break;
                }
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

//! The columns of a result in DuckDB and in Arrow.

use arrow::{
    array::{RecordBatch, StructArray},
    datatypes::SchemaRef,
    ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi},
};
use duckdb::ffi;

use super::{batch::Form, connection::ArrowOptions, error, statement::arrow_schema, value::LogicalType};
use crate::error::{Error, Result};

/// How the chunks of a result are converted.
pub(super) struct Layout {
    pub(super) schema: SchemaRef,
    /// Present if the types of all columns are supported; otherwise DuckDB converts.
    pub(super) forms: Option<Vec<Form>>,
    options: ArrowOptions,
    exported: FFI_ArrowSchema,
}

// SAFETY: after it was created, it is only read: DuckDB takes the options for a constant, and the exported schema is data.
unsafe impl Send for Layout {}
// SAFETY: as above.
unsafe impl Sync for Layout {}

// === impl Layout ===

impl Layout {
    /// The layout of columns with these names and types.
    ///
    /// # Errors
    /// A type without an Arrow equivalent.
    pub(super) fn new(options: ArrowOptions, names: &[String], types: &[LogicalType]) -> Result<Self> {
        let (schema, exported) = arrow_schema(&options, names, types)?;
        let forms = types.iter().zip(schema.fields()).map(|(kind, field)| Form::of(kind, field.data_type())).collect();
        Ok(Self { schema, forms, options, exported })
    }

    /// DuckDB's own conversion of a chunk.
    ///
    /// # Errors
    /// Errors of DuckDB; Internal if the rows do not match the columns.
    ///
    /// # Safety
    /// The chunk is alive, and has these columns.
    pub(super) unsafe fn convert(&self, chunk: ffi::duckdb_data_chunk) -> Result<RecordBatch> {
        let mut array = FFI_ArrowArray::empty();
        // SAFETY: chunk and options are alive; `FFI_ArrowArray` is the C data interface's record, and its `Drop`
        // releases it; the exported schema describes the same columns as the chunk.
        let data = unsafe {
            error::check_error_data(ffi::duckdb_data_chunk_to_arrow(self.options.0, chunk, (&raw mut array).cast()))?;
            from_ffi(array, &self.exported)
        };
        let failed = |err| Error::internal("import DuckDB's rows").with_source(err);
        let batch = RecordBatch::from(StructArray::from(data.map_err(failed)?));
        batch.with_schema(SchemaRef::clone(&self.schema)).map_err(failed)
    }
}

//! Identifies clients whose drivers need different responses.
//!
//! Java's Flight SQL driver (18.3) reads dictionaries as their indices, and writes milliseconds into parameters of
//! every time unit. It receives plain values, and parameters in milliseconds are requested from it. On the wire, it
//! identifies itself only by the gRPC library that it is built on.
//!
//! ADBC's driver reads all endpoints of a result concurrently and in order. Many programs read only the first endpoint,
//! so only a client that is known to read all of them receives several.

use std::sync::Arc;

use arrow::{
    array::RecordBatch,
    compute::cast,
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use tonic::metadata::MetadataMap;

use crate::error::{Error, Result};

/// The driver of a client, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Java's.
    Java,
    /// ADBC's, which is written in Go.
    Adbc,
    /// Any other.
    Other,
}

// === impl Client ===

impl Client {
    /// The client that sends these headers.
    pub fn of(headers: &MetadataMap) -> Self {
        let agent = headers.get("user-agent").and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        match agent {
            _ if agent.contains("grpc-java") => Self::Java,
            _ if agent.starts_with("ADBC Flight SQL Driver") => Self::Adbc,
            _ => Self::Other,
        }
    }

    /// Whether the client reads all endpoints of a result, and at the same time.
    pub fn reads_in_parallel(self) -> bool {
        self == Self::Adbc
    }

    /// The columns of a result in the form that the client reads.
    pub fn columns(self, schema: &Schema) -> SchemaRef {
        let fields = schema.fields().iter().map(|field| match (self, field.data_type()) {
            (Self::Java, DataType::Dictionary(_, value)) => with_type(field, value.as_ref().clone()),
            _ => field.as_ref().clone(),
        });
        Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
    }

    /// Rows in [`columns`](Self::columns).
    ///
    /// # Errors
    /// Internal if dictionary values cannot be decoded.
    pub fn rows(self, batch: RecordBatch, columns: &SchemaRef) -> Result<RecordBatch> {
        if self != Self::Java {
            return Ok(batch);
        }
        let fields = columns.fields().iter();
        let arrays = batch.columns().iter().zip(fields).map(|(array, field)| match array.data_type() {
            DataType::Dictionary(..) => cast(array, field.data_type()),
            _ => Ok(Arc::clone(array)),
        });
        arrays
            .collect::<Result<Vec<_>, _>>()
            .and_then(|arrays| RecordBatch::try_new(SchemaRef::clone(columns), arrays))
            .map_err(|err| Error::internal("make rows plain").with_source(err))
    }

    /// The parameters of a statement in the form that the client should send.
    pub fn parameters(self, schema: &Schema) -> Schema {
        let fields = schema.fields().iter().map(|field| match (self, field.data_type()) {
            (Self::Java, DataType::Timestamp(_, zone)) => {
                with_type(field, DataType::Timestamp(TimeUnit::Millisecond, zone.clone()))
            }
            (Self::Java, DataType::Time64(_)) => with_type(field, DataType::Time32(TimeUnit::Millisecond)),
            // It can send only NULL for a parameter without a type.
            (Self::Java, DataType::Null) => with_type(field, DataType::Utf8),
            _ => field.as_ref().clone(),
        });
        Schema::new(fields.collect::<Vec<_>>())
    }
}

fn with_type(field: &Field, kind: DataType) -> Field {
    field.clone().with_data_type(kind)
}

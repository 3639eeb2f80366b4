//! Batches to Flight data, and Flight data to batches.

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use arrow_flight::{
    FlightData,
    decode::FlightRecordBatchStream,
    encode::{DictionaryHandling, FlightDataEncoderBuilder},
    error::FlightError,
};
use futures::{
    Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use tonic::Status;

use crate::{
    engine::BatchStream,
    error::{Error, Result},
};

/// What DoGet answers with.
pub type FlightDataStream = BoxStream<'static, Result<FlightData, Status>>;

/// The rows of `batches` as they come, the schema first. Dropping it ends the statement.
pub fn encode(batches: BatchStream) -> FlightDataStream {
    let schema = batches.schema();
    let rows = stream::unfold(batches, |mut batches| async move { Some((batches.next().await?, batches)) });
    encode_stream(schema, rows)
}

/// One batch.
pub fn encode_one(batch: RecordBatch) -> FlightDataStream {
    encode_stream(batch.schema(), stream::iter([Ok(batch)]))
}

fn encode_stream(
    schema: SchemaRef,
    rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
) -> FlightDataStream {
    // The encoder splits batches so that a message stays below the smallest limit of the clients (4 MiB).
    FlightDataEncoderBuilder::new()
        // Dictionaries stay what the result's columns say; clients compare both schemas.
        .with_dictionary_handling(DictionaryHandling::Resend)
        .with_schema(schema)
        .build(rows.map_err(|err| FlightError::Tonic(Box::new(err.into()))))
        .map_err(|err| match err {
            FlightError::Tonic(status) => *status,
            other => Error::internal("encode rows").with_source(other).into(),
        })
        .boxed()
}

/// All rows that a client sent, as one batch.
///
/// # Errors
/// `InvalidArgument` for data that is no Arrow stream. Malformed IPC makes arrow-ipc panic; decoding happens in a task
/// of its own, so that only the call fails.
pub async fn decode_all(data: impl Stream<Item = Result<FlightData, Status>> + Send + 'static) -> Result<RecordBatch> {
    let decoding = tokio::spawn(async move {
        let data = data.map_err(|status| FlightError::Tonic(Box::new(status)));
        let mut decoder = FlightRecordBatchStream::new_from_flight_data(data);
        let mut batches = Vec::new();
        while let Some(batch) = decoder.try_next().await? {
            batches.push(batch);
        }
        let schema = decoder.schema().cloned();
        let schema = schema.ok_or_else(|| FlightError::DecodeError("no schema was sent".into()))?;
        Ok::<_, FlightError>(arrow::compute::concat_batches(&schema, &batches)?)
    });
    let decoded = decoding.await.map_err(|_| Error::invalid("read the rows sent: malformed Arrow data"))?;
    decoded.map_err(|err| Error::invalid(format!("read the rows sent: {err}")))
}

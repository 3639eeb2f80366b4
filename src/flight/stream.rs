//! Converts batches to Flight data, and Flight data to batches.

use std::{fmt::Display, panic::AssertUnwindSafe};

use arrow::{array::RecordBatch, datatypes::SchemaRef, ipc::CompressionType};
use arrow_flight::{
    FlightData,
    decode::{DecodedPayload, FlightDataDecoder},
    error::FlightError,
};
use futures::{
    FutureExt, Stream, StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status};

use super::{
    authenticate::Caller,
    command::reads_metadata,
    frame::{Encoder, Frame},
    metadata::column::describe_all,
    sound,
};
use crate::{
    engine::{Inflow, InflowSender, inflow},
    error::{Error, ErrorKind, Result},
    query::Reading,
    session::{Compression, MESSAGE_BYTES},
    telemetry::Quiet,
};

/// The result of DoGet.
pub type FrameStream = BoxStream<'static, Result<Frame, Status>>;

/// The data that a client sends with DoPut.
pub trait PutStream: Stream<Item = Result<FlightData, Status>> + Send + 'static {}

impl<S: Stream<Item = Result<FlightData, Status>> + Send + 'static> PutStream for S {}

/// Rows as they are produced; the schema is first, with `app_metadata`. If the statement read objects, the last message
/// says how much. Dropping it ends the statement.
pub fn encode(rows: Reading, caller: &Caller, app_metadata: &str) -> FrameStream {
    let (client, options) = (caller.client, caller.session.options());
    let compression = match options.compression() {
        Compression::None => None,
        Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
        Compression::Zstd => Some(CompressionType::ZSTD),
    };
    let columns = client.columns(&rows.schema());
    let schema = describe_all(&columns);
    let encoder = Encoder::new(&schema, compression, options.message_bytes());
    let reads = rows.reads();
    let end = move || reads.filter(|reads| reads.requests() > 0).map(|reads| reads_metadata(&reads));
    let rows = stream::unfold(rows, |mut rows| async move { Some((rows.next().await?, rows)) });
    let rows = rows.map(move |batch| client.rows(batch?, &columns));
    frames(encoder, schema, app_metadata, rows, end)
}

/// One batch.
pub fn encode_one(batch: RecordBatch) -> FrameStream {
    let schema = batch.schema();
    let encoder = Encoder::new(&schema, None, MESSAGE_BYTES);
    frames(encoder, schema, "", stream::iter([Ok(batch)]), || None)
}

/// The messages of a result; after the rows, `end` gives the `app_metadata` of a last one.
fn frames(
    mut encoder: Encoder,
    schema: SchemaRef,
    app_metadata: &str,
    rows: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    end: impl FnOnce() -> Option<String> + Send + 'static,
) -> FrameStream {
    let first = encoder.schema(&schema, app_metadata);
    let batches = rows.map(Some).chain(stream::iter([None]));
    let mut end = Some(end);
    let frames = batches.map(move |batch| -> Result<_, Status> {
        let frames = match batch {
            Some(batch) => encoder.rows(&batch?)?,
            None => match end.take().and_then(|end| end()) {
                Some(metadata) => encoder.end(&schema, &metadata)?,
                None => Vec::new(),
            },
        };
        Ok(stream::iter(frames.into_iter().map(Ok)))
    });
    stream::iter([Ok(first)]).chain(frames.try_flatten()).boxed()
}

/// The rows that a client sends, for a statement that reads them as they arrive. The handle keeps the decoding running.
///
/// # Errors
/// `InvalidArgument` for data that is not an Arrow stream, Unsupported for columns that DuckDB cannot accept. Later
/// failures fail the statement.
pub async fn decode(data: impl PutStream) -> Result<(Inflow, Decoding)> {
    let (schema, mut decoder) = decode_columns(data).await?;
    let (sender, rows) = inflow(&schema)?;
    let decoding = tokio::spawn(async move {
        let end = forward(&mut decoder, &sender).await;
        (sender, end)
    });
    Ok((rows, Decoding(AbortOnDropHandle::new(decoding))))
}

/// The columns of the rows that a client sends, and their batches as they arrive.
///
/// # Errors
/// `InvalidArgument` for data that is not an Arrow stream; so the batches fail, too.
pub async fn decode_each(data: impl PutStream) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch>>)> {
    let (schema, decoder) = decode_columns(data).await?;
    let batches = stream::try_unfold(decoder, async |mut decoder| {
        Ok(decode_batch(&mut decoder).await?.map(|batch| (batch, decoder)))
    });
    Ok((schema, batches.boxed()))
}

async fn forward(decoder: &mut FlightDataDecoder, sender: &InflowSender) -> Result<()> {
    while let Some(batch) = decode_batch(decoder).await? {
        sender.send(batch).await?;
    }
    Ok(())
}

/// Rows in transit to the statement that reads them. Dropping it fails the statement.
#[derive(Debug)]
pub struct Decoding(AbortOnDropHandle<(InflowSender, Result<()>)>);

// === impl Decoding ===

impl Decoding {
    /// Waits for the last row and reports the end to the statement; called by the task of the call itself.
    pub async fn finish(self) {
        // A task that was aborted has dropped the sender, which fails the statement.
        let Ok((sender, end)) = self.0.await else { return };
        not_cancelled().await;
        match end {
            Ok(()) => sender.finish(),
            Err(err) => sender.fail(err),
        }
    }
}

/// Never returns in a call that its client has cancelled: gRPC's decoder treats the reset of a stream as its end, and
/// half of the rows would be treated as all of them. While a call waits, the server checks whether it was reset, and
/// then drops it.
async fn not_cancelled() {
    tokio::task::yield_now().await;
}

/// All rows that a client sent, as one batch.
///
/// # Errors
/// `InvalidArgument` for data that is not an Arrow stream.
pub async fn decode_all(data: impl PutStream) -> Result<RecordBatch> {
    let (schema, mut decoder) = decode_columns(data).await?;
    let mut batches = Vec::new();
    while let Some(batch) = decode_batch(&mut decoder).await? {
        batches.push(batch);
    }
    not_cancelled().await;
    arrow::compute::concat_batches(&schema, &batches).map_err(|err| unreadable(&err))
}

async fn decode_columns(data: impl PutStream) -> Result<(SchemaRef, FlightDataDecoder)> {
    let mut checks = sound::Checks::default();
    let data = data.map(move |message| {
        let message = message.map_err(|status| FlightError::Tonic(Box::new(status)))?;
        checks.message(&message).map_err(|err| FlightError::ExternalError(Box::new(err)))?;
        Ok(message)
    });
    let mut decoder = FlightDataDecoder::new(data);
    loop {
        match decode_next(&mut decoder).await? {
            Some(DecodedPayload::Schema(schema)) => {
                sound::schema(&schema)?;
                return Ok((schema, decoder));
            }
            Some(DecodedPayload::None) => {}
            Some(DecodedPayload::RecordBatch(_)) | None => {
                return Err(Error::invalid("read the rows sent: no schema was sent"));
            }
        }
    }
}

async fn decode_batch(decoder: &mut FlightDataDecoder) -> Result<Option<RecordBatch>> {
    loop {
        match decode_next(decoder).await? {
            Some(DecodedPayload::RecordBatch(batch)) => return Ok(Some(batch)),
            Some(DecodedPayload::None) => {}
            Some(DecodedPayload::Schema(_)) => {
                return Err(Error::invalid("read the rows sent: a second schema was sent"));
            }
            None => return Ok(None),
        }
    }
}

/// arrow-ipc panics on malformed IPC: only the call may fail.
async fn decode_next(decoder: &mut FlightDataDecoder) -> Result<Option<DecodedPayload>> {
    match AssertUnwindSafe(Quiet(decoder.try_next())).catch_unwind().await {
        Ok(Ok(next)) => Ok(next.map(|next| next.payload)),
        Ok(Err(FlightError::Tonic(status))) => Err(broken_off(&status)),
        Ok(Err(FlightError::ExternalError(err))) => {
            Err(err.downcast::<Error>().map_or_else(|err| unreadable(&err), |err| *err))
        }
        Ok(Err(err)) => Err(unreadable(&err)),
        Err(_) => Err(unreadable(&"malformed Arrow data")),
    }
}

fn unreadable(cause: &dyn Display) -> Error {
    Error::invalid(format!("read the rows sent: {cause}"))
}

/// The call's data ended with an error: the client is gone, or sent a message above the limit.
fn broken_off(status: &Status) -> Error {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => Error::new(
            ErrorKind::ResourceExhausted,
            format!("read the rows sent: {}; send smaller batches", status.message()),
        ),
        _ => Error::cancelled(),
    }
}

//! The wire format of a result's messages: small pieces are merged, the buffers of rows are not copied.
//!
//! ```text
//! gRPC:     flag (1 byte, 0: not compressed) · length (4 bytes) · message
//! message:  FlightData { 2: data_header, 3: app_metadata, 1000: data_body }
//! body:     the buffers of the batch, each padded to 64 bytes
//! ```
//!
//! tonic's codec would copy each message twice, once into the IPC body and once into its own buffer; on a gigabyte
//! that costs as much as the whole scan.

use arrow::{
    array::{Array, ArrayData, RecordBatch},
    buffer::Buffer as Memory,
    datatypes::{DataType, Schema, SchemaRef},
    ipc::{
        Buffer, CompressionType, FieldNode, MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder,
        writer::{CompressionContext, DictionaryTracker, IpcDataGenerator, IpcWriteOptions},
    },
};
use bytes::{BufMut, Bytes, BytesMut};
use flatbuffers::FlatBufferBuilder;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::error::{Error, Result};

const DATA_HEADER: u32 = 2;
const APP_METADATA: u32 = 3;
const DATA_BODY: u32 = 1000;
/// The flag and the length in front of a message.
const PREFIX_BYTES: usize = 5;
/// The alignment of buffers in arrow's own writer.
const ALIGNMENT: usize = 64;
/// Pieces up to this size are copied together: each separate piece costs an HTTP/2 frame.
const SMALL_BYTES: usize = 8 << 10;

/// One message, in pieces.
#[derive(Debug)]
pub struct Frame(pub Vec<Bytes>);

/// Writes the messages of one result.
pub struct Encoder {
    options: IpcWriteOptions,
    dictionaries: DictionaryTracker,
    message_bytes: usize,
    /// Whether arrays consist only of a mask and one or two buffers, which are sent as they are.
    flat: bool,
}

// === impl Encoder ===

impl Encoder {
    /// An encoder for columns of `schema`, whose messages have at most `message_bytes` unless a single row is larger.
    pub fn new(schema: &Schema, compression: Option<CompressionType>, message_bytes: usize) -> Self {
        let flat = compression.is_none() && schema.fields().iter().all(|field| is_flat(field.data_type()));
        Self {
            // Both codecs are built in, so this cannot fail.
            options: IpcWriteOptions::default().try_with_compression(compression).unwrap_or_default(),
            // A dictionary may be sent again with each batch.
            dictionaries: DictionaryTracker::new(false),
            message_bytes,
            flat,
        }
    }

    /// The first message.
    pub fn schema(&mut self, schema: &Schema, app_metadata: &str) -> Frame {
        let generator = IpcDataGenerator::default();
        let encoded = generator.schema_to_bytes_with_dictionary_tracker(schema, &mut self.dictionaries, &self.options);
        frame(&encoded.ipc_message, app_metadata.as_bytes(), Bytes::new())
    }

    /// The messages of a batch.
    ///
    /// # Errors
    /// Internal if the batch cannot be encoded.
    pub fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<Frame>> {
        let bytes = if self.flat {
            let body = Body::of(batch);
            if body.len <= self.message_bytes {
                return Ok(vec![body.frame(batch.num_rows())]);
            }
            body.len
        } else {
            let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0));
            sizes.sum()
        };
        let rows = (batch.num_rows() * self.message_bytes / bytes.max(1)).clamp(1, batch.num_rows().max(1));
        let mut frames = Vec::new();
        for start in (0..batch.num_rows().max(1)).step_by(rows) {
            let slice = batch.slice(start, rows.min(batch.num_rows() - start));
            if self.flat {
                frames.push(Body::of(&slice).frame(slice.num_rows()));
            } else {
                frames.extend(self.copied(&slice, "")?);
            }
        }
        Ok(frames)
    }

    /// The last message: no rows, and `app_metadata`. Clients do not expect a message without a batch.
    ///
    /// # Errors
    /// Internal if the columns cannot be encoded.
    pub fn end(&mut self, schema: &SchemaRef, app_metadata: &str) -> Result<Vec<Frame>> {
        self.copied(&RecordBatch::new_empty(SchemaRef::clone(schema)), app_metadata)
    }

    /// The messages of a slice, whose buffers are copied or compressed, and `app_metadata` in that of its rows.
    fn copied(&mut self, slice: &RecordBatch, app_metadata: &str) -> Result<Vec<Frame>> {
        let mut context = CompressionContext::default();
        let generator = IpcDataGenerator::default();
        let encoded = generator.encode(slice, &mut self.dictionaries, &self.options, &mut context);
        let (dictionaries, rows) = encoded.map_err(|err| Error::internal("encode rows").with_source(err))?;
        let dictionaries = dictionaries.into_iter().map(|message| (message, ""));
        let messages = dictionaries.chain([(rows, app_metadata)]);
        Ok(messages
            .map(|(message, metadata)| frame(&message.ipc_message, metadata.as_bytes(), message.arrow_data.into()))
            .collect())
    }
}

/// Whether arrays of the type consist only of a mask and one or two buffers.
fn is_flat(kind: &DataType) -> bool {
    kind.is_primitive() || matches!(kind, DataType::Boolean | DataType::Utf8 | DataType::Binary)
}

fn frame(header: &[u8], app_metadata: &[u8], body: Bytes) -> Frame {
    let mut pieces = Pieces::default();
    pieces.head(header, app_metadata, body.len());
    pieces.push(body);
    pieces.end()
}

/// A buffer that the network layer holds until it is sent.
struct Owned(Memory);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The body of a record batch: its description in the IPC metadata, and its buffers with padding.
#[derive(Default)]
struct Body {
    nodes: Vec<FieldNode>,
    places: Vec<Buffer>,
    buffers: Vec<(Memory, usize)>,
    len: usize,
}

// === impl Body ===

impl Body {
    /// The body of a batch, or of a slice of one.
    fn of(batch: &RecordBatch) -> Self {
        let mut body = Self::default();
        batch.columns().iter().for_each(|column| body.push_array(&column.to_data()));
        body
    }

    fn push_array(&mut self, array: &ArrayData) {
        self.nodes.push(FieldNode::new(as_i64(array.len()), as_i64(array.null_count())));
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            Some(nulls) => self.push_buffer(nulls.inner().sliced()),
            // Without a mask, all rows are valid.
            None => self.places.push(Buffer::new(as_i64(self.len), 0)),
        }
        let (start, rows) = (array.offset(), array.len());
        match (array.data_type(), array.buffers()) {
            (DataType::Boolean, [bits]) => self.push_buffer(bits.bit_slice(start, rows)),
            (DataType::Utf8 | DataType::Binary, [memory, values]) if rows > 0 => {
                let offsets = &memory.typed_data::<i32>()[start..=start + rows];
                let (first, bytes) = (offsets[0], offsets[rows] - offsets[0]);
                self.push_buffer(match first {
                    0 => memory.slice_with_length(start * size_of::<i32>(), size_of_val(offsets)),
                    // Those of a slice begin in the middle.
                    _ => offsets.iter().map(|offset| offset - first).collect(),
                });
                self.push_buffer(values.slice_with_length(as_usize(first), as_usize(bytes)));
            }
            (kind, buffers) => {
                let width = kind.primitive_width().unwrap_or(0);
                for buffer in buffers {
                    self.push_buffer(buffer.slice_with_length(start * width, rows * width));
                }
            }
        }
    }

    fn push_buffer(&mut self, buffer: Memory) {
        let len = buffer.len();
        self.places.push(Buffer::new(as_i64(self.len), as_i64(len)));
        let padding = len.next_multiple_of(ALIGNMENT) - len;
        self.len += len + padding;
        self.buffers.push((buffer, padding));
    }

    /// The message of a whole batch, without a copy of its buffers.
    fn frame(self, rows: usize) -> Frame {
        let mut pieces = Pieces::default();
        pieces.head(&self.header(rows), &[], self.len);
        for (buffer, padding) in self.buffers {
            pieces.push(Bytes::from_owner(Owned(buffer)));
            pieces.push(Bytes::from_static(&[0; ALIGNMENT][..padding]));
        }
        pieces.end()
    }

    /// The IPC message without its body.
    fn header(&self, rows: usize) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let (places, nodes) = (builder.create_vector(&self.places), builder.create_vector(&self.nodes));
        let mut batch = RecordBatchBuilder::new(&mut builder);
        batch.add_length(as_i64(rows));
        batch.add_nodes(nodes);
        batch.add_buffers(places);
        let batch = batch.finish().as_union_value();
        let mut message = MessageBuilder::new(&mut builder);
        message.add_version(MetadataVersion::V5);
        message.add_header_type(MessageHeader::RecordBatch);
        message.add_bodyLength(as_i64(self.len));
        message.add_header(batch);
        let message = message.finish();
        builder.finish(message, None);
        builder.finished_data().to_vec()
    }
}

/// Offsets are never negative.
fn as_usize(offset: i32) -> usize {
    usize::try_from(offset).unwrap_or(0)
}

fn as_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

/// Collects the pieces of a message.
#[derive(Default)]
struct Pieces {
    done: Vec<Bytes>,
    small: BytesMut,
}

// === impl Pieces ===

impl Pieces {
    /// Everything in front of the body.
    fn head(&mut self, header: &[u8], app_metadata: &[u8], body: usize) {
        let field = |tag: u32, len: usize| match len {
            0 => 0,
            len => key_len(tag) + encoded_len_varint(len as u64) + len,
        };
        let message =
            field(DATA_HEADER, header.len()) + field(APP_METADATA, app_metadata.len()) + field(DATA_BODY, body);
        self.small.reserve(PREFIX_BYTES + message - body);
        self.small.put_u8(0);
        // Messages are limited to far less than 4 GiB.
        self.small.put_u32(u32::try_from(message).unwrap_or(u32::MAX));
        for (tag, bytes) in [(DATA_HEADER, header), (APP_METADATA, app_metadata)] {
            if !bytes.is_empty() {
                self.key(tag, bytes.len());
                self.small.extend_from_slice(bytes);
            }
        }
        if body > 0 {
            self.key(DATA_BODY, body);
        }
    }

    fn key(&mut self, tag: u32, len: usize) {
        encode_key(tag, WireType::LengthDelimited, &mut self.small);
        encode_varint(len as u64, &mut self.small);
    }

    fn push(&mut self, piece: Bytes) {
        if piece.len() <= SMALL_BYTES {
            self.small.extend_from_slice(&piece);
            return;
        }
        if !self.small.is_empty() {
            self.done.push(self.small.split().freeze());
        }
        self.done.push(piece);
    }

    fn end(mut self) -> Frame {
        if !self.small.is_empty() {
            self.done.push(self.small.freeze());
        }
        Frame(self.done)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Int64Array, StringArray};
    use arrow_flight::{FlightData, utils::flight_data_to_arrow_batch};
    use prost::Message;

    use super::*;

    #[test]
    fn frames_are_what_prost_and_arrow_would_write() {
        let texts: Vec<_> = (0..5_000).map(|n| (n % 7 != 0).then(|| "x".repeat(n % 23))).collect();
        let columns: [(&str, Arc<dyn Array>); 3] = [
            ("n", Arc::new(Int64Array::from_iter_values(0..5_000))),
            ("t", Arc::new(StringArray::from(texts))),
            ("b", Arc::new((0..5_000).map(|n| (n % 3 != 0).then_some(n % 2 == 0)).collect::<BooleanArray>())),
        ];
        let Ok(batch) = RecordBatch::try_from_iter(columns) else { unreachable!("equal lengths") };
        for limit in [usize::MAX, 20_000] {
            let mut encoder = Encoder::new(&batch.schema(), None, limit);
            let frames = encoder.rows(&batch).unwrap_or_default();
            assert_eq!(frames.len() > 1, limit == 20_000);
            let mut row = 0;
            for frame in frames {
                let bytes = frame.0.concat();
                assert_eq!(bytes[0], 0);
                assert_eq!(
                    bytes[1..PREFIX_BYTES],
                    u32::try_from(bytes.len() - PREFIX_BYTES).unwrap_or(0).to_be_bytes()
                );
                let data = FlightData::decode(&bytes[PREFIX_BYTES..]).unwrap_or_default();
                let read = flight_data_to_arrow_batch(&data, batch.schema(), &std::collections::HashMap::new());
                let rows = read.as_ref().map_or(0, RecordBatch::num_rows);
                assert_eq!(read.ok(), Some(batch.slice(row, rows)));
                row += rows;
            }
            assert_eq!(row, batch.num_rows());
        }
    }
}

//! Checks the Arrow data that a client sends, before arrow-ipc and DuckDB read it.
//!
//! Both rely on what a message states about itself: arrow-ipc allocates what a compressed buffer claims to contain and
//! decompresses LZ4 to its end, and DuckDB follows the children that a type should have. A message whose statements are
//! not possible, or whose contents are larger than a message may be, is refused here. What remains (offsets, texts, run
//! ends and so on) is validated by arrow-ipc.

use std::{
    collections::HashMap,
    io::{self, Read},
};

use arrow::{
    datatypes::{DataType, Field, Schema},
    ipc::{Buffer, CompressionType, RecordBatch, root_as_message_with_opts},
};
use arrow_flight::FlightData;
use flatbuffers::{InvalidFlatbuffer, VerifierOptions};
use lz4_flex::frame::FrameDecoder;

use crate::error::{Error, ErrorKind, Result};

/// The largest message that a client may send, also after it is decompressed: ADBC does not split the batches it
/// ingests.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// All dictionaries of a stream, which are kept until it ends.
const MAX_DICTIONARY_BYTES: usize = 4 * MAX_MESSAGE_BYTES;
/// NULLs without a type, and members of empty structs, take no bytes: their number is limited as well.
const MAX_ROWS: i64 = 64 << 20;
/// A level of nesting is a table of the header.
const MAX_DEPTH: usize = 64;
/// A column is two tables of the header, or a few more.
const MAX_TABLES: usize = 200_000;
/// The prefix of a compressed buffer: the number of its bytes after decompression.
const PREFIX_BYTES: usize = size_of::<i64>();
/// The prefix of a buffer that is not compressed.
const NOT_COMPRESSED: i64 = -1;

/// The checks of one stream.
#[derive(Debug, Default)]
pub struct Checks {
    /// The bytes of each dictionary.
    dictionaries: HashMap<i64, usize>,
}

// === impl Checks ===

impl Checks {
    /// Checks the next message of the stream.
    ///
    /// # Errors
    /// `InvalidArgument` for a damaged message, `ResourceExhausted` for one that contains too much.
    pub fn message(&mut self, data: &FlightData) -> Result<()> {
        let limits = VerifierOptions {
            max_depth: MAX_DEPTH,
            max_tables: MAX_TABLES,
            max_apparent_size: MAX_MESSAGE_BYTES,
            ..VerifierOptions::default()
        };
        let message = root_as_message_with_opts(&limits, &data.data_header).map_err(|err| bad_header(&err))?;
        if let Some(rows) = message.header_as_record_batch() {
            contents(rows, &data.data_body)?;
        }
        if let Some(dictionary) = message.header_as_dictionary_batch() {
            let values = dictionary.data().ok_or_else(|| unreadable("a dictionary has no values"))?;
            let bytes = contents(values, &data.data_body)?;
            self.keep_dictionary(dictionary.id(), dictionary.isDelta(), bytes)?;
        }
        Ok(())
    }

    /// Counts a dictionary, which replaces the previous one with its id or is added to it.
    fn keep_dictionary(&mut self, id: i64, is_delta: bool, bytes: usize) -> Result<()> {
        let kept = self.dictionaries.entry(id).or_default();
        *kept = bytes + if is_delta { *kept } else { 0 };
        if self.dictionaries.values().sum::<usize>() > MAX_DICTIONARY_BYTES {
            return Err(too_large("the dictionaries hold", MAX_DICTIONARY_BYTES, "send plain columns"));
        }
        Ok(())
    }
}

/// Checks that every type of the schema has the parts that it needs.
///
/// # Errors
/// `InvalidArgument`; the message names the column.
pub fn schema(schema: &Schema) -> Result<()> {
    schema.fields().iter().try_for_each(|column| {
        check_field(column)
            .map_err(|fault| unreadable(&format!("column \"{}\": {fault}", column.name().escape_debug())))
    })
}

fn check_field(field: &Field) -> Result<(), &'static str> {
    if field.name().contains('\0') {
        return Err("a name contains a NUL byte");
    }
    check_extension(field)?;
    match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            check_field(item)
        }
        DataType::FixedSizeList(_, size) if *size < 0 => Err("the size of a list is negative"),
        DataType::FixedSizeList(item, _) => check_field(item),
        DataType::FixedSizeBinary(width) if *width < 0 => Err("the width of a binary type is negative"),
        DataType::Struct(members) => members.iter().try_for_each(|member| check_field(member)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(members) if members.len() == 2 => check_field(entries),
            _ => Err("the entries of a map must be structs of a key and a value"),
        },
        DataType::Union(members, _) if members.is_empty() => Err("a union must have members"),
        DataType::Union(members, _) => members.iter().try_for_each(|(_, member)| check_field(member)),
        DataType::Dictionary(_, values) => check_field(&Field::new("", values.as_ref().clone(), true)),
        DataType::RunEndEncoded(ends, values) => match ends.data_type() {
            DataType::Int16 | DataType::Int32 | DataType::Int64 => check_field(values),
            _ => Err("the ends of runs must be signed integers of 16, 32 or 64 bits"),
        },
        DataType::Timestamp(_, Some(zone)) if zone.contains('\0') => Err("a time zone contains a NUL byte"),
        _ => Ok(()),
    }
}

/// Arrow's name for the types of a system that has no Arrow type for them.
const OPAQUE: &str = "arrow.opaque";

#[derive(serde::Deserialize)]
struct Opaque {
    type_name: String,
    vendor_name: String,
}

/// DuckDB takes the bytes of its own types as they are, and reads beyond their end if they are wrong.
fn check_extension(field: &Field) -> Result<(), &'static str> {
    if field.extension_type_name() != Some(OPAQUE) {
        return Ok(());
    }
    let opaque: Opaque = serde_json::from_str(field.extension_type_metadata().unwrap_or_default())
        .map_err(|_| "the metadata of arrow.opaque must be JSON with type_name and vendor_name")?;
    if opaque.vendor_name == "DuckDB" && ["bit", "bignum"].contains(&opaque.type_name.as_str()) {
        return Err("BIT and BIGNUM cannot be sent; send texts, and cast them");
    }
    Ok(())
}

/// Checks the numbers and buffers of rows; returns how many bytes they are once they are decompressed.
fn contents(rows: RecordBatch<'_>, body: &[u8]) -> Result<usize> {
    let nodes = rows.nodes().into_iter().flatten();
    for (length, nulls) in nodes.map(|node| (node.length(), node.null_count())).chain([(rows.length(), 0)]) {
        if !(0..=length).contains(&nulls) {
            return Err(unreadable("a number of rows or of NULLs is not possible"));
        }
        if length > MAX_ROWS {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!("read the rows sent: a batch has more than {MAX_ROWS} rows; send smaller batches"),
            ));
        }
    }
    let codec = rows.compression().map(|compression| compression.codec());
    let (mut total, mut lz4) = (0_usize, Vec::new());
    for buffer in rows.buffers().into_iter().flatten() {
        let data = slice(body, buffer).ok_or_else(|| unreadable("a buffer is not within the message"))?;
        let size = if codec.is_some() { decompressed_size(data)? } else { data.len() };
        total = total.saturating_add(size);
        if codec == Some(CompressionType::LZ4_FRAME) && is_compressed(data) {
            lz4.push((data, size));
        }
    }
    if total > MAX_MESSAGE_BYTES {
        return Err(too_large("a batch holds", MAX_MESSAGE_BYTES, "send smaller batches"));
    }
    lz4.into_iter().try_for_each(|(data, size)| check_lz4(data, size))?;
    Ok(total)
}

fn slice<'a>(body: &'a [u8], buffer: &Buffer) -> Option<&'a [u8]> {
    let (start, length) = (usize::try_from(buffer.offset()).ok()?, usize::try_from(buffer.length()).ok()?);
    body.get(start..start.checked_add(length)?)
}

/// The size that a buffer of a compressed batch states for its content.
fn decompressed_size(data: &[u8]) -> Result<usize> {
    if data.is_empty() {
        return Ok(0);
    }
    let wrong = || unreadable("a compressed buffer has no valid length");
    match prefix(data).ok_or_else(wrong)? {
        NOT_COMPRESSED => Ok(data.len() - PREFIX_BYTES),
        length => usize::try_from(length).map_err(|_| wrong()),
    }
}

fn is_compressed(data: &[u8]) -> bool {
    prefix(data).is_some_and(|length| length > 0)
}

fn prefix(data: &[u8]) -> Option<i64> {
    data.first_chunk::<PREFIX_BYTES>().map(|prefix| i64::from_le_bytes(*prefix))
}

/// Whether the data has the size that it states: arrow-ipc would find out after it has decompressed all of it. For
/// ZSTD, it stops at the stated size.
fn check_lz4(data: &[u8], size: usize) -> Result<()> {
    let limit = u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoder = FrameDecoder::new(&data[PREFIX_BYTES..]).take(limit);
    match io::copy(&mut decoder, &mut io::sink()) {
        Ok(found) if found == limit - 1 => Ok(()),
        Ok(_) => Err(unreadable("a compressed buffer has another length than it states")),
        Err(_) => Err(unreadable("a compressed buffer is damaged")),
    }
}

fn bad_header(err: &InvalidFlatbuffer) -> Error {
    match err {
        InvalidFlatbuffer::DepthLimitReached => unreadable("its types are nested too deeply; send simpler ones"),
        InvalidFlatbuffer::TooManyTables | InvalidFlatbuffer::ApparentSizeTooLarge => {
            unreadable("it has too many columns; send fewer")
        }
        _ => unreadable("a message has a damaged header"),
    }
}

fn unreadable(fault: &str) -> Error {
    Error::invalid(format!("read the rows sent: {fault}"))
}

fn too_large(what: &str, limit: usize, remedy: &str) -> Error {
    let text = format!("read the rows sent: {what} more than {} MiB of data; {remedy}", limit >> 20);
    Error::new(ErrorKind::ResourceExhausted, text)
}

//! Values as JSON that is read back to the same values.

use std::{collections::HashSet, io::Write, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, FieldRef, Float32Type, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
    json::{
        Encoder, EncoderFactory, EncoderOptions, ReaderBuilder, StructMode,
        writer::{NullableEncoder, make_encoder},
    },
    util::display::{ArrayFormatter, FormatOptions},
};

use super::request::Format;
use crate::{
    error::{Error, Result},
    quote::identifier,
};

/// The years that have four digits, in seconds since 1970: others are written as numbers.
const FOUR_DIGITS: std::ops::Range<i64> = -62_135_596_800..253_402_300_800;
const DAY: i64 = 86_400;
/// The seconds of the day that text can name: 24:00:00 is none of them.
const OF_THE_DAY: std::ops::Range<i64> = 0..DAY;

/// Fails for a column whose values JSON cannot hold, for an export as `format`.
///
/// # Errors
/// `InvalidArgument`, with what to convert.
pub fn check(schema: &Schema, format: Format) -> Result<()> {
    for field in schema.fields() {
        let one = Arc::new(Schema::new(vec![Arc::clone(field)]));
        let empty = RecordBatch::new_empty(Arc::clone(&one));
        let written = make_encoder(field, empty.column(0), &options()).map(|_| ());
        let read = written.and_then(|()| ReaderBuilder::new(one).build_decoder().map(|_| ()));
        if let Err(err) = read.and_then(|()| check_names(field.data_type())) {
            let column = identifier(field.name());
            return Err(Error::invalid(format!(
                "{} does not hold the type of column {column}: export a query that converts its values, such as {column}::VARCHAR",
                format.name()
            ))
            .with_source(err.to_string()));
        }
    }
    Ok(())
}

/// Fails for fields that JSON cannot tell apart.
fn check_names(data_type: &DataType) -> Result<(), ArrowError> {
    match data_type {
        DataType::Struct(fields) => {
            let names: HashSet<_> = fields.iter().map(|field| field.name()).collect();
            if names.len() < fields.len() {
                return Err(ArrowError::SchemaError("fields of one name".to_owned()));
            }
            fields.iter().try_for_each(|field| check_names(field.data_type()))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => check_names(item.data_type()),
        _ => Ok(()),
    }
}

/// Writes values of the columns of a batch.
pub struct JsonColumns<'a> {
    columns: Vec<(Vec<u8>, NullableEncoder<'a>)>,
}

/// Options that must live as long as the columns.
pub fn options() -> EncoderOptions {
    EncoderOptions::default()
        .with_explicit_nulls(true)
        .with_struct_mode(StructMode::ObjectOnly)
        .with_encoder_factory(Arc::new(Exact))
}

/// Decodes `rows` rows that were written like this, each a JSON object.
///
/// # Errors
/// Those of JSON that was not, or of other rows.
pub fn decode(schema: SchemaRef, objects: &[u8], rows: usize) -> Result<RecordBatch, ArrowError> {
    // The decoder stops after a batch.
    let mut decoder = ReaderBuilder::new(schema).with_batch_size(rows + 1).build_decoder()?;
    decoder.decode(objects)?;
    let read = decoder.flush()?.filter(|read| read.num_rows() == rows);
    read.ok_or_else(|| ArrowError::JsonError("rows are missing".to_owned()))
}

// === impl JsonColumns ===

impl<'a> JsonColumns<'a> {
    /// Those of `batch`.
    ///
    /// # Errors
    /// Internal for columns that [`check`] refuses.
    pub fn of(batch: &'a RecordBatch, options: &'a EncoderOptions) -> Result<Self> {
        let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
            let mut name = Vec::new();
            text(field.name(), &mut name);
            let encoder = make_encoder(field, column, options);
            encoder
                .map(|encoder| (name, encoder))
                .map_err(|err| Error::internal("write JSON").with_source(err.to_string()))
        });
        Ok(Self { columns: columns.collect::<Result<_>>()? })
    }

    /// Writes the value of a column.
    pub fn value(&mut self, column: usize, row: usize, out: &mut Vec<u8>) {
        let (_, encoder) = &mut self.columns[column];
        if encoder.is_null(row) { out.extend_from_slice(b"null") } else { encoder.encode(row, out) }
    }

    /// Writes `"name":value` of columns, each followed by a comma.
    pub fn fields(&mut self, columns: &[usize], row: usize, out: &mut Vec<u8>) {
        for column in columns {
            out.extend_from_slice(&self.columns[*column].0);
            out.push(b':');
            self.value(*column, row, out);
            out.push(b',');
        }
    }

    /// Writes an object of columns.
    pub fn object(&mut self, columns: &[usize], row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        self.fields(columns, row, out);
        end(b'}', out);
    }
}

/// Ends an object or a list, whose last item is followed by a comma.
pub fn end(bracket: u8, out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(bracket);
}

/// Writes a text.
pub fn text(value: &str, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, value);
}

/// Writes a text, or null.
pub fn optional_text(value: Option<&str>, out: &mut Vec<u8>) {
    match value {
        Some(value) => text(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// The encoders of values that JSON has no form for.
#[derive(Debug)]
struct Exact;

impl EncoderFactory for Exact {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder> = match array.data_type() {
            DataType::Float32 => Box::new(Floats(array.as_primitive::<Float32Type>())),
            DataType::Float64 => Box::new(Floats(array.as_primitive::<Float64Type>())),
            DataType::Date32 => Box::new(Times::of(array, 1, DAY, FOUR_DIGITS)?),
            DataType::Timestamp(unit, _) => Box::new(Times::of(array, per_second(*unit), 1, FOUR_DIGITS)?),
            DataType::Time64(unit) => Box::new(Times::of(array, per_second(*unit), 1, OF_THE_DAY)?),
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Floating-point numbers, also those that are none.
struct Floats<'a, P: ArrowPrimitiveType>(&'a PrimitiveArray<P>);

impl<P: ArrowPrimitiveType<Native: Into<f64> + serde::Serialize>> Encoder for Floats<'_, P> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.0.value(row);
        let number: f64 = value.into();
        let name = if number.is_nan() {
            if number.is_sign_negative() { "-NaN" } else { "NaN" }
        } else if number == f64::INFINITY {
            "Infinity"
        } else if number == f64::NEG_INFINITY {
            "-Infinity"
        } else {
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(out, &value);
            return;
        };
        text(name, out);
    }
}

/// Dates, times and timestamps: as text, or as numbers in their unit where the text could not be read.
struct Times<'a> {
    formatter: ArrayFormatter<'a>,
    raw: ArrayRef,
    per_second: i64,
    seconds: i64,
    as_text: std::ops::Range<i64>,
}

impl<'a> Times<'a> {
    fn of(
        array: &'a dyn Array,
        per_second: i64,
        seconds: i64,
        as_text: std::ops::Range<i64>,
    ) -> Result<Self, ArrowError> {
        const OPTIONS: FormatOptions<'static> = FormatOptions::new();
        let formatter = ArrayFormatter::try_new(array, &OPTIONS)?;
        let raw = match array.data_type() {
            DataType::Date32 => cast(&cast(&array.slice(0, array.len()), &DataType::Int32)?, &DataType::Int64)?,
            _ => cast(&array.slice(0, array.len()), &DataType::Int64)?,
        };
        Ok(Self { formatter, raw, per_second, seconds, as_text })
    }
}

impl Encoder for Times<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let value = self.raw.as_primitive::<Int64Type>().value(row);
        let seconds = value.div_euclid(self.per_second).saturating_mul(self.seconds);
        // Writing to memory does not fail.
        let _ = if self.as_text.contains(&seconds) {
            write!(out, "\"{}\"", self.formatter.value(row))
        } else {
            write!(out, "{value}")
        };
    }
}

/// The columns of `schema` at `places`. They may be NULL, whatever the writer knew.
pub fn part(schema: &Schema, places: &[usize]) -> SchemaRef {
    let fields: Vec<_> = places.iter().map(|at| schema.field(*at).clone().with_nullable(true)).collect();
    Arc::new(Schema::new(fields))
}

/// The rows of `schema` with these columns.
///
/// # Errors
/// Internal for other columns.
pub fn assemble(schema: &Schema, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let all: Vec<_> = (0..schema.fields().len()).collect();
    let rows = RecordBatch::try_new(part(schema, &all), columns);
    rows.map_err(|err| Error::internal("put rows together").with_source(err.to_string()))
}

//! Converts Arrow data to the types that DuckDB accepts.
//!
//! DuckDB reads most Arrow types as they are. The others are converted to a plain type with the same values before the
//! rows reach DuckDB: dictionaries and run-end encodings are unpacked, half floats widened, wide decimals narrowed to
//! DuckDB's 38 digits, and fixed-size lists converted to lists (DuckLake has no arrays).

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    compute::{CastOptions, cast_with_options},
    datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Fields, Schema, SchemaRef},
};

use super::{ranges, unpacked};
use crate::error::{Error, ErrorKind, Result};

/// The most that the encodings of the rows that are converted at once may take when they are unpacked.
const MAX_UNPACKED_BYTES: usize = 256 << 20;

/// A value that does not fit is an error, never NULL.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: arrow::util::display::FormatOptions::new() };

/// The columns with types that DuckDB accepts.
///
/// # Errors
/// Unsupported for a type without such an equivalent; the message names the column.
pub fn schema(sent: &SchemaRef) -> Result<SchemaRef> {
    let fields: Result<Fields> = sent.fields().iter().map(column).collect();
    let fields = fields?;
    if fields == *sent.fields() {
        return Ok(Arc::clone(sent));
    }
    Ok(Arc::new(Schema::new_with_metadata(fields, sent.metadata().clone())))
}

/// The rows with the columns of `to`, which [`schema`] returned for them.
///
/// # Errors
/// `InvalidArgument` for a value that DuckDB's type cannot hold, and for columns that do not match the schema.
pub fn batch(sent: &RecordBatch, to: &SchemaRef) -> Result<RecordBatch> {
    let columns = sent.columns().iter().zip(to.fields()).map(|(column, field)| {
        ranges::check(column).map_err(|err| err.context(format_args!("column \"{}\"", field.name())))?;
        convert(column, field.data_type())
    });
    let columns: Vec<_> = columns.collect::<Result<_>>()?;
    if sent.schema().fields() == to.fields() {
        return Ok(sent.clone());
    }
    let options = RecordBatchOptions::new().with_row_count(Some(sent.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(to), columns, &options).map_err(|err| Error::invalid(err.to_string()))
}

/// `sent` as an array of type `to`, which is its own type or the one that [`kind`] returned for it.
fn convert(sent: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if sent.data_type() == to {
        return Ok(Arc::clone(sent));
    }
    if unpacked::bytes(sent) > MAX_UNPACKED_BYTES {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!(
                "read the rows sent: values of type {} are too large once they are unpacked; send plain ones",
                sent.data_type()
            ),
        ));
    }
    cast_with_options(sent, to, &STRICT).map_err(|err| Error::invalid(format!("read the rows sent: {err}")))
}

fn column(sent: &FieldRef) -> Result<FieldRef> {
    field(sent).map_err(|err| err.context(format!("column \"{}\"", sent.name())))
}

fn field(sent: &FieldRef) -> Result<FieldRef> {
    let to = kind(sent.data_type())?;
    if to == *sent.data_type() {
        return Ok(Arc::clone(sent));
    }
    Ok(Arc::new(Field::clone(sent).with_data_type(to)))
}

/// The type that DuckDB accepts for values of an Arrow type.
///
/// # Errors
/// Unsupported if there is none.
pub fn kind(sent: &DataType) -> Result<DataType> {
    Ok(match sent {
        DataType::Float16 => DataType::Float32,
        DataType::Dictionary(_, values) => kind(values)?,
        DataType::RunEndEncoded(_, values) => kind(values.data_type())?,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => decimal(*precision, *scale).ok_or_else(|| unsupported(sent))?,
        DataType::List(item) | DataType::ListView(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(field(item)?)
        }
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(field(item)?),
        DataType::Struct(members) if members.is_empty() => return Err(unsupported(sent)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(field).collect::<Result<_>>()?),
        DataType::Map(entries, sorted) => DataType::Map(field(entries)?, *sorted),
        DataType::Union(members, _) => {
            for (_, member) in members.iter() {
                if field(member)? != *member {
                    return Err(unsupported(sent));
                }
            }
            sent.clone()
        }
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::Binary
        | DataType::FixedSizeBinary(_)
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View => sent.clone(),
    })
}

/// DuckDB's decimals have at most 38 digits and no negative scale.
fn decimal(precision: u8, scale: i8) -> Option<DataType> {
    let scale_up = u8::try_from(-i16::from(scale)).unwrap_or(0);
    let precision = precision.checked_add(scale_up)?;
    (precision <= DECIMAL128_MAX_PRECISION).then(|| DataType::Decimal128(precision, scale.max(0)))
}

fn unsupported(kind: &DataType) -> Error {
    Error::unsupported(format!("Arrow's type {kind} has no counterpart in DuckDB; send another type"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sent: &DataType, taken: &DataType) {
        assert_eq!(kind(sent).unwrap(), *taken);
    }

    #[test]
    fn encodings_are_unpacked_at_every_depth() {
        let coded = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
        check(&coded, &DataType::Utf8);
        let list = |item: &DataType| DataType::List(Arc::new(Field::new("item", item.clone(), true)));
        check(&list(&coded), &list(&DataType::Utf8));
        check(&DataType::FixedSizeList(Arc::new(Field::new("item", coded, true)), 3), &list(&DataType::Utf8));
    }

    #[test]
    fn decimals_have_at_most_38_digits_and_no_negative_scale() {
        check(&DataType::Decimal256(38, 2), &DataType::Decimal128(38, 2));
        check(&DataType::Decimal128(5, -3), &DataType::Decimal128(8, 0));
        assert!(kind(&DataType::Decimal256(39, 0)).is_err());
        assert!(kind(&DataType::Decimal128(38, -1)).is_err());
    }
}

//! Converts rows of an Arrow batch to DuckDB values, which are bound to a statement's parameters.

use std::ops::Range;

use arrow::{
    array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch},
    datatypes::{
        DataType, Date32Type, Date64Type, Decimal128Type, DurationMicrosecondType, DurationMillisecondType,
        DurationNanosecondType, DurationSecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, SchemaRef,
        Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};

use super::{
    accept,
    duckdb::{LogicalType, Value},
};
use crate::error::{Error, ErrorKind, Result};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MILLIS_PER_DAY: i64 = 86_400_000;
/// The items of all lists and maps in one row of parameters; each becomes a value of DuckDB of some hundred bytes.
const MAX_ITEMS: usize = 1 << 20;

/// Rows of parameters, each for one execution of a statement.
#[derive(Debug)]
pub struct Parameters {
    sent: RecordBatch,
    /// The columns after conversion by [`accept`].
    schema: SchemaRef,
    /// Whether NULLs of a column have its type. A column of NULLs only often has a type that was not meant.
    typed: Vec<bool>,
}

// === impl Parameters ===

impl Parameters {
    /// The rows that a client sent.
    ///
    /// # Errors
    /// Unsupported for an Arrow type that no DuckDB parameter can take.
    pub fn new(sent: &RecordBatch) -> Result<Self> {
        let schema = accept::schema(&sent.schema())?;
        let typed = sent.columns().iter().map(|column| column.logical_null_count() < column.len()).collect();
        Ok(Self { sent: sent.clone(), schema, typed })
    }

    /// The number of rows.
    pub fn count(&self) -> usize {
        self.sent.num_rows()
    }

    /// The values of row `row`, one per column.
    ///
    /// # Errors
    /// Unsupported as for [`new`](Self::new); `InvalidArgument` for a value out of range, `ResourceExhausted` for very
    /// long lists.
    pub fn values(&self, row: usize) -> Result<Vec<Value>> {
        let row = accept::batch(&self.sent.slice(row, 1), &self.schema)?;
        if row.columns().iter().map(items).sum::<usize>() > MAX_ITEMS {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "the lists of a row of parameters have more than {MAX_ITEMS} items; send them with bulk ingest"
                ),
            ));
        }
        let columns = row.columns().iter().zip(&self.typed);
        columns
            .map(|(column, typed)| {
                if column.is_null(0) && *typed {
                    return Value::null_of(&logical_type(column.data_type())?);
                }
                value_at(column, 0)
            })
            .collect()
    }
}

/// The number of items of the lists and maps in `array`, at every depth.
fn items(array: &ArrayRef) -> usize {
    let (values, offsets) = match array.data_type() {
        DataType::List(_) => (array.as_list::<i32>().values(), bounds(array.as_list::<i32>().value_offsets())),
        DataType::LargeList(_) => (array.as_list::<i64>().values(), bounds(array.as_list::<i64>().value_offsets())),
        DataType::Map(..) => {
            let map = array.as_map();
            let offsets = bounds(map.value_offsets());
            return offsets.len()
                + map.entries().columns().iter().map(|part| items(&slice(part, &offsets))).sum::<usize>();
        }
        DataType::Struct(_) => return array.as_struct().columns().iter().map(items).sum(),
        _ => return 0,
    };
    offsets.len() + items(&slice(values, &offsets))
}

/// The items that the lists with these offsets refer to.
fn bounds<O: OffsetSizeTrait>(offsets: &[O]) -> Range<usize> {
    match offsets {
        [first, .., last] => first.as_usize()..last.as_usize(),
        _ => 0..0,
    }
}

fn slice(values: &ArrayRef, range: &Range<usize>) -> ArrayRef {
    values.slice(range.start, range.len())
}

/// The value of `array` at `row`.
fn value_at(array: &ArrayRef, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::null());
    }
    Ok(match array.data_type() {
        DataType::Null => Value::null(),
        DataType::Boolean => Value::boolean(array.as_boolean().value(row)),
        DataType::Int8 => Value::tinyint(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => Value::smallint(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => Value::integer(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::bigint(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Value::utinyint(array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => Value::usmallint(array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => Value::uinteger(array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => Value::ubigint(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => Value::float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::varchar(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Value::varchar(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Value::varchar(array.as_string_view().value(row)),
        DataType::Binary => Value::blob(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Value::blob(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Value::blob(array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => Value::blob(array.as_fixed_size_binary().value(row)),
        DataType::Decimal128(width, scale) if *scale >= 0 => {
            Value::decimal(*width, scale.unsigned_abs(), array.as_primitive::<Decimal128Type>().value(row))?
        }
        DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Interval(_)
        | DataType::Duration(_) => time_value(array, row)?,
        DataType::List(_) => list_value(array, &array.as_list::<i32>().value(row))?,
        DataType::LargeList(_) => list_value(array, &array.as_list::<i64>().value(row))?,
        DataType::Struct(_) => record_value(array, row)?,
        DataType::Map(..) => map_value(array, row)?,
        DataType::Union(..) => value_at(&array.as_union().value(row), 0)?,
        other => return Err(unbindable(other)),
    })
}

fn unbindable(kind: &DataType) -> Error {
    Error::unsupported(format!("a parameter of Arrow type {kind} cannot be bound; cast it to a simpler type first"))
}

fn time_of_day(micros: i64) -> Result<Value> {
    let in_range = (0..=MILLIS_PER_DAY * 1_000).contains(&micros);
    in_range.then(|| Value::time(micros)).ok_or_else(|| Error::invalid("a time of day is out of range"))
}

fn time_value(array: &ArrayRef, row: usize) -> Result<Value> {
    Ok(match array.data_type() {
        DataType::Date32 => Value::date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Date64 => {
            let days = array.as_primitive::<Date64Type>().value(row).div_euclid(MILLIS_PER_DAY);
            Value::date(i32::try_from(days).map_err(|_| Error::invalid("a date is out of range"))?)
        }
        DataType::Time32(TimeUnit::Second) => {
            time_of_day(i64::from(array.as_primitive::<Time32SecondType>().value(row)) * MICROS_PER_SECOND)?
        }
        DataType::Time32(_) => {
            time_of_day(i64::from(array.as_primitive::<Time32MillisecondType>().value(row)) * 1_000)?
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            time_of_day(array.as_primitive::<Time64MicrosecondType>().value(row))?
        }
        DataType::Time64(_) => time_of_day(array.as_primitive::<Time64NanosecondType>().value(row) / 1_000)?,
        DataType::Timestamp(unit, zone) => timestamp_value(array, row, *unit, zone.is_some())?,
        DataType::Interval(IntervalUnit::YearMonth) => {
            Value::interval(array.as_primitive::<IntervalYearMonthType>().value(row), 0, 0)
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            let interval = array.as_primitive::<IntervalDayTimeType>().value(row);
            Value::interval(0, interval.days, i64::from(interval.milliseconds) * 1_000)
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            Value::interval(interval.months, interval.days, interval.nanoseconds / 1_000)
        }
        DataType::Duration(unit) => Value::interval(0, 0, duration_micros(array, row, *unit)?),
        other => return Err(unbindable(other)),
    })
}

/// DuckDB's intervals count in microseconds.
fn duration_micros(array: &ArrayRef, row: usize, unit: TimeUnit) -> Result<i64> {
    let micros = match unit {
        TimeUnit::Second => array.as_primitive::<DurationSecondType>().value(row).checked_mul(MICROS_PER_SECOND),
        TimeUnit::Millisecond => array.as_primitive::<DurationMillisecondType>().value(row).checked_mul(1_000),
        TimeUnit::Microsecond => Some(array.as_primitive::<DurationMicrosecondType>().value(row)),
        TimeUnit::Nanosecond => Some(array.as_primitive::<DurationNanosecondType>().value(row) / 1_000),
    };
    micros.ok_or_else(|| Error::invalid("a duration is out of range"))
}

/// DuckDB has zoned timestamps in microseconds only, and plain ones in every unit.
fn timestamp_value(array: &ArrayRef, row: usize, unit: TimeUnit, zoned: bool) -> Result<Value> {
    let (ticks, micros) = match unit {
        TimeUnit::Second => {
            let ticks = array.as_primitive::<TimestampSecondType>().value(row);
            (ticks, ticks.checked_mul(MICROS_PER_SECOND))
        }
        TimeUnit::Millisecond => {
            let ticks = array.as_primitive::<TimestampMillisecondType>().value(row);
            (ticks, ticks.checked_mul(1_000))
        }
        TimeUnit::Microsecond => {
            let ticks = array.as_primitive::<TimestampMicrosecondType>().value(row);
            (ticks, Some(ticks))
        }
        TimeUnit::Nanosecond => {
            let ticks = array.as_primitive::<TimestampNanosecondType>().value(row);
            (ticks, Some(ticks.div_euclid(1_000)))
        }
    };
    if zoned {
        return micros.map(Value::timestamp_tz).ok_or_else(|| Error::invalid("a timestamp is out of range"));
    }
    Ok(match unit {
        TimeUnit::Second => Value::timestamp_s(ticks),
        TimeUnit::Millisecond => Value::timestamp_ms(ticks),
        TimeUnit::Microsecond => Value::timestamp(ticks),
        TimeUnit::Nanosecond => Value::timestamp_ns(ticks),
    })
}

fn list_value(array: &ArrayRef, items: &ArrayRef) -> Result<Value> {
    let (DataType::List(item) | DataType::LargeList(item)) = array.data_type() else {
        return Err(unbindable(array.data_type()));
    };
    let child = logical_type(item.data_type())?;
    Value::list(&child, &values_of(items)?)
}

fn record_value(array: &ArrayRef, row: usize) -> Result<Value> {
    let members: Result<Vec<_>> = array.as_struct().columns().iter().map(|member| value_at(member, row)).collect();
    Value::record(&logical_type(array.data_type())?, &members?)
}

fn map_value(array: &ArrayRef, row: usize) -> Result<Value> {
    let entries = array.as_map().value(row);
    let (keys, values) = (values_of(entries.column(0))?, values_of(entries.column(1))?);
    Value::map(&logical_type(array.data_type())?, &keys, &values)
}

fn values_of(array: &ArrayRef) -> Result<Vec<Value>> {
    (0..array.len()).map(|row| value_at(array, row)).collect()
}

/// The DuckDB type that values of an Arrow type are bound as.
fn logical_type(kind: &DataType) -> Result<LogicalType> {
    Ok(match kind {
        DataType::Null => LogicalType::null(),
        DataType::Boolean => LogicalType::boolean(),
        DataType::Int8 => LogicalType::tinyint(),
        DataType::Int16 => LogicalType::smallint(),
        DataType::Int32 => LogicalType::integer(),
        DataType::Int64 => LogicalType::bigint(),
        DataType::UInt8 => LogicalType::utinyint(),
        DataType::UInt16 => LogicalType::usmallint(),
        DataType::UInt32 => LogicalType::uinteger(),
        DataType::UInt64 => LogicalType::ubigint(),
        DataType::Float32 => LogicalType::float(),
        DataType::Float64 => LogicalType::double(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => LogicalType::varchar(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            LogicalType::blob()
        }
        DataType::Decimal128(width, scale) if *scale >= 0 => LogicalType::decimal(*width, scale.unsigned_abs()),
        DataType::Date32 | DataType::Date64 => LogicalType::date(),
        DataType::Time32(_) | DataType::Time64(_) => LogicalType::time(),
        DataType::Timestamp(_, Some(_)) => LogicalType::timestamp_tz(),
        DataType::Timestamp(TimeUnit::Second, None) => LogicalType::timestamp_s(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => LogicalType::timestamp_ms(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => LogicalType::timestamp(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => LogicalType::timestamp_ns(),
        DataType::Interval(_) | DataType::Duration(_) => LogicalType::interval(),
        DataType::List(item) | DataType::LargeList(item) => LogicalType::list(&logical_type(item.data_type())?),
        DataType::Struct(fields) => {
            let members = fields.iter().map(|field| Ok((field.name().clone(), logical_type(field.data_type())?)));
            LogicalType::record(&members.collect::<Result<Vec<_>>>()?)?
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(fields) = entries.data_type() else { return Err(unbindable(kind)) };
            let [key, value] = fields.as_ref() else { return Err(unbindable(kind)) };
            LogicalType::map(&logical_type(key.data_type())?, &logical_type(value.data_type())?)
        }
        other => return Err(unbindable(other)),
    })
}

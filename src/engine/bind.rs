//! Converts rows of an Arrow batch to DuckDB values, which are bound to a statement's parameters.

use std::ops::Range;

use arrow::{
    array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch},
    datatypes::{
        DataType, Date32Type, Date64Type, Decimal128Type, DurationMicrosecondType, DurationMillisecondType,
        DurationNanosecondType, DurationSecondType, Field, Fields, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
        SchemaRef, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type, UnionFields,
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
        let columns = self.schema.fields().iter().zip(row.columns()).zip(&self.typed);
        columns
            .map(|((field, column), typed)| {
                if column.is_null(0) && *typed {
                    return Value::null_of(&logical_type(field)?);
                }
                value_at(field, column, 0)
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

/// The value at `row` of a column or part `field`, whose extension type tells a UUID from other bytes.
fn value_at(field: &Field, array: &ArrayRef, row: usize) -> Result<Value> {
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
        DataType::FixedSizeBinary(_) if is_uuid(field) => Value::uuid(uuid(array.as_fixed_size_binary().value(row))),
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
        DataType::List(item) => list_value(item, &array.as_list::<i32>().value(row))?,
        DataType::LargeList(item) => list_value(item, &array.as_list::<i64>().value(row))?,
        DataType::Struct(members) => record_value(field, members, array, row)?,
        DataType::Map(entries, _) => map_value(field, entries, array, row)?,
        DataType::Union(members, _) => union_value(members, array, row)?,
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

fn list_value(item: &Field, items: &ArrayRef) -> Result<Value> {
    Value::list(&logical_type(item)?, &values_of(item, items)?)
}

fn record_value(field: &Field, members: &Fields, array: &ArrayRef, row: usize) -> Result<Value> {
    let parts = members.iter().zip(array.as_struct().columns());
    let values: Result<Vec<_>> = parts.map(|(member, part)| value_at(member, part, row)).collect();
    Value::record(&logical_type(field)?, &values?)
}

fn map_value(field: &Field, entries: &Field, array: &ArrayRef, row: usize) -> Result<Value> {
    let (key, value) = key_and_value(entries)?;
    let entries = array.as_map().value(row);
    let (keys, values) = (values_of(key, entries.column(0))?, values_of(value, entries.column(1))?);
    Value::map(&logical_type(field)?, &keys, &values)
}

fn union_value(members: &UnionFields, array: &ArrayRef, row: usize) -> Result<Value> {
    let union = array.as_union();
    let held = union.type_id(row);
    let member = members.iter().find(|(id, _)| *id == held).map(|(_, member)| member);
    let member = member.ok_or_else(|| Error::invalid("a union has a value of none of its types"))?;
    value_at(member, &union.value(row), 0)
}

fn values_of(item: &Field, array: &ArrayRef) -> Result<Vec<Value>> {
    (0..array.len()).map(|row| value_at(item, array, row)).collect()
}

fn key_and_value(entries: &Field) -> Result<(&Field, &Field)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Ok((&fields[0], &fields[1])),
        other => Err(unbindable(other)),
    }
}

fn is_uuid(field: &Field) -> bool {
    field.extension_type_name() == Some("arrow.uuid") && *field.data_type() == DataType::FixedSizeBinary(16)
}

fn uuid(bytes: &[u8]) -> u128 {
    bytes.try_into().map(u128::from_be_bytes).unwrap_or_default()
}

/// The DuckDB type that values of an Arrow field are bound as.
fn logical_type(field: &Field) -> Result<LogicalType> {
    Ok(match field.data_type() {
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
        DataType::FixedSizeBinary(_) if is_uuid(field) => LogicalType::uuid(),
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
        DataType::List(item) | DataType::LargeList(item) => LogicalType::list(&logical_type(item)?),
        DataType::Struct(fields) => {
            let members = fields.iter().map(|field| Ok((field.name().clone(), logical_type(field)?)));
            LogicalType::record(&members.collect::<Result<Vec<_>>>()?)?
        }
        DataType::Map(entries, _) => {
            let (key, value) = key_and_value(entries)?;
            LogicalType::map(&logical_type(key)?, &logical_type(value)?)
        }
        other => return Err(unbindable(other)),
    })
}

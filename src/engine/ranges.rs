//! Values of Arrow that are outside of their type, such as a time of day before midnight.
//!
//! Arrow does not check them, and DuckDB's reader trusts them: it stores other values, or ends the process.

use arrow::{
    array::{Array, ArrayRef, AsArray, PrimitiveArray, make_array},
    datatypes::{
        ArrowPrimitiveType, DataType, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
        Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
        TimestampNanosecondType,
    },
};

use crate::error::{Error, Result};

const SECONDS_PER_DAY: i64 = 86_400;
const MILLIS_PER_DAY: i64 = 1_000 * SECONDS_PER_DAY;

/// Checks the values of a column, at every depth.
///
/// # Errors
/// `InvalidArgument` for a value that its type does not have, or that DuckDB would round.
pub(super) fn check(values: &ArrayRef) -> Result<()> {
    let sound = match values.data_type() {
        DataType::Time32(TimeUnit::Second) => is_time::<Time32SecondType>(values, 1),
        DataType::Time32(_) => is_time::<Time32MillisecondType>(values, 1_000),
        DataType::Time64(TimeUnit::Microsecond) => is_time::<Time64MicrosecondType>(values, 1_000_000),
        DataType::Time64(_) => is_time::<Time64NanosecondType>(values, 1_000_000_000),
        DataType::Date64 => all::<Date64Type>(values, |millis| {
            millis % MILLIS_PER_DAY == 0 && i32::try_from(millis / MILLIS_PER_DAY).is_ok()
        }),
        DataType::Timestamp(TimeUnit::Nanosecond, Some(_)) => {
            all::<TimestampNanosecondType>(values, |nanos| nanos % 1_000 == 0)
        }
        DataType::Decimal32(digits, _) => {
            values.as_primitive::<Decimal32Type>().validate_decimal_precision(*digits).is_ok()
        }
        DataType::Decimal64(digits, _) => {
            values.as_primitive::<Decimal64Type>().validate_decimal_precision(*digits).is_ok()
        }
        DataType::Decimal128(digits, _) => {
            values.as_primitive::<Decimal128Type>().validate_decimal_precision(*digits).is_ok()
        }
        DataType::Decimal256(digits, _) => {
            values.as_primitive::<Decimal256Type>().validate_decimal_precision(*digits).is_ok()
        }
        // Items, members, entries, and the values of encodings.
        _ => return values.to_data().child_data().iter().cloned().map(make_array).try_for_each(|part| check(&part)),
    };
    let kind = values.data_type();
    if sound {
        Ok(())
    } else {
        Err(Error::invalid(format!("a value of type {kind} is out of range, or finer than DuckDB stores it")))
    }
}

fn is_time<T: ArrowPrimitiveType<Native: Into<i64>>>(values: &ArrayRef, per_second: i64) -> bool {
    all::<T>(values, |time| (0..=SECONDS_PER_DAY * per_second).contains(&time.into()))
}

fn all<T: ArrowPrimitiveType>(values: &ArrayRef, fits: impl Fn(T::Native) -> bool) -> bool {
    let values: &PrimitiveArray<T> = values.as_primitive();
    values.iter().flatten().all(fits)
}

//! Owned DuckDB types and values.

use std::ffi::CString;

use duckdb::ffi;

use crate::error::{Error, Result};

/// A DuckDB type.
#[derive(Debug)]
pub struct LogicalType(ffi::duckdb_logical_type);

/// A DuckDB value, ready to be bound to a parameter.
#[derive(Debug)]
pub struct Value(ffi::duckdb_value);

// SAFETY: an owned value is plain data that is not tied to a thread.
unsafe impl Send for Value {}

/// The DuckDB types without parameters.
macro_rules! simple_types {
    ($($(#[$doc:meta])* $name:ident = $constant:ident,)*) => {
        impl LogicalType {
            $($(#[$doc])* pub fn $name() -> Self {
                // SAFETY: makes a new type; no precondition.
                Self(unsafe { ffi::duckdb_create_logical_type(ffi::$constant) })
            })*
        }
    };
}

simple_types! {
    /// BOOLEAN.
    boolean = DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN,
    /// TINYINT.
    tinyint = DUCKDB_TYPE_DUCKDB_TYPE_TINYINT,
    /// SMALLINT.
    smallint = DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT,
    /// INTEGER.
    integer = DUCKDB_TYPE_DUCKDB_TYPE_INTEGER,
    /// BIGINT.
    bigint = DUCKDB_TYPE_DUCKDB_TYPE_BIGINT,
    /// UTINYINT.
    utinyint = DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT,
    /// USMALLINT.
    usmallint = DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT,
    /// UINTEGER.
    uinteger = DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER,
    /// UBIGINT.
    ubigint = DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT,
    /// FLOAT.
    float = DUCKDB_TYPE_DUCKDB_TYPE_FLOAT,
    /// DOUBLE.
    double = DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE,
    /// VARCHAR.
    varchar = DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
    /// BLOB.
    blob = DUCKDB_TYPE_DUCKDB_TYPE_BLOB,
    /// DATE.
    date = DUCKDB_TYPE_DUCKDB_TYPE_DATE,
    /// TIME.
    time = DUCKDB_TYPE_DUCKDB_TYPE_TIME,
    /// TIMESTAMP.
    timestamp = DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP,
    /// TIMESTAMP WITH TIME ZONE.
    timestamp_tz = DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_TZ,
    /// TIMESTAMP_S.
    timestamp_s = DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_S,
    /// TIMESTAMP_MS.
    timestamp_ms = DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_MS,
    /// TIMESTAMP_NS.
    timestamp_ns = DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP_NS,
    /// INTERVAL.
    interval = DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL,
    /// UUID.
    uuid = DUCKDB_TYPE_DUCKDB_TYPE_UUID,
    /// The type of a NULL about which nothing else is known.
    null = DUCKDB_TYPE_DUCKDB_TYPE_SQLNULL,
}

// === impl LogicalType ===

impl LogicalType {
    /// Takes ownership of a type from DuckDB; null is treated as "unresolved".
    pub(super) fn from_raw(ptr: ffi::duckdb_logical_type) -> Self {
        if ptr.is_null() { Self::null() } else { Self(ptr) }
    }

    pub(super) fn as_ptr(&self) -> ffi::duckdb_logical_type {
        self.0
    }

    /// Whether the type still depends on a parameter's value.
    pub(super) fn is_unresolved(&self) -> bool {
        // SAFETY: the type is alive.
        let id = unsafe { ffi::duckdb_get_type_id(self.0) };
        matches!(id, ffi::DUCKDB_TYPE_DUCKDB_TYPE_INVALID | ffi::DUCKDB_TYPE_DUCKDB_TYPE_ANY)
    }

    /// DECIMAL(width, scale).
    pub fn decimal(width: u8, scale: u8) -> Self {
        // SAFETY: makes a new type; no precondition.
        Self(unsafe { ffi::duckdb_create_decimal_type(width, scale) })
    }

    /// `child`[].
    pub fn list(child: &Self) -> Self {
        // SAFETY: the child is alive and copied.
        Self(unsafe { ffi::duckdb_create_list_type(child.0) })
    }

    /// MAP(`key`, `value`).
    pub fn map(key: &Self, value: &Self) -> Self {
        // SAFETY: both are alive and copied.
        Self(unsafe { ffi::duckdb_create_map_type(key.0, value.0) })
    }

    /// STRUCT of named members.
    ///
    /// # Errors
    /// `InvalidArgument` for a name with a NUL byte.
    pub fn record(members: &[(String, Self)]) -> Result<Self> {
        let names: Result<Vec<_>, _> = members.iter().map(|(name, _)| CString::new(name.as_str())).collect();
        let names = names.map_err(|_| Error::invalid("a struct member's name contains a NUL byte"))?;
        let mut name_ptrs: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        let mut type_ptrs: Vec<_> = members.iter().map(|(_, member)| member.0).collect();
        // SAFETY: both arrays have `len` entries that live until the call returns and are copied.
        Ok(Self(unsafe {
            ffi::duckdb_create_struct_type(type_ptrs.as_mut_ptr(), name_ptrs.as_mut_ptr(), members.len() as u64)
        }))
    }
}

impl Drop for LogicalType {
    fn drop(&mut self) {
        // SAFETY: owned by this value and destroyed once.
        unsafe { ffi::duckdb_destroy_logical_type(&raw mut self.0) };
    }
}

/// Constructors of values that take one plain argument.
macro_rules! simple_values {
    ($($(#[$doc:meta])* $name:ident($kind:ty) = $create:ident($wrap:expr),)*) => {
        impl Value {
            $($(#[$doc])* pub fn $name(value: $kind) -> Self {
                let wrap: fn($kind) -> _ = $wrap;
                // SAFETY: makes a new value of plain data; no precondition.
                Self(unsafe { ffi::$create(wrap(value)) })
            })*
        }
    };
}

simple_values! {
    /// BOOLEAN.
    boolean(bool) = duckdb_create_bool(|value| value),
    /// TINYINT.
    tinyint(i8) = duckdb_create_int8(|value| value),
    /// SMALLINT.
    smallint(i16) = duckdb_create_int16(|value| value),
    /// INTEGER.
    integer(i32) = duckdb_create_int32(|value| value),
    /// BIGINT.
    bigint(i64) = duckdb_create_int64(|value| value),
    /// UTINYINT.
    utinyint(u8) = duckdb_create_uint8(|value| value),
    /// USMALLINT.
    usmallint(u16) = duckdb_create_uint16(|value| value),
    /// UINTEGER.
    uinteger(u32) = duckdb_create_uint32(|value| value),
    /// UBIGINT.
    ubigint(u64) = duckdb_create_uint64(|value| value),
    /// FLOAT.
    float(f32) = duckdb_create_float(|value| value),
    /// DOUBLE.
    double(f64) = duckdb_create_double(|value| value),
    /// DATE, as days since 1970-01-01.
    date(i32) = duckdb_create_date(|days| ffi::duckdb_date { days }),
    /// TIME, as microseconds since midnight.
    time(i64) = duckdb_create_time(|micros| ffi::duckdb_time { micros }),
    /// TIMESTAMP, as microseconds since 1970-01-01.
    timestamp(i64) = duckdb_create_timestamp(|micros| ffi::duckdb_timestamp { micros }),
    /// TIMESTAMP WITH TIME ZONE, as microseconds since 1970-01-01 UTC.
    timestamp_tz(i64) = duckdb_create_timestamp_tz(|micros| ffi::duckdb_timestamp { micros }),
    /// TIMESTAMP_S, as seconds since 1970-01-01.
    timestamp_s(i64) = duckdb_create_timestamp_s(|seconds| ffi::duckdb_timestamp_s { seconds }),
    /// TIMESTAMP_MS, as milliseconds since 1970-01-01.
    timestamp_ms(i64) = duckdb_create_timestamp_ms(|millis| ffi::duckdb_timestamp_ms { millis }),
    /// TIMESTAMP_NS, as nanoseconds since 1970-01-01.
    timestamp_ns(i64) = duckdb_create_timestamp_ns(|nanos| ffi::duckdb_timestamp_ns { nanos }),
}

// === impl Value ===

impl Value {
    /// Takes a value that DuckDB made.
    pub(super) fn from_raw(ptr: ffi::duckdb_value) -> Self {
        Self(ptr)
    }

    /// NULL.
    pub fn null() -> Self {
        // SAFETY: no precondition.
        Self(unsafe { ffi::duckdb_create_null_value() })
    }

    /// NULL of a type. DuckDB's C API has it as an item of a list only.
    ///
    /// # Errors
    /// `InvalidArgument` for a type that lists cannot have.
    pub fn null_of(kind: &LogicalType) -> Result<Self> {
        let list = Self::list(kind, &[Self::null()])?;
        // SAFETY: the list is alive and has one item, which is copied.
        Self::made(unsafe { ffi::duckdb_get_list_child(list.0, 0) }, "NULL")
    }

    /// VARCHAR.
    pub fn varchar(text: &str) -> Self {
        // SAFETY: DuckDB copies `len` bytes.
        Self(unsafe { ffi::duckdb_create_varchar_length(text.as_ptr().cast(), text.len() as u64) })
    }

    /// BLOB.
    pub fn blob(bytes: &[u8]) -> Self {
        // SAFETY: DuckDB copies `len` bytes.
        Self(unsafe { ffi::duckdb_create_blob(bytes.as_ptr(), bytes.len() as u64) })
    }

    /// Takes ownership of a composite value from DuckDB, which returns null if the parts do not fit together.
    fn made(ptr: ffi::duckdb_value, what: &str) -> Result<Self> {
        if ptr.is_null() {
            return Err(Error::invalid(format!("a parameter is not a valid {what}: its parts do not fit together")));
        }
        Ok(Self(ptr))
    }

    /// DECIMAL(width, scale) from its unscaled integer.
    ///
    /// # Errors
    /// `InvalidArgument` for a width or scale that DuckDB does not have, and for more digits than the width allows:
    /// DuckDB would end the process.
    pub fn decimal(width: u8, scale: u8, unscaled: i128) -> Result<Self> {
        let fits = (1..=38).contains(&width) && scale <= width && unscaled.unsigned_abs() < 10_u128.pow(width.into());
        if !fits {
            return Err(Error::invalid(format!("a parameter is not a valid DECIMAL({width}, {scale})")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number's two halves")]
        let value = ffi::duckdb_hugeint { lower: unscaled as u64, upper: (unscaled >> 64) as i64 };
        // SAFETY: plain data.
        Self::made(unsafe { ffi::duckdb_create_decimal(ffi::duckdb_decimal { width, scale, value }) }, "decimal")
    }

    /// UUID, from its 128 bits.
    #[expect(clippy::cast_possible_truncation, reason = "the number's two halves")]
    pub fn uuid(bits: u128) -> Self {
        // SAFETY: plain data.
        Self(unsafe {
            ffi::duckdb_create_uuid(ffi::duckdb_uhugeint { lower: bits as u64, upper: (bits >> 64) as u64 })
        })
    }

    /// INTERVAL.
    pub fn interval(months: i32, days: i32, micros: i64) -> Self {
        // SAFETY: plain data.
        Self(unsafe { ffi::duckdb_create_interval(ffi::duckdb_interval { months, days, micros }) })
    }

    /// A list of values of one type.
    ///
    /// # Errors
    /// `InvalidArgument` for values of another type.
    pub fn list(child: &LogicalType, values: &[Self]) -> Result<Self> {
        let mut ptrs: Vec<_> = values.iter().map(|value| value.0).collect();
        // SAFETY: type and values are alive and copied.
        Self::made(unsafe { ffi::duckdb_create_list_value(child.0, ptrs.as_mut_ptr(), values.len() as u64) }, "list")
    }

    /// A struct; `kind` is its type and `values` its members in order.
    ///
    /// # Errors
    /// `InvalidArgument` for members of other types.
    pub fn record(kind: &LogicalType, values: &[Self]) -> Result<Self> {
        let mut ptrs: Vec<_> = values.iter().map(|value| value.0).collect();
        // SAFETY: type and values are alive, of equal number by the caller's construction, and copied.
        Self::made(unsafe { ffi::duckdb_create_struct_value(kind.0, ptrs.as_mut_ptr()) }, "struct")
    }

    /// A map; `kind` is its type, keys and values are paired.
    ///
    /// # Errors
    /// `InvalidArgument` for a key that is NULL or duplicate.
    pub fn map(kind: &LogicalType, keys: &[Self], values: &[Self]) -> Result<Self> {
        let mut key_ptrs: Vec<_> = keys.iter().map(|key| key.0).collect();
        let mut value_ptrs: Vec<_> = values.iter().map(|value| value.0).collect();
        let len = key_ptrs.len().min(value_ptrs.len()) as u64;
        // SAFETY: type, keys and values are alive and copied; both arrays have `len` entries.
        let map = unsafe { ffi::duckdb_create_map_value(kind.0, key_ptrs.as_mut_ptr(), value_ptrs.as_mut_ptr(), len) };
        Self::made(map, "map (keys must be unique)")
    }

    pub(super) fn as_ptr(&self) -> ffi::duckdb_value {
        self.0
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: owned by this value and destroyed once.
        unsafe { ffi::duckdb_destroy_value(&raw mut self.0) };
    }
}

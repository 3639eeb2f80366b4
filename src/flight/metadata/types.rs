//! SQL interface descriptions of column types. Plain data, for GetXdbcTypeInfo and for columns.

use arrow_flight::sql::{XdbcDataType as Xdbc, XdbcDatetimeSubcode as Subcode};

/// A type of DuckDB.
#[derive(Clone, Copy, Debug)]
pub struct SqlType {
    /// Its name as DuckDB writes it.
    pub name: &'static str,
    /// Its code: the protocol's, or else the one of `java.sql.Types`.
    pub code: i32,
    /// The maximum number of decimal digits or characters of a value.
    pub precision: Option<i32>,
    /// The digits after the decimal point; the maximum, if the column specifies it.
    pub scale: Option<i32>,
    /// The prefix and suffix of a literal in SQL.
    pub literal: Option<(&'static str, &'static str)>,
    /// The kind of value.
    pub family: Family,
}

/// Common properties of types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A number, signed or not.
    Number { signed: bool },
    /// A number whose column specifies its number of digits.
    Decimal,
    /// Characters, which LIKE compares case-sensitively.
    Text,
    /// A point in time.
    Time(Subcode),
    /// None of these.
    Other,
}

/// The properties of a column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described<'a> {
    /// The type's name, without precision and scale.
    pub name: &'a str,
    /// The maximum number of decimal digits or characters of a value.
    pub precision: Option<i32>,
    /// The digits after the decimal point.
    pub scale: Option<i32>,
    /// Whether values compare as strings.
    pub is_text: bool,
}

/// Practically unlimited: DuckDB's strings and blobs are only bounded by memory.
const UNBOUNDED: Option<i32> = Some(i32::MAX);
const QUOTED: Option<(&str, &str)> = Some(("'", "'"));
const SIGNED: Family = Family::Number { signed: true };
const UNSIGNED: Family = Family::Number { signed: false };
/// Codes of `java.sql.Types` beyond the protocol's.
const ARRAY: i32 = 2003;
const STRUCT: i32 = 2002;
const JAVA_OBJECT: i32 = 2000;

/// The types that clients encounter, sorted by code and name. HUGEINT and UHUGEINT are sent as DECIMAL(38,0).
pub const ALL: &[SqlType] = &[
    row("BOOLEAN", Xdbc::XdbcBit as i32, Some(1), None, None, Family::Other),
    row("TINYINT", Xdbc::XdbcTinyint as i32, Some(3), Some(0), None, SIGNED),
    row("UTINYINT", Xdbc::XdbcTinyint as i32, Some(3), Some(0), None, UNSIGNED),
    row("BIGINT", Xdbc::XdbcBigint as i32, Some(19), Some(0), None, SIGNED),
    row("UBIGINT", Xdbc::XdbcBigint as i32, Some(20), Some(0), None, UNSIGNED),
    row("BLOB", Xdbc::XdbcVarbinary as i32, UNBOUNDED, None, Some(("BLOB '", "'")), Family::Other),
    row("GEOMETRY", Xdbc::XdbcVarbinary as i32, UNBOUNDED, None, Some(("GEOMETRY '", "'")), Family::Other),
    row("DECIMAL", Xdbc::XdbcDecimal as i32, Some(38), Some(38), None, Family::Decimal),
    row("HUGEINT", Xdbc::XdbcDecimal as i32, Some(38), Some(0), None, SIGNED),
    row("UHUGEINT", Xdbc::XdbcDecimal as i32, Some(38), Some(0), None, UNSIGNED),
    row("INTEGER", Xdbc::XdbcInteger as i32, Some(10), Some(0), None, SIGNED),
    row("UINTEGER", Xdbc::XdbcInteger as i32, Some(10), Some(0), None, UNSIGNED),
    row("SMALLINT", Xdbc::XdbcSmallint as i32, Some(5), Some(0), None, SIGNED),
    row("USMALLINT", Xdbc::XdbcSmallint as i32, Some(5), Some(0), None, UNSIGNED),
    row("FLOAT", Xdbc::XdbcFloat as i32, Some(7), None, None, SIGNED),
    row("DOUBLE", Xdbc::XdbcDouble as i32, Some(15), None, None, SIGNED),
    row("INTERVAL", Xdbc::XdbcInterval as i32, None, None, Some(("INTERVAL '", "'")), Family::Other),
    row("JSON", Xdbc::XdbcVarchar as i32, UNBOUNDED, None, Some(("JSON '", "'")), Family::Text),
    row("UUID", Xdbc::XdbcVarchar as i32, Some(36), None, Some(("UUID '", "'")), Family::Other),
    row("VARCHAR", Xdbc::XdbcVarchar as i32, UNBOUNDED, None, QUOTED, Family::Text),
    row("DATE", Xdbc::XdbcDate as i32, Some(10), Some(0), Some(("DATE '", "'")), DATE),
    row("TIME", Xdbc::XdbcTime as i32, Some(15), Some(6), Some(("TIME '", "'")), TIME),
    row("TIME WITH TIME ZONE", Xdbc::XdbcTime as i32, Some(24), Some(6), Some(("TIMETZ '", "'")), TIME_ZONED),
    row("TIME_NS", Xdbc::XdbcTime as i32, Some(18), Some(9), Some(("TIME_NS '", "'")), TIME),
    row("TIMESTAMP", Xdbc::XdbcTimestamp as i32, Some(26), Some(6), Some(("TIMESTAMP '", "'")), TIMESTAMP),
    row(
        "TIMESTAMP WITH TIME ZONE",
        Xdbc::XdbcTimestamp as i32,
        Some(32),
        Some(6),
        Some(("TIMESTAMPTZ '", "'")),
        Family::Time(Subcode::XdbcSubcodeTimestampWithTimezone),
    ),
    row("TIMESTAMP_MS", Xdbc::XdbcTimestamp as i32, Some(23), Some(3), Some(("TIMESTAMP_MS '", "'")), TIMESTAMP),
    row("TIMESTAMP_NS", Xdbc::XdbcTimestamp as i32, Some(29), Some(9), Some(("TIMESTAMP_NS '", "'")), TIMESTAMP),
    row("TIMESTAMP_S", Xdbc::XdbcTimestamp as i32, Some(19), Some(0), Some(("TIMESTAMP_S '", "'")), TIMESTAMP),
    row("MAP", JAVA_OBJECT, None, None, Some(("MAP {", "}")), Family::Other),
    row("STRUCT", STRUCT, None, None, Some(("{", "}")), Family::Other),
    row("LIST", ARRAY, None, None, Some(("[", "]")), Family::Other),
];

const DATE: Family = Family::Time(Subcode::XdbcSubcodeYear);
const TIME: Family = Family::Time(Subcode::XdbcSubcodeTime);
const TIME_ZONED: Family = Family::Time(Subcode::XdbcSubcodeTimeWithTimezone);
const TIMESTAMP: Family = Family::Time(Subcode::XdbcSubcodeTimestamp);

const fn row(
    name: &'static str,
    code: i32,
    precision: Option<i32>,
    scale: Option<i32>,
    literal: Option<(&'static str, &'static str)>,
    family: Family,
) -> SqlType {
    SqlType { name, code, precision, scale, literal, family }
}

/// The properties of a DuckDB type such as `DECIMAL(12,2)` or `INTEGER[]`.
pub fn of(type_name: &str) -> Described<'_> {
    if let Some((width, scale)) = decimal_digits(type_name) {
        return Described { name: "DECIMAL", precision: Some(width), scale: Some(scale), is_text: false };
    }
    let known = ALL.iter().find(|known| known.name == type_name);
    Described {
        name: type_name,
        precision: known.and_then(|known| known.precision),
        scale: known.and_then(|known| known.scale),
        is_text: known.is_some_and(|known| known.family == Family::Text),
    }
}

fn decimal_digits(type_name: &str) -> Option<(i32, i32)> {
    let (width, scale) = type_name.strip_prefix("DECIMAL(")?.strip_suffix(')')?.split_once(',')?;
    Some((width.trim().parse().ok()?, scale.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_sorted_as_the_protocol_says() {
        assert!(ALL.is_sorted_by_key(|row| (row.code, row.name)));
    }

    #[test]
    fn precision_and_scale_follow_from_the_name() {
        let digits = |name| (of(name).name, of(name).precision, of(name).scale);
        assert_eq!(digits("DECIMAL(12,2)"), ("DECIMAL", Some(12), Some(2)));
        assert_eq!(digits("DECIMAL(12,2)[]"), ("DECIMAL(12,2)[]", None, None));
        assert_eq!(digits("TIMESTAMP_MS"), ("TIMESTAMP_MS", Some(23), Some(3)));
        assert_eq!(digits("STRUCT(x INTEGER)"), ("STRUCT(x INTEGER)", None, None));
    }
}

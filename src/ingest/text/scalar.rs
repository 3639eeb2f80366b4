//! The type of a column, by widening over all of its values.
//!
//! A type is chosen only if every value can be written back from it: `007` and `N/A` make a column text, and an integer
//! that DOUBLE would round does so too. The forms are subsets of what DuckDB's casts accept.

use chrono::{NaiveDate, NaiveTime};

/// 2^53: DOUBLE has all integers up to it.
const EXACT_IN_DOUBLE: &[u8] = b"9007199254740992";
/// The digits of DECIMAL(38,0).
const DECIMAL_DIGITS: usize = 38;

/// The type of the values seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Scalar {
    /// None but NULL.
    #[default]
    Unknown,
    Boolean,
    Number(Number),
    Date,
    Time,
    Timestamp,
    TimestampTz,
    /// Anything else.
    Text,
}

/// What is known of the numbers of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    largest: Integer,
    /// Whether some have a fraction or an exponent, or are infinite or NaN.
    is_float: bool,
}

/// The smallest type that has an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Integer {
    /// It is exact as DOUBLE.
    Exact,
    /// BIGINT.
    Big,
    /// DECIMAL(38,0).
    Decimal,
    /// None.
    Larger,
}

// === impl Scalar ===

impl Scalar {
    /// The type of a text that stands for a value, as in CSV.
    pub fn of_text(text: &str) -> Self {
        let bytes = text.as_bytes();
        match bytes.first() {
            Some(b'0'..=b'9' | b'-') => {
                Number::of(bytes).map(Self::Number).or_else(|| Self::temporal(text)).unwrap_or(Self::Text)
            }
            Some(b't' | b'f' | b'T' | b'F') if is_boolean(text) => Self::Boolean,
            Some(b'n' | b'N' | b'i' | b'I') if is_special(text) => Self::Number(Number::FLOAT),
            _ => Self::Text,
        }
    }

    /// The type of a JSON string, in which only dates and times stand for something else.
    pub fn of_string(text: &str) -> Self {
        Self::temporal(text).unwrap_or(Self::Text)
    }

    /// The type of a JSON number.
    pub fn of_number(text: &[u8]) -> Self {
        Self::Number(Number::of(text).unwrap_or(Number::FLOAT))
    }

    /// The type that has the values of both.
    pub fn widen(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, any) | (any, Self::Unknown) => any,
            (Self::Number(a), Self::Number(b)) => Self::Number(a.widen(b)),
            (a, b) if a == b => a,
            _ => Self::Text,
        }
    }

    /// Its name in DuckDB; `None` for numbers that no type has.
    pub fn sql(self) -> Option<&'static str> {
        match self {
            Self::Boolean => Some("BOOLEAN"),
            Self::Number(number) => number.sql(),
            Self::Date => Some("DATE"),
            Self::Time => Some("TIME"),
            Self::Timestamp => Some("TIMESTAMP"),
            Self::TimestampTz => Some("TIMESTAMP WITH TIME ZONE"),
            Self::Unknown | Self::Text => Some("VARCHAR"),
        }
    }

    /// The type of an ISO 8601 date, time or timestamp.
    fn temporal(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.len() < 5 {
            return None;
        }
        if text.as_bytes()[2] == b':' {
            return time(text)?.is_empty().then_some(Self::Time);
        }
        let (date, rest) = text.split_at_checked(10)?;
        is_date(date).then_some(())?;
        if rest.is_empty() {
            return Some(Self::Date);
        }
        match time(rest.strip_prefix([' ', 'T'])?)? {
            "" => Some(Self::Timestamp),
            zone if is_zone(zone) => Some(Self::TimestampTz),
            _ => None,
        }
    }
}

// === impl Number ===

impl Number {
    const FLOAT: Self = Self { largest: Integer::Exact, is_float: true };

    /// Parses a number as JSON writes it: no leading zero, no plus sign.
    fn of(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (integer, rest) = digits.split_at(length);
        if integer.is_empty() || (integer.len() > 1 && integer[0] == b'0') {
            return None;
        }
        if rest.is_empty() {
            // "-0" is no integer: it would come back as 0.
            let is_float = integer == b"0" && text.len() > 1;
            return Some(Self { largest: Integer::of(integer), is_float });
        }
        is_fraction(rest).then_some(Self::FLOAT)
    }

    fn widen(self, other: Self) -> Self {
        Self { largest: self.largest.max(other.largest), is_float: self.is_float || other.is_float }
    }

    fn sql(self) -> Option<&'static str> {
        match (self.largest, self.is_float) {
            (Integer::Exact, true) => Some("DOUBLE"),
            (Integer::Exact | Integer::Big, false) => Some("BIGINT"),
            (Integer::Decimal, false) => Some("DECIMAL(38,0)"),
            _ => None,
        }
    }
}

// === impl Integer ===

impl Integer {
    fn of(digits: &[u8]) -> Self {
        match digits.len() {
            length if length < EXACT_IN_DOUBLE.len() => Self::Exact,
            length if length == EXACT_IN_DOUBLE.len() && digits <= EXACT_IN_DOUBLE => Self::Exact,
            // 2^63 has 19 digits.
            16..=18 => Self::Big,
            19..=DECIMAL_DIGITS => Self::Decimal,
            _ => Self::Larger,
        }
    }
}

/// Whether `text` is what may follow the integer digits of a number: `.5`, `e+10`, `.5E3`.
fn is_fraction(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let length = digits(exponent);
        return (1..=3).contains(&length) && length == exponent.len();
    }
    rest.is_empty()
}

fn is_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

fn is_special(text: &str) -> bool {
    ["nan", "inf", "infinity"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// `YYYY-MM-DD`, of a day that exists.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let (year, month, day) = (number(&text[..4]), number(&text[5..7]), number(&text[8..]));
    let (Some(year @ 1..), Some(month), Some(day)) = (year, month, day) else { return false };
    i32::try_from(year).is_ok_and(|year| NaiveDate::from_ymd_opt(year, month, day).is_some())
}

/// What follows `HH:MM:SS` with up to six digits of a fraction; `None` for another text.
fn time(text: &str) -> Option<&str> {
    let (clock, rest) = text.split_at_checked(8)?;
    let bytes = clock.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    NaiveTime::from_hms_opt(number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..])?)?;
    let Some(fraction) = rest.strip_prefix('.') else { return Some(rest) };
    let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
    (1..=6).contains(&length).then(|| &fraction[length..])
}

/// `Z`, `+HH`, `+HHMM` or `+HH:MM`.
fn is_zone(text: &str) -> bool {
    let Some(offset) = text.strip_prefix(['+', '-']) else { return text == "Z" };
    match offset.len() {
        2 | 4 => number(offset).is_some(),
        5 => offset.as_bytes()[2] == b':' && number(&offset[..2]).is_some() && number(&offset[3..]).is_some(),
        _ => false,
    }
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Option<&'static str> {
        texts.iter().map(|text| Scalar::of_text(text)).fold(Scalar::Unknown, Scalar::widen).sql()
    }

    #[test]
    fn a_column_has_the_type_that_keeps_all_values() {
        assert_eq!(of(&["1", "-2", "9223372036854775"]), Some("BIGINT"));
        assert_eq!(of(&["1", "9223372036854775808"]), Some("DECIMAL(38,0)"));
        assert_eq!(of(&["1", "2.5", "-3e-5", "nan"]), Some("DOUBLE"));
        assert_eq!(of(&["9007199254740993", "2.5"]), None);
        assert_eq!(of(&["9007199254740992", "2.5"]), Some("DOUBLE"));
        assert_eq!(of(&["007"]), Some("VARCHAR"));
        assert_eq!(of(&["+1"]), Some("VARCHAR"));
        assert_eq!(of(&["1", "N/A"]), Some("VARCHAR"));
        assert_eq!(of(&["true", "FALSE"]), Some("BOOLEAN"));
        assert_eq!(of(&["true", "1"]), Some("VARCHAR"));
        assert_eq!(of(&[]), Some("VARCHAR"));
    }

    #[test]
    fn dates_and_times_are_those_of_iso_8601() {
        assert_eq!(of(&["2024-02-29"]), Some("DATE"));
        assert_eq!(of(&["2023-02-29"]), Some("VARCHAR"));
        assert_eq!(of(&["01/02/2024"]), Some("VARCHAR"));
        assert_eq!(of(&["2024-02-29 23:59:59.123456", "2024-02-29T00:00:00"]), Some("TIMESTAMP"));
        assert_eq!(of(&["2024-02-29 23:59:59.1234567"]), Some("VARCHAR"));
        assert_eq!(of(&["2024-02-29T23:59:59Z", "2024-02-29T23:59:59+02:00"]), Some("TIMESTAMP WITH TIME ZONE"));
        assert_eq!(of(&["2024-02-29T23:59:59Z", "2024-02-29T23:59:59"]), Some("VARCHAR"));
        assert_eq!(of(&["23:59:59"]), Some("TIME"));
        assert_eq!(of(&["24:00:00"]), Some("VARCHAR"));
    }
}

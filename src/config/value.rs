//! Parsers for the values of settings, the same for flags, variables and the file.
//!
//! The error of a parser is a text that follows the origin: `expected …, got "…"`. Those of catalog and storage omit the
//! value, because a URI can contain a password.

use std::{fmt::Display, net::Ipv6Addr, num::NonZeroUsize, ops::RangeInclusive, path::PathBuf, str::FromStr};

use super::settings::{HostPort, Storage};
use crate::lake::catalog::Catalog;

/// The units of sizes, the longest first, so that `MB` is not parsed as `B`.
const UNITS: [(&str, u64); 9] = [
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

/// The levels of log directives; `tracing` also accepts numbers.
const LEVELS: [&str; 12] = ["off", "error", "warn", "info", "debug", "trace", "0", "1", "2", "3", "4", "5"];

/// The path of a directory.
pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    plain_path(text).ok_or_else(|| format!("expected the path of a directory (no URI, no \"~\"), got {text:?}"))
}

/// The path of a file.
pub(super) fn file(text: &str) -> Result<PathBuf, String> {
    plain_path(text).ok_or_else(|| format!("expected the path of a file (no URI, no \"~\"), got {text:?}"))
}

/// `HOST:PORT`, the host being a name, an IPv4 address or an IPv6 address in brackets.
pub(super) fn host_port(text: &str) -> Result<HostPort, String> {
    let parse = || {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|address| address.parse::<Ipv6Addr>().is_ok())?,
            None => Some(host).filter(|name| is_host_name(name))?,
        };
        Some(HostPort { host: host.to_owned(), port: port.parse().ok()? })
    };
    parse().ok_or_else(|| format!("expected HOST:PORT such as 127.0.0.1:31337 or [::1]:31337, got {text:?}"))
}

/// A plain path, `duckdb:PATH`, `sqlite:PATH` or a `PostgreSQL` URI.
pub(super) fn catalog(text: &str) -> Result<Catalog, String> {
    Catalog::parse(text).map_err(|err| err.message().to_owned())
}

/// A plain path, `file:///PATH` or `s3://BUCKET/PREFIX`.
pub(super) fn storage(text: &str) -> Result<Storage, String> {
    let storage = if let Some(location) = text.strip_prefix("s3://") {
        let (bucket, prefix) = location.split_once('/').unwrap_or((location, ""));
        let prefix = prefix.trim_matches('/');
        if !is_prefix(prefix) {
            return Err("expected s3://BUCKET/PREFIX with a prefix of ASCII letters, digits and -_.=/".to_owned());
        }
        is_bucket_name(bucket).then(|| Storage::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    } else if let Some(path) = text.strip_prefix("file://") {
        if path.contains('%') {
            return Err("escapes such as %20 are not supported in file URIs: use a plain path".to_owned());
        }
        path.starts_with('/').then(|| Storage::Local(path.into()))
    } else {
        plain_path(text).map(Storage::Local)
    };
    storage.ok_or_else(|| "expected a path, file:///PATH or s3://BUCKET/PREFIX (without credentials)".to_owned())
}

/// A size in bytes: a whole number above 0 with a unit, such as `8GB`, `8 GiB` or `512mb`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let parse = || {
        let (count, unit) = UNITS.iter().find_map(|(name, unit)| Some((upper.strip_suffix(name)?, unit)))?;
        count.trim_end().parse::<u64>().ok()?.checked_mul(*unit).filter(|bytes| *bytes > 0)
    };
    parse().ok_or_else(|| format!("expected a size such as 8GB, 8GiB or 512MB, got {text:?}"))
}

/// A whole number of at least 1.
pub(super) fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| format!("expected a whole number of at least 1, got {text:?}"))
}

/// A whole number in `range`; `noun` is its description in the error.
pub(super) fn whole_number<T>(text: &str, noun: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let (first, last) = (range.start(), range.end());
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("expected {noun} from {first} to {last}, got {text:?}"))
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("expected true or false, got {text:?}"))
}

/// A filter in the directive syntax of `tracing`. Validates the levels; the content of `[…]` is validated by `tracing`.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let is_directive = |directive: &str| match directive.trim().rsplit_once('=') {
        Some((target, level)) => !target.is_empty() && LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)),
        None => !directive.trim().is_empty(),
    };
    if text.contains('[') || text.split(',').all(is_directive) {
        return Ok(text.to_owned());
    }
    Err(format!("expected a filter such as info or warn,merganser=debug, got {text:?}"))
}

/// `text` as a path, unless it looks like a URI (`s3:…`) or starts with `~`, which only shells expand.
fn plain_path(text: &str) -> Option<PathBuf> {
    let is_path = !text.is_empty() && !text.starts_with('~') && !first_segment(text).contains(':');
    is_path.then(|| PathBuf::from(text))
}

/// The part before the first slash.
fn first_segment(text: &str) -> &str {
    text.split('/').next().unwrap_or(text)
}

/// Whether `text` has the characters of a host name or an IPv4 address.
fn is_host_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_'))
}

/// Whether `text` is a prefix that all stores and clients interpret alike: DuckDB treats some characters as patterns or
/// parameters, and HTTP normalizes `..`.
fn is_prefix(text: &str) -> bool {
    let sound = |part: &str| {
        !matches!(part, "" | "." | "..") && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.=".contains(c))
    };
    text.is_empty() || text.split('/').all(sound)
}

/// Whether `text` has the length and the characters of an S3 bucket name.
fn is_bucket_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || ".-".contains(letter);
    (3..=63).contains(&text.len()) && text.chars().all(is_letter)
}

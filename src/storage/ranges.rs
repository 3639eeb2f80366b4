//! Reading parts of objects: concurrently, with neighbouring parts in one request, and each byte once.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;

use super::store::{REQUESTS, Storage, location};
use crate::error::{Error, ErrorKind, Result};

/// Parts with a smaller gap than this are read in one request.
const MAX_GAP: u64 = 1 << 10;

/// A part of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// The path of the object.
    pub path: String,
    /// Its first byte and the one after its last; `None` for the whole object.
    pub bytes: Option<(u64, u64)>,
}

// === impl Part ===

impl Part {
    /// The number of its bytes; `None` if only the store knows it.
    pub fn length(&self) -> Option<u64> {
        self.bytes.map(|(start, end)| end - start)
    }
}

// === impl Storage ===

impl Storage {
    /// Reads parts of objects and returns their bytes in order. `answered` is called after each request, with the number of
    /// bytes that it received.
    ///
    /// # Errors
    /// `NotFound` for an object that does not exist; `InvalidArgument` for a part that the object does not have;
    /// `ResourceExhausted` for parts of more than `limit` bytes; Unavailable if the store does not respond.
    pub async fn read_parts(&self, parts: &[Part], limit: u64, answered: impl Fn(u64) + Sync) -> Result<Vec<Bytes>> {
        let mut wanted = BTreeMap::<&str, Wanted>::new();
        for part in parts {
            wanted.entry(&part.path).or_default().add(part.bytes);
        }
        let requests: Vec<_> = wanted
            .into_iter()
            .flat_map(|(path, wanted)| wanted.requests().map(move |range| (path.to_owned(), range)))
            .collect();
        let (received, returned) = (Budget::new(limit), Budget::new(limit));
        let (budget, answered) = (&received, &answered);
        let fetched = stream::iter(requests).map(|(path, range)| async move {
            let bytes = self.fetch(&path, range.clone(), budget).await?;
            answered(bytes.len() as u64);
            Ok::<_, Error>(((path, range.map_or(0, |range| range.start)), bytes))
        });
        let fetched: Fetched = fetched.buffer_unordered(REQUESTS).try_collect().await?;
        let parts = parts.iter().map(|part| cut(&fetched, part)).collect::<Result<Vec<_>>>()?;
        // What is repeated is received once.
        parts.iter().try_for_each(|part| returned.spend(part.len() as u64))?;
        Ok(parts)
    }

    async fn fetch(&self, path: &str, range: Option<Range<u64>>, budget: &Budget) -> Result<Bytes> {
        let read = async {
            let Some(range) = range else {
                let object = self.object_store().get(&location(path)?).await?;
                budget.spend(object.meta.size)?;
                return Ok(object.bytes().await?);
            };
            budget.spend(range.end - range.start)?;
            let bytes = self.object_store().get_range(&location(path)?, range.clone()).await?;
            let missing = (range.end - range.start).saturating_sub(bytes.len() as u64);
            if missing > 0 { Err(too_short(path)) } else { Ok(bytes) }
        };
        read.await.map_err(|err: Error| explain(err, path))
    }
}

/// How many bytes are left of a limit.
#[derive(Debug)]
struct Budget {
    left: AtomicU64,
    limit: u64,
}

// === impl Budget ===

impl Budget {
    fn new(limit: u64) -> Self {
        Self { left: AtomicU64::new(limit), limit }
    }

    fn spend(&self, bytes: u64) -> Result<()> {
        let left = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        left.map(|_| ()).map_err(|_| too_many_bytes(self.limit))
    }
}

/// The error for more than `limit` bytes at once.
fn too_many_bytes(limit: u64) -> Error {
    let text = format!("more than {} MiB would be read for one value: read it in parts, with read_range", limit >> 20);
    Error::new(ErrorKind::ResourceExhausted, text)
}

/// The message for an object that does not have a part.
fn too_short(path: &str) -> Error {
    Error::invalid(format!("\"{path}\" ends before the bytes that were asked for"))
}

fn explain(err: Error, path: &str) -> Error {
    match err.kind() {
        ErrorKind::NotFound => Error::not_found(format!("\"{path}\" does not exist")),
        ErrorKind::InvalidArgument => too_short(path),
        ErrorKind::ResourceExhausted => err,
        _ => err.context(format_args!("read \"{path}\"")),
    }
}

/// What was read, by the path and the first byte.
type Fetched = BTreeMap<(String, u64), Bytes>;

/// The bytes of a part, of those that were fetched.
fn cut(fetched: &Fetched, part: &Part) -> Result<Bytes> {
    let lost = || Error::internal("a part was not read");
    let Some((start, end)) = part.bytes else {
        return fetched.get(&(part.path.clone(), 0)).cloned().ok_or_else(lost);
    };
    if start == end {
        return Ok(Bytes::new());
    }
    let before = fetched.range((part.path.clone(), 0)..=(part.path.clone(), start)).next_back();
    let ((_, first), bytes) = before.ok_or_else(lost)?;
    let inside = |at: u64| usize::try_from(at - first).unwrap_or(usize::MAX);
    let range = inside(start)..inside(end);
    if range.end <= bytes.len() { Ok(bytes.slice(range)) } else { Err(too_short(&part.path)) }
}

/// What is wanted of an object.
#[derive(Debug, Default)]
struct Wanted {
    whole: bool,
    ranges: Vec<Range<u64>>,
}

// === impl Wanted ===

impl Wanted {
    fn add(&mut self, bytes: Option<(u64, u64)>) {
        match bytes {
            // Nothing to read.
            Some((start, end)) if start == end => {}
            Some((start, end)) => self.ranges.push(start..end),
            None => self.whole = true,
        }
    }

    /// The requests that cover it, in order.
    fn requests(self) -> impl Iterator<Item = Option<Range<u64>>> {
        let whole = self.whole.then_some(None);
        let ranges = if self.whole { Vec::new() } else { coalesce(self.ranges) };
        whole.into_iter().chain(ranges.into_iter().map(Some))
    }
}

/// The ranges in order, with neighbours in one.
fn coalesce(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut merged = Vec::<Range<u64>>::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(MAX_GAP) => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ranges: &[(u64, u64)], merged: &[(u64, u64)]) {
        let found = coalesce(ranges.iter().map(|(start, end)| *start..*end).collect());
        assert_eq!(found.into_iter().map(|range| (range.start, range.end)).collect::<Vec<_>>(), merged);
    }

    #[test]
    fn neighbours_are_read_together() {
        check(&[], &[]);
        check(&[(5, 9)], &[(5, 9)]);
        check(&[(10, 20), (0, 10)], &[(0, 20)]);
        check(&[(0, 10), (0, 10), (2, 5)], &[(0, 10)]);
        check(&[(0, 10), (10 + MAX_GAP, 5000)], &[(0, 5000)]);
        check(&[(0, 10), (11 + MAX_GAP, 5000)], &[(0, 10), (11 + MAX_GAP, 5000)]);
        check(&[(0, u64::MAX), (5, 6)], &[(0, u64::MAX)]);
    }
}

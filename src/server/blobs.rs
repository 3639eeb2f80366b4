//! Functions in SQL that read objects of the store: `read_object`, `read_range` and `fragment_bytes`.
//!
//! Only landings, assets and exports can be read: Parquet files of the lake and backups hold what its tables may not show.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::{
    engine::{BlobCall, BlobFunction, Connection, Reads},
    error::{Error, ErrorKind, Result},
    storage::{Part, Storage},
    telemetry::metrics,
};

/// How many bytes are read at once, unless a single row has more: each thread of DuckDB holds them two or three times.
const GROUP_BYTES: u64 = 16 << 20;
/// The same for whole objects that turn out to be larger than the ones before.
const MAX_GROUP_BYTES: u64 = 4 * GROUP_BYTES;
/// How many bytes a row may have.
const MAX_ROW_BYTES: u64 = 256 << 20;

/// What a row reads, in this order.
type Parts = Vec<Part>;

/// Registers the functions on an instance of DuckDB.
pub fn registrar(storage: &Storage) -> impl Fn(&Connection) -> Result<()> + Clone + Send + Sync + 'static {
    let reader = Arc::new(Reader { storage: storage.clone(), runtime: Handle::current() });
    move |connection| functions(&reader).into_iter().try_for_each(|function| connection.register_blobs(function))
}

fn functions(reader: &Arc<Reader>) -> [BlobFunction; 3] {
    let function = |name, numbers, parts: fn(&Reader, &BlobCall) -> Result<Parts>| {
        let reader = Arc::clone(reader);
        BlobFunction { name, numbers, read: Box::new(move |calls, reads| reader.read(calls, parts, reads)) }
    };
    [
        function("read_object", 0, |reader, call| Ok(vec![reader.object(&call.text)?])),
        function("read_range", 2, |reader, call| match call.numbers[..] {
            [offset, length] => Ok(vec![reader.range(&call.text, offset, length)?]),
            _ => Err(Error::internal("read_range has two numbers")),
        }),
        function("fragment_bytes", 3, |reader, call| match call.numbers[..] {
            [init_length, offset, length] => {
                Ok(vec![reader.range(&call.text, 0, init_length)?, reader.range(&call.text, offset, length)?])
            }
            _ => Err(Error::internal("fragment_bytes has three numbers")),
        }),
    ]
}

/// Reads objects for threads of DuckDB.
#[derive(Debug)]
struct Reader {
    storage: Storage,
    runtime: Handle,
}

// === impl Reader ===

impl Reader {
    /// The blobs of the first rows, each of the parts that `parts` gives.
    fn read(
        &self,
        calls: &[BlobCall],
        parts: fn(&Self, &BlobCall) -> Result<Parts>,
        reads: &Reads,
    ) -> Result<Vec<Bytes>> {
        let (mut rows, mut bytes) = (Vec::new(), 0_u64);
        for call in calls {
            let row = parts(self, call)?;
            let lengths = row.iter().map(|part| part.length().unwrap_or_else(|| expected_bytes(reads)));
            bytes = lengths.fold(bytes, u64::saturating_add);
            if bytes > GROUP_BYTES && !rows.is_empty() {
                break;
            }
            rows.push(row);
        }
        if rows.len() > 1 {
            match self.read_rows(&rows, MAX_GROUP_BYTES, reads) {
                Err(err) if err.kind() == ErrorKind::ResourceExhausted => rows.truncate(1),
                outcome => return outcome,
            }
        }
        self.read_rows(&rows, MAX_ROW_BYTES, reads)
    }

    fn read_rows(&self, rows: &[Parts], limit: u64, reads: &Reads) -> Result<Vec<Bytes>> {
        let answered = |bytes| {
            reads.add(bytes);
            metrics::object_read(bytes);
        };
        let parts = rows.concat();
        let read = self.storage.read_parts(&parts, limit, answered);
        let read = self.runtime.block_on(reads.unless_stopped(read))?;
        let objects = parts.iter().zip(&read).filter(|(part, _)| part.length().is_none());
        let (count, bytes) = objects.fold((0, 0), |(count, bytes), (_, read)| (count + 1, bytes + read.len() as u64));
        if let Some(mean) = bytes.checked_div(count) {
            reads.saw_objects_of(mean.max(1));
        }
        let mut read = read.into_iter();
        Ok(rows.iter().map(|row| join(read.by_ref().take(row.len()).collect())).collect())
    }

    fn object(&self, uri: &str) -> Result<Part> {
        Ok(Part { path: self.storage.readable(uri)?, bytes: None })
    }

    fn range(&self, uri: &str, offset: i64, length: i64) -> Result<Part> {
        let negative = || Error::invalid(format!("offset {offset} and length {length} must not be negative"));
        let start = u64::try_from(offset).map_err(|_| negative())?;
        let length = u64::try_from(length).map_err(|_| negative())?;
        Ok(Part { path: self.storage.readable(uri)?, bytes: Some((start, start + length)) })
    }
}

/// The size that a whole object probably has.
fn expected_bytes(reads: &Reads) -> u64 {
    match reads.object_bytes() {
        0 => GROUP_BYTES / 4,
        bytes => bytes,
    }
}

/// The parts of a row in one.
fn join(parts: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) => parts.concat().into(),
    }
}

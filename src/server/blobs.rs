//! Functions in SQL that read objects of the store: `read_object`, `read_range` and `fragment_bytes`.
//!
//! Only landings, assets and exports can be read: Parquet files of the lake and backups hold what its tables may not show.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::{
    engine::{BlobCall, BlobFunction, Connection},
    error::{Error, Result},
    storage::{self, Part, Storage},
    telemetry::metrics,
};

/// The folders whose objects can be read.
const FOLDERS: [&str; 3] = ["assets/", "exports/", "raw/"];

/// How many bytes the rows of a chunk may have together: DuckDB holds them all in memory.
const MAX_BYTES: u64 = 256 << 20;

/// Registers the functions on an instance of DuckDB.
pub fn registrar(storage: &Storage) -> impl Fn(&Connection) -> Result<()> + Clone + Send + Sync + 'static {
    let reader = Arc::new(Reader { storage: storage.clone(), runtime: Handle::current() });
    move |connection| functions(&reader).into_iter().try_for_each(|function| connection.register_blobs(function))
}

fn functions(reader: &Arc<Reader>) -> [BlobFunction; 3] {
    let function = |name, numbers, parts: fn(&Reader, &BlobCall) -> Result<Vec<Part>>| {
        let reader = Arc::clone(reader);
        BlobFunction { name, numbers, read: Box::new(move |calls| reader.read(calls, parts)) }
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
    /// The blobs of some rows, each of the parts that `parts` gives.
    fn read(&self, calls: &[BlobCall], parts: fn(&Self, &BlobCall) -> Result<Vec<Part>>) -> Result<Vec<Vec<u8>>> {
        let of_rows = calls.iter().map(|call| parts(self, call)).collect::<Result<Vec<_>>>()?;
        let all = of_rows.concat();
        let read = self.runtime.block_on(self.storage.read_parts(&all, MAX_BYTES))?;
        metrics::objects_read(read.requests, read.received);
        // What is repeated is received once, and copied for each row.
        if read.parts.iter().map(|part| part.len() as u64).sum::<u64>() > MAX_BYTES {
            return Err(storage::too_many_bytes(MAX_BYTES));
        }
        let mut parts = read.parts.into_iter();
        Ok(of_rows.iter().map(|row| parts.by_ref().take(row.len()).collect::<Vec<_>>().concat()).collect())
    }

    fn object(&self, uri: &str) -> Result<Part> {
        Ok(Part { path: self.path(uri)?, bytes: None })
    }

    fn range(&self, uri: &str, offset: i64, length: i64) -> Result<Part> {
        let negative = || Error::invalid(format!("offset {offset} and length {length} must not be negative"));
        let start = u64::try_from(offset).map_err(|_| negative())?;
        let length = u64::try_from(length).map_err(|_| negative())?;
        Ok(Part { path: self.path(uri)?, bytes: Some((start, start + length)) })
    }

    fn path(&self, uri: &str) -> Result<String> {
        let path = self.storage.path_of(uri).filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder)));
        path.ok_or_else(|| {
            Error::invalid(format!("\"{uri}\" is not the URI of an asset, a landed file or an export of this server"))
        })
    }
}

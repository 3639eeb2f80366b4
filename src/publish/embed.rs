//! Lists of media whose bytes become part of the rows.
//!
//! DuckDB would read the media of 2,048 rows at once; here they are read a few rows at a time.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, BinaryArray, RecordBatch, StringArray},
    datatypes::SchemaRef,
};
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::place::{Uris, is_on_the_web, media, placed};
use crate::{
    engine::BatchStream,
    error::{Error, ErrorKind, Result},
    storage::{Part, Storage},
};

/// How many rows are read at a time …
const ROWS: usize = 16;
/// … and how many bytes of media at most.
const MAX_BYTES: u64 = 1 << 30;

/// Puts the bytes of media into rows.
#[derive(Clone, Debug)]
pub struct Embedding {
    storage: Storage,
    /// The columns with lists of URIs.
    columns: Arc<BTreeSet<String>>,
}

/// Rows that are read, and those of the last batch that are left.
struct Left {
    rows: BatchStream,
    batch: Option<RecordBatch>,
}

// === impl Embedding ===

impl Embedding {
    /// Of the lists in `columns`.
    pub fn new(storage: Storage, columns: BTreeSet<String>) -> Self {
        Self { storage, columns: Arc::new(columns) }
    }

    /// Rows with the bytes of media in place of their URIs, in the form of `datasets`. What is on the web stays there.
    pub fn in_place(self, rows: BatchStream) -> BatchStream {
        if self.columns.is_empty() {
            return rows;
        }
        let schema = placed(&rows.schema(), &self.columns);
        let embedded = SchemaRef::clone(&schema);
        let pieces = stream::unfold(Left { rows, batch: None }, |mut left| async move {
            left.next().await.map(|piece| (piece, left))
        });
        let batches = pieces.then(move |piece| {
            let (embedding, schema) = (self.clone(), SchemaRef::clone(&embedded));
            async move { embedding.embed(&piece?, schema).await }
        });
        BatchStream::of(schema, batches.boxed())
    }

    async fn embed(&self, batch: &RecordBatch, schema: SchemaRef) -> Result<RecordBatch> {
        let mut columns = batch.columns().to_vec();
        for (column, field) in columns.iter_mut().zip(schema.fields()) {
            if self.columns.contains(field.name()) {
                *column = self.with_bytes(column).await?;
            }
        }
        RecordBatch::try_new(schema, columns).map_err(|err| Error::internal("put media in rows").with_source(err))
    }

    async fn with_bytes(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let uris = Uris::of(column)?;
        let mut read = vec![None; uris.texts.len()];
        for (at, bytes) in self.read(&uris.texts).await? {
            read[at] = Some(bytes);
        }
        let bytes: BinaryArray = read.iter().map(Option::as_deref).collect();
        let path = |uri: &str| match uri.rsplit_once('/') {
            Some((_, name)) if !is_on_the_web(uri) => name.to_owned(),
            _ => uri.to_owned(),
        };
        let paths: StringArray = uris.texts.iter().map(|uri| uri.map(path)).collect();
        Ok(uris.replaced(media(bytes, paths)))
    }

    /// The bytes of the objects among `uris`, with their places.
    async fn read(&self, uris: &StringArray) -> Result<Vec<(usize, Bytes)>> {
        let is_wanted = |at: &usize| uris.is_valid(*at) && !is_on_the_web(uris.value(*at));
        let places: Vec<_> = (0..uris.len()).filter(is_wanted).collect();
        let parts =
            places.iter().map(|at| Ok(Part { path: self.storage.readable_path(uris.value(*at))?, bytes: None }));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let read = self.storage.read_parts(&parts, MAX_BYTES, |_| {}).await.map_err(|err| match err.kind() {
            ErrorKind::ResourceExhausted => Error::new(
                ErrorKind::ResourceExhausted,
                format!("the media of {ROWS} rows have more than {} MiB: set \"media\" to upload", MAX_BYTES >> 20),
            ),
            _ => err,
        })?;
        Ok(places.into_iter().zip(read).collect())
    }
}

// === impl Left ===

impl Left {
    /// The next few rows.
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None => match self.rows.next().await? {
                Ok(batch) => batch,
                Err(err) => return Some(Err(err)),
            },
        };
        let taken = batch.num_rows().min(ROWS);
        if taken < batch.num_rows() {
            self.batch = Some(batch.slice(taken, batch.num_rows() - taken));
        }
        Some(Ok(batch.slice(0, taken)))
    }
}

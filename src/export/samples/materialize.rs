//! The bytes that rows of samples only refer to.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    path::PathBuf,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, BooleanArray, LargeBinaryBuilder, RecordBatch, StringBuilder},
    compute::{cast, concat_batches, filter_record_batch},
    datatypes::SchemaRef,
};
use bytes::Bytes;

use super::{
    super::{
        group::{Group, GroupLimits, Groups},
        request::Materialize,
    },
    columns::{BYTES, ERROR, REFERENCE, SampleColumns, SampleRows, texts},
    order::check_size,
    reference::Reference,
    tar_index::{self, Index},
};
use crate::{
    engine::BatchStream,
    error::{Error, ErrorKind, Result},
    storage::{Part, Storage},
};

/// How many rows are fetched at once, unless a single sample has more …
const WAVE_ROWS: usize = 64;
/// … and how many bytes, as far as the references say.
const WAVE_BYTES: u64 = 32 << 20;
/// The limit of what one wave may fetch.
const MAX_BYTES: u64 = 1 << 30;
/// Each sample by itself.
const SAMPLE: GroupLimits = GroupLimits { bytes: u64::MAX, rows: 1 };

/// Fetches bytes for the rows of a stream.
#[derive(Debug)]
pub struct Materializer {
    columns: SampleColumns,
    schema: SchemaRef,
    storage: Storage,
    staging: PathBuf,
    policy: Materialize,
    /// The rows of a sample that may have more; `None` at the end.
    groups: Option<Groups>,
    wave: Vec<RecordBatch>,
    wave_bytes: u64,
    ready: VecDeque<RecordBatch>,
    /// The tar file that was read last, and its members.
    tar: Option<(String, Result<Index, String>)>,
}

/// Where the bytes of a row are, or why that is not known.
type Place = Result<Part, String>;

// === impl Materializer ===

impl Materializer {
    /// For rows with the columns of `schema`, with temporary files in `staging`.
    ///
    /// # Errors
    /// `InvalidArgument` if a column is missing.
    pub fn new(schema: &SchemaRef, storage: &Storage, staging: PathBuf, policy: Materialize) -> Result<Self> {
        let columns = SampleColumns::of(schema)?;
        let columns = columns.filter(|columns| columns.bytes.is_some() && columns.reference.is_some());
        let columns = columns.ok_or_else(|| {
            Error::invalid(format!(
                "\"materialize\" is for interleaved samples: rows with sample_id, position, modality, {BYTES} and {REFERENCE}"
            ))
        })?;
        if policy == Materialize::Warn && columns.error.is_none() {
            return Err(Error::invalid(format!(
                "\"materialize\": warn writes the reasons into the column {ERROR}: add NULL::VARCHAR AS {ERROR} to the query"
            )));
        }
        Ok(Self {
            groups: Some(Groups::new(SAMPLE, Some(columns.sample))),
            columns,
            schema: Arc::clone(schema),
            storage: storage.clone(),
            staging,
            policy,
            wave: Vec::new(),
            wave_bytes: 0,
            ready: VecDeque::new(),
            tar: None,
        })
    }

    /// The next rows of `stream`, with their bytes.
    ///
    /// # Errors
    /// `FailedPrecondition` by the policy; errors of the stream and the store.
    pub async fn next(&mut self, stream: &mut BatchStream) -> Result<Option<RecordBatch>> {
        while self.ready.is_empty() {
            let Some(groups) = &mut self.groups else { return Ok(None) };
            if let Some(batch) = stream.next().await.transpose()? {
                let samples = groups.push(batch);
                check_size(groups)?;
                for sample in samples {
                    self.add(&sample).await?;
                }
            } else {
                let last = self.groups.take().and_then(Groups::finish);
                if let Some(sample) = last {
                    self.add(&sample).await?;
                }
                self.flush().await?;
            }
        }
        Ok(self.ready.pop_front())
    }

    async fn add(&mut self, sample: &Group) -> Result<()> {
        let batch = concat_batches(&self.schema, &sample.batches).map_err(|err| failed(&err))?;
        self.wave_bytes += sample.bytes;
        for reference in self.references(&batch)?.into_iter().flatten().flatten() {
            self.wave_bytes += reference.range().ok().flatten().map_or(0, |(start, end)| end - start);
        }
        self.wave.push(batch);
        let rows: usize = self.wave.iter().map(RecordBatch::num_rows).sum();
        if rows >= WAVE_ROWS || self.wave_bytes >= WAVE_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        let wave = mem::take(&mut self.wave);
        self.wave_bytes = 0;
        if wave.is_empty() {
            return Ok(());
        }
        let batch = concat_batches(&self.schema, &wave).map_err(|err| failed(&err))?;
        match self.materialize(&batch).await {
            // Whole files may be large, which only the store knows.
            Err(err) if err.kind() == ErrorKind::ResourceExhausted && wave.len() > 1 => {
                for sample in wave {
                    let sample = self.materialize(&sample).await?;
                    self.ready.push_back(sample);
                }
            }
            materialized => self.ready.push_back(materialized?),
        }
        self.ready.retain(|batch| batch.num_rows() > 0);
        Ok(())
    }

    /// What the rows without bytes refer to: `None` for one that needs nothing.
    fn references(&self, batch: &RecordBatch) -> Result<Vec<Option<Result<Reference, String>>>> {
        let column = |at: Option<usize>| at.map(|at| batch.column(at));
        let (Some(bytes), Some(references)) = (column(self.columns.bytes), column(self.columns.reference)) else {
            return Err(Error::internal("samples without the columns of references"));
        };
        let references = texts(references)?;
        let of = |row: usize| {
            let is_wanted = bytes.is_null(row) && references.is_valid(row);
            if is_wanted { Reference::parse(references.value(row)).transpose() } else { None }
        };
        Ok((0..batch.num_rows()).map(of).collect())
    }

    async fn materialize(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut places = Vec::with_capacity(batch.num_rows());
        for reference in self.references(batch)? {
            places.push(match reference {
                None => None,
                Some(Err(reason)) => Some(Err(reason)),
                Some(Ok(reference)) => Some(self.place(&reference).await?),
            });
        }
        let fetched = self.fetch(places).await?;
        let rows = self.columns.rows(batch)?;
        let kept = self.kept(&rows, &fetched)?;
        let batch = self.with_bytes(batch, &rows, &fetched)?;
        filter_record_batch(&batch, &kept).map_err(|err| failed(&err))
    }

    async fn place(&mut self, reference: &Reference) -> Result<Place> {
        let Some(uri) = &reference.path else { return Ok(Err("missing path".to_owned())) };
        if let Some(frame) = reference.frame_index {
            return Ok(Err(format!("failed to extract frame {frame} from \"{uri}\": frames are not extracted")));
        }
        let path = match self.storage.readable_path(uri) {
            Ok(path) => path,
            Err(err) => return Ok(Err(err.message().to_owned())),
        };
        let bytes = match reference.range() {
            Err(reason) => return Ok(Err(reason)),
            Ok(range) => range,
        };
        match &reference.member {
            Some(member) if bytes.is_none() => self.member(&path, member).await,
            _ => Ok(Ok(Part { path, bytes })),
        }
    }

    /// The place of a member of a tar file, whose headers are read once.
    async fn member(&mut self, path: &str, member: &str) -> Result<Place> {
        if self.tar.as_ref().is_none_or(|(last, _)| last != path) {
            let index = self.index(path).await?;
            self.tar = Some((path.to_owned(), index));
        }
        let Some((_, index)) = &self.tar else { return Err(Error::internal("a tar file was not read")) };
        Ok(match index {
            Err(reason) => Err(format!("failed to read path: {reason}")),
            Ok(members) => match members.get(member) {
                Some(bytes) => Ok(Part { path: path.to_owned(), bytes: Some(*bytes) }),
                None => Err(format!("missing member '{member}'")),
            },
        })
    }

    async fn index(&self, path: &str) -> Result<Result<Index, String>> {
        let spool = tempfile::tempdir_in(&self.staging)?;
        let file = match self.storage.local_path(path) {
            Some(file) => file,
            None => spool.path().join("tar"),
        };
        if file.starts_with(spool.path())
            && let Err(err) = self.storage.download(path, &file).await
        {
            return if is_of_the_row(&err) { Ok(Err(err.message().to_owned())) } else { Err(err) };
        }
        let read = tokio::task::spawn_blocking(move || tar_index::index(&file)).await;
        read.map_err(|err| Error::internal("read a tar file").with_source(err))
    }

    /// Fetches all at once; if something is not there, row by row, so that each has its own reason.
    async fn fetch(&self, places: Vec<Option<Place>>) -> Result<Vec<Option<Result<Bytes, String>>>> {
        let parts: Vec<_> = places.iter().flatten().flatten().cloned().collect();
        let mut all = match self.storage.read_parts(&parts, MAX_BYTES, |_| {}).await {
            Ok(all) => Some(all.into_iter()),
            Err(err) if is_of_the_row(&err) => None,
            Err(err) => return Err(err),
        };
        let mut fetched = Vec::with_capacity(places.len());
        for place in places {
            fetched.push(match place {
                None => None,
                Some(Err(reason)) => Some(Err(reason)),
                Some(Ok(part)) => Some(match &mut all {
                    Some(all) => all.next().ok_or_else(|| "it was not fetched".to_owned()),
                    None => self.fetch_alone(part).await?,
                }),
            });
        }
        Ok(fetched)
    }

    async fn fetch_alone(&self, part: Part) -> Result<Result<Bytes, String>> {
        let what = if part.bytes.is_some() { "range read error" } else { "failed to read path" };
        match self.storage.read_parts(&[part], MAX_BYTES, |_| {}).await {
            Ok(read) => Ok(read.into_iter().next().ok_or_else(|| "it was not fetched".to_owned())),
            Err(err) if is_of_the_row(&err) => Ok(Err(format!("{what}: {}", err.message()))),
            Err(err) => Err(err),
        }
    }

    /// Which rows stay, by the policy.
    fn kept(&self, rows: &SampleRows, fetched: &[Option<Result<Bytes, String>>]) -> Result<BooleanArray> {
        let failures = || fetched.iter().enumerate().filter(|(_, fetched)| matches!(fetched, Some(Err(_))));
        match self.policy {
            Materialize::Warn => Ok(BooleanArray::from(vec![true; fetched.len()])),
            Materialize::DropRow => Ok(fetched.iter().map(|fetched| Some(!matches!(fetched, Some(Err(_))))).collect()),
            Materialize::DropSample => {
                let dropped: HashSet<_> = failures().map(|(row, _)| rows.sample.value(row)).collect();
                Ok(rows.sample.iter().map(|sample| sample.map(|sample| !dropped.contains(sample))).collect())
            }
            Materialize::Error => match failures().next() {
                None => Ok(BooleanArray::from(vec![true; fetched.len()])),
                Some((row, failure)) => {
                    let reason = failure.as_ref().and_then(|failure| failure.as_ref().err()).map_or("", String::as_str);
                    let (count, sample) = (failures().count(), rows.sample.value(row));
                    Err(Error::precondition(format!(
                        "{count} of {} rows that were fetched together have no bytes, the first in sample \"{}\" at \
                         position {}: {reason}; set \"materialize\" to warn, drop_row or drop_sample to export the others",
                        fetched.iter().flatten().count(),
                        sample.chars().take(100).collect::<String>(),
                        rows.position.value(row)
                    )))
                }
            },
        }
    }

    /// `batch` with the bytes that were fetched, and the reasons of those that were not.
    fn with_bytes(
        &self,
        batch: &RecordBatch,
        rows: &SampleRows,
        fetched: &[Option<Result<Bytes, String>>],
    ) -> Result<RecordBatch> {
        let mut bytes = LargeBinaryBuilder::new();
        for (row, fetched) in fetched.iter().enumerate() {
            match fetched {
                Some(Ok(fetched)) => bytes.append_value(fetched),
                _ => bytes.append_option(rows.bytes.is_valid(row).then(|| rows.bytes.value(row))),
            }
        }
        let mut columns = batch.columns().to_vec();
        if let Some(at) = self.columns.bytes {
            columns[at] = in_type_of(batch.column(at), &(Arc::new(bytes.finish()) as ArrayRef))?;
        }
        if let Some(at) = self.columns.error {
            let before = texts(batch.column(at))?;
            let mut reasons = StringBuilder::new();
            for (row, fetched) in fetched.iter().enumerate() {
                reasons.append_option(match fetched {
                    None => before.is_valid(row).then(|| before.value(row)),
                    Some(outcome) => outcome.as_ref().err().map(String::as_str),
                });
            }
            columns[at] = in_type_of(batch.column(at), &(Arc::new(reasons.finish()) as ArrayRef))?;
        }
        RecordBatch::try_new(batch.schema(), columns).map_err(|err| failed(&err))
    }
}

/// Whether it is due to what a row refers to, and not to the store.
fn is_of_the_row(err: &Error) -> bool {
    matches!(err.kind(), ErrorKind::NotFound | ErrorKind::InvalidArgument)
}

fn in_type_of(column: &dyn Array, values: &ArrayRef) -> Result<ArrayRef> {
    cast(values, column.data_type()).map_err(|err| failed(&err))
}

fn failed(err: &arrow::error::ArrowError) -> Error {
    Error::internal("materialize rows").with_source(err.to_string())
}

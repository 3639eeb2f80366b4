//! WebDataset shards: tar files whose members `KEY.FIELD` with the same key, one after the other, are a sample.
//!
//! 1. Inspect: the names of all members give the fields; only small numbers are read.
//! 2. Read: the members of a sample are collected, and become a row.
//!
//! Members are grouped as the Python library webdataset does it: a sample ends with its shard, and a key that returns
//! later is another sample. Unlike there, hidden files (`._1.jpg` of macOS) are passed over, and links are refused.

mod field;
mod name;
mod rows;
#[cfg(test)]
mod tests;

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use self::{
    field::{Fields, is_integer},
    name::split,
    rows::{Rows, Sample, Value},
};
use super::tarball::{Member, MemberKind, Tarball, damaged};
use crate::error::{Context, Error, Result};

/// A longer number is read as text.
const MAX_INTEGER_BYTES: u64 = 64;
/// The limit of what a sample takes in memory.
const MAX_SAMPLE_BYTES: u64 = 1 << 30;

/// Shards with the columns that they have together.
#[derive(Debug)]
pub struct Shards {
    files: Vec<(PathBuf, String)>,
    fields: Fields,
    schema: SchemaRef,
}

// === impl Shards ===

impl Shards {
    /// Inspects tar files, possibly compressed with gzip. Each has a path, and a name relative to the source, which
    /// becomes `__url__`. Blocks. `check` receives the sizes of the members that were passed, possibly 0; its errors
    /// end the work.
    ///
    /// # Errors
    /// `InvalidArgument` for files that are no tar files, damaged, or have links, no samples, samples with a field
    /// twice, or more than 1000 fields; errors of `check`; I/O errors.
    pub fn inspect(files: Vec<(PathBuf, String)>, check: &mut dyn FnMut(u64) -> Result<()>) -> Result<Self> {
        let mut fields = Fields::default();
        for (path, name) in &files {
            inspect(path, &mut fields, check).context(|| format!("read \"{name}\""))?;
        }
        if fields.is_empty() {
            return Err(Error::invalid("the tar files have no samples: their members must be named KEY.FIELD"));
        }
        let schema = fields.schema();
        Ok(Self { files, fields, schema })
    }

    /// The columns: `__key__`, `__url__`, and the fields in the order in which they first occur.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Passes all samples to `each`, in batches of at most 64 rows and 32 MiB, unless a single one is larger. Blocks.
    ///
    /// # Errors
    /// `InvalidArgument` for text that is not UTF-8, samples above 1 GiB, and files that have changed since they were
    /// inspected; errors of `each`; I/O errors.
    pub fn read(self, each: &mut dyn FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let mut rows = Rows::new(&self.schema, self.fields.kinds(), each);
        for (path, name) in &self.files {
            self.read_shard(path, name, &mut rows).context(|| format!("read \"{name}\""))?;
        }
        rows.send()
    }

    fn read_shard(&self, path: &Path, url: &str, rows: &mut Rows<'_>) -> Result<()> {
        let mut tarball = Tarball::open(path)?;
        let mut sample: Option<Sample> = None;
        while let Some(member) = tarball.next(&mut || Ok(()))? {
            let Some((key, field)) = part(&member)? else { continue };
            let done = sample.take_if(|sample| sample.key != key);
            if let Some(done) = done {
                rows.push(url, done)?;
            }
            let sample = sample.get_or_insert_with(|| Sample::new(key, self.fields.len()));
            sample.bytes = sample.bytes.saturating_add(member.size);
            if sample.bytes > MAX_SAMPLE_BYTES {
                return Err(Error::invalid(format!("the sample \"{key}\" is larger than 1 GiB")));
            }
            let changed = || Error::invalid("it has changed while it was read; ingest it again");
            let index = self.fields.index_of(&field).ok_or_else(changed)?;
            let mut bytes = Vec::new();
            tarball.read_to_end(&mut bytes).map_err(damaged)?;
            if sample.values[index].replace(Value { path: member.name.clone(), bytes }).is_some() {
                return Err(changed());
            }
        }
        sample.map_or(Ok(()), |sample| rows.push(url, sample))
    }
}

/// Adds the fields of a shard.
fn inspect(path: &Path, fields: &mut Fields, check: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
    let mut tarball = Tarball::open(path)?;
    let (mut current, mut seen) = (None, Vec::new());
    while let Some(member) = tarball.next(&mut || check(0))? {
        check(member.size)?;
        let Some((key, field)) = part(&member)? else { continue };
        if current.as_deref() != Some(key) {
            current = Some(key.to_owned());
            seen.clear();
        }
        let index = fields.add(&field)?;
        if seen.contains(&index) {
            return Err(Error::invalid(format!("the sample \"{key}\" has the field \"{field}\" twice")));
        }
        seen.push(index);
        if fields.is_integer(index) {
            let mut text = Vec::new();
            (&mut tarball).take(MAX_INTEGER_BYTES + 1).read_to_end(&mut text).map_err(damaged)?;
            if text.len() as u64 > MAX_INTEGER_BYTES || !is_integer(&text) {
                fields.make_text(index);
            }
        }
    }
    Ok(())
}

/// The key and the field of a member; `None` if it is no part of a sample.
fn part(member: &Member) -> Result<Option<(&str, String)>> {
    let Some((key, field)) = split(&member.name) else { return Ok(None) };
    match member.kind {
        MemberKind::File => Ok(Some((key, field.to_lowercase()))),
        MemberKind::Folder => Ok(None),
        MemberKind::Other(kind) => {
            Err(Error::invalid(format!("\"{}\" is {kind}; samples consist of files", member.name)))
        }
    }
}

//! Samples back to rows.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::{Layout, name, sample::Sample};
use crate::error::{Error, ErrorKind, Result};

/// How many samples are one batch, unless they are large.
const BATCH_SAMPLES: usize = 1024;
const BATCH_BYTES: usize = 8 << 20;

/// Reads the rows of a file that was written for the columns of `schema`, until `each` returns false. Blocks.
///
/// # Errors
/// `DataLoss` for a file that was not written like this; I/O errors.
pub fn read(path: &Path, schema: &SchemaRef, each: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
    let layout = Layout::of(schema)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(1 << 20, File::open(path)?));
    let (mut samples, mut bytes) = (Vec::<Sample>::new(), 0);
    for entry in archive.entries()? {
        let mut entry = entry.map_err(|err| damaged(&err))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (key, field) = name::split(&name).ok_or_else(|| damaged(&"a member has no field"))?;
        if samples.last().is_none_or(|sample| sample.key != key) {
            if samples.len() >= BATCH_SAMPLES || bytes >= BATCH_BYTES {
                if !each(layout.read(&samples)?) {
                    return Ok(());
                }
                samples.clear();
                bytes = 0;
            }
            samples.push(Sample { key: key.to_owned(), ..Sample::default() });
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|err| damaged(&err))?;
        bytes += content.len();
        if let Some(sample) = samples.last_mut() {
            sample.fields.insert(field.to_owned(), content.into());
        }
    }
    if !samples.is_empty() {
        each(layout.read(&samples)?);
    }
    Ok(())
}

fn damaged(cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::DataLoss, "the tar file is not what was written").with_source(cause.to_string())
}

// === impl Layout ===

impl Layout {
    fn read(&self, samples: &[Sample]) -> Result<RecordBatch> {
        match self {
            Self::Interleaved(layout) => layout.read(samples),
            Self::Plain(layout) => layout.read(samples),
        }
    }
}

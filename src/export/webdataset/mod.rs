//! WebDataset: tar files whose members `KEY.FIELD` with one key, one after the other, are a sample.
//!
//! ```text
//! rows of interleaved samples ─▶ interleaved.rs: a sample each, its texts and rows as JSON, its bytes as members
//! other rows                  ─▶ plain.rs: each row a sample, BLOBs as members, the rest as JSON
//! ```
//!
//! What is written can be read back to the same rows: [`read`].

mod interleaved;
mod name;
mod plain;
mod read;
mod sample;

use std::{fmt, path::Path, sync::Arc};

use arrow::{compute::concat_batches, datatypes::SchemaRef};

use self::{interleaved::Interleaved, plain::Plain, sample::Member};
use super::{
    digest::{DigestFile, Written, failed},
    group::Group,
    json,
    request::Format,
};
use crate::error::Result;

pub use self::read::read;

/// A tar file is made of blocks: one for the header of a member, and those of its content.
const BLOCK: u64 = 512;

/// How rows become samples.
#[derive(Debug)]
enum Layout {
    Interleaved(Interleaved),
    Plain(Plain),
}

/// A tar file that is being written.
pub struct TarFile {
    schema: SchemaRef,
    layout: Layout,
    tar: tar::Builder<DigestFile>,
    /// The number of rows in earlier files.
    before: u64,
    rows: u64,
    bytes: u64,
}

/// The column whose equal values belong together: that of the samples.
///
/// # Errors
/// `InvalidArgument` for columns that samples cannot have.
pub fn together(schema: &SchemaRef) -> Result<Option<usize>> {
    Ok(match Layout::of(schema)? {
        Layout::Interleaved(layout) => Some(layout.sample_column()),
        Layout::Plain(_) => None,
    })
}

// === impl Layout ===

impl Layout {
    fn of(schema: &SchemaRef) -> Result<Self> {
        json::check(schema, Format::Webdataset)?;
        Ok(match Interleaved::of(schema)? {
            Some(interleaved) => Self::Interleaved(interleaved),
            None => Self::Plain(Plain::of(schema)?),
        })
    }
}

// === impl TarFile ===

impl TarFile {
    /// A new file at `path` for rows that follow `before` others.
    ///
    /// # Errors
    /// `InvalidArgument` for columns that samples cannot have; errors of the disk.
    pub fn create(path: &Path, schema: &SchemaRef, before: u64) -> Result<Self> {
        let layout = Layout::of(schema)?;
        let tar = tar::Builder::new(DigestFile::create(path)?);
        Ok(Self { schema: Arc::clone(schema), layout, tar, before, rows: 0, bytes: 0 })
    }

    /// Adds rows, which are whole samples.
    ///
    /// # Errors
    /// `InvalidArgument` for rows that cannot be a sample; errors of the disk.
    pub fn write(&mut self, group: &Group) -> Result<()> {
        let batch = concat_batches(&self.schema, &group.batches).map_err(|err| failed(&err))?;
        let (tar, bytes) = (&mut self.tar, &mut self.bytes);
        let mut add = |member: Member<'_>| append(tar, bytes, &member);
        match &mut self.layout {
            Layout::Interleaved(layout) => layout.write(&batch, &mut add)?,
            Layout::Plain(layout) => layout.write(&batch, self.before + self.rows, &mut add)?,
        }
        self.rows += group.rows as u64;
        Ok(())
    }

    /// The size so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the end, and syncs the file.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish(self) -> Result<Written> {
        self.tar.into_inner().map_err(|err| failed(&err))?.finish(self.rows)
    }
}

/// Adds a member with the same header each time: rows make the same files.
fn append(tar: &mut tar::Builder<DigestFile>, bytes: &mut u64, member: &Member<'_>) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(member.content.len() as u64);
    header.set_mode(0o444);
    header.set_mtime(0);
    *bytes += BLOCK + (member.content.len() as u64).next_multiple_of(BLOCK);
    tar.append_data(&mut header, &member.name, member.content).map_err(|err| failed(&err))
}

impl fmt::Debug for TarFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarFile").field("layout", &self.layout).field("rows", &self.rows).finish_non_exhaustive()
    }
}

//! The spool: newline-delimited JSON, one file per section.
//!
//! Several annotation files are appended to one spool, so that the engine reads each section once. Sections without rows
//! have no file; [`Spool::finish`] returns those that have.
//!
//! Categories belong to the data set rather than to a file: each id is written once, and two names for an id are an error.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Context, Error, Result};

use super::record::Category;

const BUFFER_BYTES: usize = 128 << 10;

/// The kind of a row. All rows of a section have the same fields; those with `?` may be null. All rows but those of
/// categories end with `split?, source_file`.
///
/// - images: `id, file_name, width?, height?, license?, date_captured?, coco_url?, flickr_url?`
/// - annotations: `id?, image_id, category_id?, bbox? (4 numbers), area?, iscrowd?, segmentation? (JSON text),
///   num_keypoints?, keypoints? (JSON text)`
/// - captions: `id?, image_id, caption?`
/// - categories: `id, name, supercategory?`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Images.
    Images,
    /// Objects in images.
    Annotations,
    /// Captions of images.
    Captions,
    /// The classes of objects.
    Categories,
}

/// Rows of COCO files to be read by the engine. They are complete after [`Spool::finish`] only.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// The files by section, in the order of [`Section::ALL`].
    files: [Option<SpoolFile>; Section::ALL.len()],
    /// The categories in the spool, by id.
    categories: HashMap<i64, KnownCategory>,
}

/// The rows of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpooledSection {
    /// The section.
    pub section: Section,
    /// The newline-delimited JSON file.
    pub path: PathBuf,
    /// The number of lines, at least 1.
    pub rows: u64,
}

#[derive(Debug)]
struct SpoolFile {
    out: BufWriter<File>,
    rows: u64,
}

#[derive(Debug)]
struct KnownCategory {
    name: String,
    source_file: String,
}

// === impl Section ===

impl Section {
    /// All sections.
    pub const ALL: [Self; 4] = [Self::Images, Self::Annotations, Self::Captions, Self::Categories];

    /// The name of the section's file in the spool's folder.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Images => "images.ndjson",
            Self::Annotations => "annotations.ndjson",
            Self::Captions => "captions.ndjson",
            Self::Categories => "categories.ndjson",
        }
    }
}

// === impl Spool ===

impl Spool {
    /// An empty spool in `folder`, which must exist and contain no other spool.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), files: [const { None }; Section::ALL.len()], categories: HashMap::new() }
    }

    /// Flushes all files and returns the sections that have rows.
    ///
    /// # Errors
    ///
    /// I/O errors, such as `ResourceExhausted` if the disk is full.
    pub fn finish(self) -> Result<Vec<SpooledSection>> {
        let mut sections = Vec::new();
        for (section, file) in Section::ALL.into_iter().zip(self.files) {
            let Some(SpoolFile { mut out, rows }) = file else {
                continue;
            };
            out.flush().context(|| writing(section))?;
            sections.push(SpooledSection { section, path: self.folder.join(section.file_name()), rows });
        }
        Ok(sections)
    }

    pub(super) fn append(&mut self, section: Section, row: &impl Serialize) -> Result<()> {
        self.try_append(section, row).context(|| writing(section))
    }

    /// Appends a category of the file `source_file`, unless the spool contains it.
    pub(super) fn append_category(&mut self, category: &Category, source_file: &str) -> Result<()> {
        let Category { id, name, .. } = category;
        if let Some(known) = self.categories.get(id) {
            if known.name == *name {
                return Ok(());
            }
            return Err(Error::invalid(format!(
                "category {id} is \"{name}\" here and \"{}\" in \"{}\"",
                known.name, known.source_file
            )));
        }
        let known = KnownCategory { name: name.clone(), source_file: source_file.to_owned() };
        self.categories.insert(*id, known);
        self.append(Section::Categories, category)
    }

    fn try_append(&mut self, section: Section, row: &impl Serialize) -> std::io::Result<()> {
        let slot = &mut self.files[section as usize];
        let file = match slot {
            Some(file) => file,
            None => slot.insert(SpoolFile::create(self.folder.join(section.file_name()))?),
        };
        serde_json::to_writer(&mut file.out, row)?;
        file.out.write_all(b"\n")?;
        file.rows += 1;
        Ok(())
    }
}

fn writing(section: Section) -> String {
    format!("write \"{}\"", section.file_name())
}

// === impl SpoolFile ===

impl SpoolFile {
    fn create(path: PathBuf) -> std::io::Result<Self> {
        let file = File::create_new(path)?;
        Ok(Self { out: BufWriter::with_capacity(BUFFER_BYTES, file), rows: 0 })
    }
}

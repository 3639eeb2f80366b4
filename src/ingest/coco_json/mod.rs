//! Streaming conversion of COCO annotation files to newline-delimited JSON.
//!
//! `instances_train2017.json` is a single JSON object of 450 MB, too large for the engine's JSON reader. This module parses
//! such a file once and writes each element of its sections as a row with a fixed set of fields, so that the engine can read
//! the rows with explicit column types. It accesses the given file and the folder of the [`Spool`] only, and is independent
//! of tables.
//!
//! 1. `detect` inspects the sections and their first elements: whether the file is COCO, and of which kind.
//! 2. `read` parses the sections in any order, with one element in memory at a time.
//! 3. Each element is validated and appended to the spool.
//! 4. At the end, the image of every annotation must have been listed.
//!
//! Memory grows with the number of images only: an id per image, and an entry per image that is referenced before it is
//! listed. After an error the spool contains rows of the file and must be dropped.
//!
//! Limits: an image that is listed twice yields two rows; the panoptic format is not supported.

mod detect;
mod lenient;
mod record;
mod references;
mod spool;

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};
use crate::ingest::name::split_in;

use lenient::Lenient;
use record::{Annotation, Caption, Category, Element, Image, Position};
use references::References;

pub use detect::detect;
pub use spool::{Section, Spool};

const BUFFER_BYTES: usize = 256 << 10;

/// The kinds of COCO files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CocoKind {
    /// Boxes, segmentations or keypoints of objects; also a list of images without annotations.
    Instances,
    /// Captions of images.
    Captions,
    /// A top-level array of `{image_id, caption}`, the output format of captioning models.
    CaptionResults,
}

/// The result of reading a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CocoFile {
    /// The kind of the file.
    pub kind: CocoKind,
    /// The file name without its folder, as stored in the rows.
    pub source_file: String,
    /// The split stored in the rows.
    pub split: Option<String>,
    /// The number of image rows.
    pub images: u64,
    /// The number of annotation rows.
    pub annotations: u64,
    /// The number of caption rows.
    pub captions: u64,
    /// The number of categories in the file, including those already in the spool.
    pub categories: u64,
}

/// The state of reading one file.
struct Reader<'a> {
    spool: &'a mut Spool,
    file: CocoFile,
    at: Position,
    /// The sections read so far.
    seen: Vec<SectionName>,
    references: References,
    /// An error to return after the JSON parser, which cannot carry it, was stopped.
    failure: Option<Error>,
}

/// The top-level value of a file.
struct TopLevel<'a, 'b>(&'a mut Reader<'b>);

/// An array, whose elements are processed one by one.
struct Elements<'a, 'b, T> {
    reader: &'a mut Reader<'b>,
    take: fn(&mut Reader<'b>, &T) -> Result<()>,
}

/// A row: the fields of the element, and its origin.
#[derive(Serialize)]
struct SpooledRow<'a, T> {
    #[serde(flatten)]
    element: &'a T,
    split: Option<&'a str>,
    source_file: &'a str,
}

/// The names of the sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum SectionName {
    Images,
    Annotations,
    Categories,
    #[serde(other)]
    Other,
}

/// Reads the COCO file at `path` and appends its rows to `spool`. Without a `split`, it is derived from the file name if that
/// contains the word `train`, `val` or `test`.
///
/// # Errors
///
/// `InvalidArgument` if the file is empty, malformed, not COCO, or references an image that it does not list, with the file
/// and the location; I/O errors of reading and writing.
pub fn read(path: &Path, split: Option<&str>, spool: &mut Spool) -> Result<CocoFile> {
    let source_file = file_name(path);
    let doing = format!("read annotations \"{source_file}\"");
    let file = CocoFile {
        kind: CocoKind::Instances,
        split: split.or_else(|| split_in(&source_file)).map(ToOwned::to_owned),
        source_file,
        images: 0,
        annotations: 0,
        captions: 0,
        categories: 0,
    };
    Reader::new(file, spool).read(path).context(|| doing)
}

fn open(path: &Path) -> Result<impl BufRead + use<>> {
    let bytes = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    Ok(BufReader::with_capacity(BUFFER_BYTES, Lenient::new(bytes)))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn json_error(err: serde_json::Error, at: &Position) -> Error {
    if err.is_io() {
        return std::io::Error::from(err).into();
    }
    Error::invalid(format!("{at}{err}"))
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn new(file: CocoFile, spool: &'a mut Spool) -> Self {
        Self {
            spool,
            file,
            at: Position::default(),
            seen: Vec::new(),
            references: References::default(),
            failure: None,
        }
    }

    fn read(mut self, path: &Path) -> Result<CocoFile> {
        let mut bytes = open(path)?;
        let is_blank = bytes.fill_buf()?.iter().all(u8::is_ascii_whitespace);
        let mut json = serde_json::Deserializer::from_reader(bytes);
        let outcome = TopLevel(&mut self).deserialize(&mut json).and_then(|()| json.end());
        if let Some(err) = self.failure.take() {
            return Err(err);
        }
        match outcome {
            Err(err) if err.is_eof() && is_blank => Err(Error::invalid("the file is empty")),
            Err(err) => Err(json_error(err, &self.at)),
            Ok(()) => self.finish(),
        }
    }

    fn finish(mut self) -> Result<CocoFile> {
        if self.file.kind == CocoKind::CaptionResults {
            return Ok(self.file);
        }
        if self.seen.contains(&SectionName::Images) {
            self.references.check()?;
        } else if !self.seen.contains(&SectionName::Annotations) {
            return Err(Error::invalid("not a COCO file: it has neither \"images\" nor \"annotations\""));
        }
        if self.file.captions > 0 && self.file.annotations == 0 {
            self.file.kind = CocoKind::Captions;
        }
        Ok(self.file)
    }

    fn begin_section(&mut self, name: SectionName) -> Result<()> {
        if name == SectionName::Other {
            return Ok(());
        }
        if self.seen.contains(&name) {
            return Err(Error::invalid(format!("the section \"{}\" appears twice", name.text())));
        }
        self.seen.push(name);
        self.at.enter(name.text());
        Ok(())
    }

    fn take_image(&mut self, image: &Image) -> Result<()> {
        self.references.note_image(image.id);
        self.file.images += 1;
        self.spool.append(Section::Images, &SpooledRow::new(image, &self.file))
    }

    fn take_annotation(&mut self, annotation: &Annotation) -> Result<()> {
        if annotation.is_panoptic() {
            let at = &self.at;
            return Err(Error::invalid(format!("{at}\"segments_info\" is of the panoptic format, which is not read")));
        }
        self.references.note_annotation(annotation.image_id, annotation.id, self.at.index());
        let caption = annotation.caption();
        if caption.is_none() || annotation.is_drawn() {
            self.file.annotations += 1;
            self.spool.append(Section::Annotations, &SpooledRow::new(annotation, &self.file))?;
        }
        caption.map_or(Ok(()), |caption| self.take_caption(&caption))
    }

    fn take_caption(&mut self, caption: &Caption) -> Result<()> {
        self.file.captions += 1;
        self.spool.append(Section::Captions, &SpooledRow::new(caption, &self.file))
    }

    fn take_category(&mut self, category: &Category) -> Result<()> {
        self.file.categories += 1;
        self.spool.append_category(category, &self.file.source_file)
    }

    /// Stores `failure` and stops the parser.
    fn stop<E: de::Error>(&mut self, failure: Error) -> E {
        self.failure = Some(failure);
        E::custom("stopped")
    }
}

// === impl TopLevel ===

impl<'de> DeserializeSeed<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"images\" and \"annotations\" or an array of captions")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut sections: A) -> Result<(), A::Error> {
        let Self(reader) = self;
        while let Some(name) = sections.next_key()? {
            if let Err(err) = reader.begin_section(name) {
                return Err(reader.stop(err));
            }
            match name {
                SectionName::Images => sections.next_value_seed(Elements { reader, take: Reader::take_image })?,
                SectionName::Annotations => {
                    sections.next_value_seed(Elements { reader, take: Reader::take_annotation })?;
                }
                SectionName::Categories => {
                    sections.next_value_seed(Elements { reader, take: Reader::take_category })?;
                }
                SectionName::Other => {
                    sections.next_value::<IgnoredAny>()?;
                }
            }
            reader.at.leave();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, results: A) -> Result<(), A::Error> {
        let Self(reader) = self;
        reader.file.kind = CocoKind::CaptionResults;
        Elements { reader, take: Reader::take_caption }.visit_seq(results)
    }
}

// === impl Elements ===

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Elements<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { reader, take } = self;
        for index in 0.. {
            reader.at.begin_element(index);
            let Some(row) = elements.next_element_seed(Element::new(&mut reader.at))? else {
                break;
            };
            take(reader, &row).map_err(|err| reader.stop(err))?;
        }
        Ok(())
    }
}

// === impl SpooledRow ===

impl<'a, T> SpooledRow<'a, T> {
    fn new(element: &'a T, file: &'a CocoFile) -> Self {
        Self { element, split: file.split.as_deref(), source_file: &file.source_file }
    }
}

// === impl SectionName ===

impl SectionName {
    fn text(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Annotations => "annotations",
            Self::Categories => "categories",
            Self::Other => "",
        }
    }
}

#[cfg(test)]
mod tests;

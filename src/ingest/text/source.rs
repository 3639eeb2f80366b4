//! Text files as UTF-8: decompressed, decoded, without a byte order mark.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use encoding_rs::{Encoding, UTF_8};
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::read::MultiGzDecoder;

use crate::error::{Context, Error, Result};

const BUFFER_BYTES: usize = 256 << 10;
/// Bytes that are inspected for the encoding.
const HEAD_BYTES: u64 = 1024;

/// A file of text.
#[derive(Clone, Debug)]
pub(super) struct TextFile {
    pub path: PathBuf,
    /// The path relative to the source, for messages and rows.
    pub name: String,
}

/// A place in a file that could not be read as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line of the record, from 1.
    pub line: u64,
    pub reason: String,
}

/// The encoding with this name, such as `latin1`, `utf-16le` or `windows-1250`.
///
/// # Errors
/// `InvalidArgument` for an unknown name.
pub fn encoding(label: &str) -> Result<&'static Encoding> {
    Encoding::for_label(label.as_bytes()).ok_or_else(|| {
        Error::invalid(format!(
            "\"{label}\" is not a known encoding; use a name of the WHATWG Encoding Standard, such as utf-8, utf-16le, \
             latin1 or windows-1252"
        ))
    })
}

// === impl TextFile ===

impl TextFile {
    /// Opens the file. Without an `encoding` it is UTF-8, or what its byte order mark says.
    ///
    /// # Errors
    /// `InvalidArgument` for UTF-16 without a byte order mark; I/O errors.
    pub fn open(&self, encoding: Option<&'static Encoding>) -> Result<impl BufRead + use<>> {
        if encoding.is_none() {
            self.check_head()?;
        }
        let decoded = DecodeReaderBytesBuilder::new()
            .encoding(encoding.filter(|encoding| *encoding != UTF_8))
            .bom_override(true)
            .strip_bom(true)
            .utf8_passthru(true)
            .build(self.bytes()?);
        Ok(BufReader::with_capacity(BUFFER_BYTES, decoded))
    }

    /// In UTF-16, every other byte of Western text is zero, which is valid UTF-8 as well.
    fn check_head(&self) -> Result<()> {
        let mut head = Vec::new();
        self.bytes()?.take(HEAD_BYTES).read_to_end(&mut head).context(|| format!("read \"{}\"", self.name))?;
        let has_mark = head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF]);
        let (high, low) = (zeros(&head, 0), zeros(&head, 1));
        if has_mark || high.max(low) * 4 < head.len() {
            return Ok(());
        }
        let encoding = if high > low { "utf-16be" } else { "utf-16le" };
        Err(Error::invalid(format!(
            "read \"{}\": it looks like UTF-16 without a byte order mark; set \"encoding\": \"{encoding}\"",
            self.name
        )))
    }

    /// Whether its name is that of a file of tab-separated values.
    pub fn is_tsv(&self) -> bool {
        let path = if is_compressed(&self.path) { self.path.with_extension("") } else { self.path.clone() };
        has_extension(&path, "tsv")
    }

    fn bytes(&self) -> Result<Box<dyn Read>> {
        let file = File::open(&self.path).context(|| format!("read \"{}\"", self.name))?;
        Ok(if is_compressed(&self.path) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
    }

    /// A fault in this file as an error.
    pub fn error(&self, fault: &Fault, remedy: &str) -> Error {
        let Fault { line, reason } = fault;
        Error::invalid(format!("read \"{}\", line {line}: {reason}{remedy}", self.name))
    }
}

/// The number of zero bytes at even or odd places.
fn zeros(bytes: &[u8], start: usize) -> usize {
    bytes.iter().skip(start).step_by(2).filter(|byte| **byte == 0).count()
}

fn is_compressed(path: &Path) -> bool {
    has_extension(path, "gz")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

//! The members of a tar file, possibly compressed with gzip.
//!
//! The crate `tar` decodes the headers. Its iterator is not used: it reads long names and PAX records of any size into
//! memory, which a few compressed bytes can claim, and takes the end of an incomplete file for the end of the archive.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use encoding_rs::WINDOWS_1252;
use flate2::bufread::MultiGzDecoder;
use tar::Header;

use crate::error::{Error, Result};

const BLOCK_BYTES: usize = 512;
const BUFFER_BYTES: usize = 64 << 10;
/// The most that the headers of one member may take.
const MAX_HEADER_BYTES: u64 = 1 << 20;
const MAX_NAME_BYTES: usize = 4096;

/// A tar file that is read from its beginning to its end. Reading from it gives the contents of the current member.
pub(super) struct Tarball {
    source: Source,
    /// What is not read yet of the current member.
    left: u64,
    /// What follows it to fill its last block.
    padding: u64,
}

enum Source {
    Plain { file: BufReader<File>, left: u64 },
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

/// A member of a tar file.
#[derive(Debug)]
pub(super) struct Member {
    /// As the archive has it; without control characters.
    pub name: String,
    pub kind: MemberKind,
    /// The size of its contents in bytes.
    pub size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    File,
    Folder,
    /// What has no contents of its own, in words: "a symbolic link".
    Other(&'static str),
}

/// What headers say about the header after them.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    /// The name in a PAX record counts more than another one.
    pax_name: Option<Vec<u8>>,
    size: Option<u64>,
    is_sparse: bool,
}

/// Why `err` occurred while an archive was read: the disk, or the archive.
pub(super) fn damaged(err: io::Error) -> Error {
    if err.raw_os_error().is_some() {
        return err.into();
    }
    Error::invalid(format!("it is damaged or incomplete: {err}; get it again")).with_source(err)
}

fn incomplete() -> Error {
    damaged(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early"))
}

// === impl Tarball ===

impl Tarball {
    /// Opens the file at `path`; whether it is compressed is told by its first bytes.
    ///
    /// # Errors
    /// I/O errors.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let left = file.metadata()?.len();
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        let is_gzip = file.fill_buf()?.starts_with(&[0x1F, 0x8B]);
        let source =
            if is_gzip { Source::Gzip(Box::new(MultiGzDecoder::new(file))) } else { Source::Plain { file, left } };
        Ok(Self { source, left: 0, padding: 0 })
    }

    /// The next member; `None` at the end of the archive. `check` is called repeatedly, to cancel.
    ///
    /// # Errors
    /// `InvalidArgument` for a file that is no tar file, a damaged or incomplete one; errors of `check`; I/O errors.
    pub fn next(&mut self, check: &mut dyn FnMut() -> Result<()>) -> Result<Option<Member>> {
        let mut extension = Extension::default();
        let mut header_bytes = 0_u64;
        loop {
            self.skip(check)?;
            let header = self.header()?;
            if header.as_bytes().iter().all(|byte| *byte == 0) {
                self.end(check)?;
                return Ok(None);
            }
            check_sum(&header)?;
            let size = header.entry_size().map_err(damaged)?;
            let kind = header.as_bytes()[156];
            if !matches!(kind, b'x' | b'X' | b'g' | b'L' | b'K') {
                return self.member(&header, extension, size).map(Some);
            }
            header_bytes = header_bytes.saturating_add(size).saturating_add(BLOCK_BYTES as u64);
            if header_bytes > MAX_HEADER_BYTES {
                return Err(Error::invalid("the headers of a member are larger than 1 MiB"));
            }
            self.expect(size);
            match kind {
                b'x' | b'X' => extension.read(&self.rest()?)?,
                b'L' => extension.name = Some(until_zero(self.rest()?)),
                // The target of a link, and records for all members, of which none is needed here.
                _ => {}
            }
        }
    }

    fn member(&mut self, header: &Header, extension: Extension, size: u64) -> Result<Member> {
        let name = extension.pax_name.or(extension.name).unwrap_or_else(|| header.path_bytes().into_owned());
        let name = String::from_utf8(name).unwrap_or_else(|err| WINDOWS_1252.decode(err.as_bytes()).0.into_owned());
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            let shown: String = name.escape_debug().take(200).collect();
            return Err(Error::invalid(format!(
                "\"{shown}\" is not a valid name of a member: names have 1 to 4096 bytes, and no control characters"
            )));
        }
        let kind = if extension.is_sparse { MemberKind::Other("a sparse file") } else { kind(header, &name) };
        // By POSIX, the size of a folder is not that of contents.
        let has_contents = header.as_bytes()[156] != b'5';
        let size = if has_contents { extension.size.unwrap_or(size) } else { 0 };
        self.expect(size);
        Ok(Member { name, kind, size })
    }

    fn expect(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK_BYTES as u64 - size % BLOCK_BYTES as u64) % BLOCK_BYTES as u64;
    }

    /// All of the current member that is not read yet; only for sizes that were checked.
    fn rest(&mut self) -> Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.read_to_end(&mut rest).map_err(damaged)?;
        Ok(rest)
    }

    fn header(&mut self) -> Result<Header> {
        let mut header = Header::new_old();
        self.source.read_exact(header.as_mut_bytes()).map_err(damaged)?;
        Ok(header)
    }

    /// Passes over what is not read of the current member.
    fn skip(&mut self, check: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        check()?;
        let bytes = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        self.source.skip(bytes, check)
    }

    /// Reads to the end of the file, for the checksum of gzip, and to find an archive that was appended to another one.
    fn end(&mut self, check: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            check()?;
            match self.source.read(&mut buffer).map_err(damaged)? {
                0 => return Ok(()),
                read if buffer[..read].iter().all(|byte| *byte == 0) => {}
                _ => return Err(Error::invalid("data follows the end of the archive; use one archive per file")),
            }
        }
    }
}

impl Read for Tarball {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.source.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early"));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

// === impl Source ===

impl Source {
    fn skip(&mut self, bytes: u64, check: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        match self {
            Self::Plain { file, left } => {
                *left = left.checked_sub(bytes).ok_or_else(incomplete)?;
                Ok(file.seek_relative(i64::try_from(bytes).map_err(|_| incomplete())?)?)
            }
            Self::Gzip(decoder) => {
                let mut bytes = decoder.take(bytes);
                let mut buffer = vec![0; BUFFER_BYTES];
                while bytes.limit() > 0 {
                    check()?;
                    if bytes.read(&mut buffer).map_err(damaged)? == 0 {
                        return Err(incomplete());
                    }
                }
                Ok(())
            }
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain { file, left } => {
                let read = file.read(buffer)?;
                *left = left.saturating_sub(read as u64);
                Ok(read)
            }
            Self::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

// === impl Extension ===

impl Extension {
    /// Takes over PAX records: `LENGTH KEY=VALUE\n`, where the length is that of the whole record.
    fn read(&mut self, mut records: &[u8]) -> Result<()> {
        while records.first().is_some_and(|byte| *byte != 0) {
            let (key, value, rest) = record(records).ok_or_else(|| Error::invalid("a PAX record is damaged"))?;
            match key {
                b"path" => self.pax_name = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(|| Error::invalid("the size in a PAX record is not a number"))?);
                }
                _ => self.is_sparse |= key.starts_with(b"GNU.sparse."),
            }
            records = rest;
        }
        Ok(())
    }
}

/// The key and the value of the first record, and the records after it.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&records[..space]).ok()?.parse().ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn until_zero(mut name: Vec<u8>) -> Vec<u8> {
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(length);
    name
}

fn check_sum(header: &Header) -> Result<()> {
    let bytes = header.as_bytes();
    // The checksum itself counts as spaces.
    let others = bytes[..148].iter().chain(&bytes[156..]);
    let sum = others.map(|byte| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
    if header.cksum().is_ok_and(|expected| expected == sum) {
        return Ok(());
    }
    Err(Error::invalid("it is not a tar file, or damaged: the checksum of a header is wrong"))
}

fn kind(header: &Header, name: &str) -> MemberKind {
    match header.as_bytes()[156] {
        // Old archives have folders as files whose names end so.
        0 | b'0' | b'7' if name.ends_with('/') => MemberKind::Folder,
        0 | b'0' | b'7' => MemberKind::File,
        b'5' => MemberKind::Folder,
        b'1' => MemberKind::Other("a hard link"),
        b'2' => MemberKind::Other("a symbolic link"),
        b'3' | b'4' => MemberKind::Other("a device"),
        b'6' => MemberKind::Other("a named pipe"),
        b'S' => MemberKind::Other("a sparse file"),
        _ => MemberKind::Other("of an unknown type"),
    }
}

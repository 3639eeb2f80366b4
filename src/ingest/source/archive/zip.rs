//! Zip files.
//!
//! The list of entries at the end of the file is read twice: the whole archive is checked before anything is written.
//! The crate `rawzip` reads it entry by entry, and shows entries of equal names and where the data of each lies, which
//! the crate `zip` hides.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::{Crc, bufread::DeflateDecoder};
use rawzip::{
    CompressionMethod, FileReader, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ZipArchive, ZipFileHeaderRecord,
    extra_fields::ExtraFieldId,
};

use super::{name::place, target::Target};
use crate::error::{Context, Error, Result};

const BUFFER_BYTES: usize = 64 << 10;

/// The characters 128 to 255 of IBM's code page 437, the encoding of names that are not UTF-8.
const CP437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
                     αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Unpacks the zip file at `archive`.
///
/// # Errors
/// As [`unpack`](super::unpack).
pub(super) fn unpack(archive: &Path, target: &mut Target<'_>) -> Result<()> {
    let mut buffer = vec![0; MAX_CENTRAL_DIRECTORY_RECORD_SIZE];
    let archive = ZipArchive::from_file(File::open(archive)?, &mut buffer).map_err(damaged)?;
    check(&archive, &mut buffer, target)?;
    let mut entries = archive.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        target.check()?;
        let name = name(&entry);
        if let Some(path) = wanted(&entry, &name)? {
            write(&archive, &entry, &path, target).context(|| format!("entry \"{name}\""))?;
        }
    }
    Ok(())
}

/// Checks all entries, their number, their total size, and that no two of them share data.
fn check(archive: &ZipArchive<FileReader>, buffer: &mut [u8], target: &mut Target<'_>) -> Result<()> {
    let mut places = Vec::new();
    let mut bytes = 0_u64;
    let mut entries = archive.entries(buffer);
    while let Some(entry) = entries.next_entry().map_err(damaged)? {
        target.check()?;
        target.count()?;
        let name = name(&entry);
        if wanted(&entry, &name)?.is_some() {
            bytes = bytes.saturating_add(entry.uncompressed_size_hint());
            target.check_bytes(bytes)?;
        }
        let (_, end) = archive.get_entry(entry.wayfinder()).map_err(damaged)?.compressed_data_range();
        places.push((entry.local_header_offset(), end));
    }
    let (found, expected) = (places.len() as u64, archive.entries_hint());
    // Old writers count modulo 65536.
    if found != expected && found % 65536 != expected {
        return Err(Error::invalid(format!("it is damaged: it lists {found} entries instead of {expected}")));
    }
    places.push((archive.directory_offset(), u64::MAX));
    places.sort_unstable();
    if places.windows(2).any(|pair| pair[0].1 > pair[1].0) {
        return Err(Error::invalid("it is damaged or malicious: entries overlap"));
    }
    Ok(())
}

/// Where an entry goes; `None` for folders and hidden files.
fn wanted(entry: &ZipFileHeaderRecord<'_>, name: &str) -> Result<Option<PathBuf>> {
    let Some(path) = place(name)? else { return Ok(None) };
    if entry.is_dir() {
        return Ok(None);
    }
    let refused = |why: String| Err(Error::unsupported(format!("entry \"{name}\": {why}")));
    let flags = entry.flags();
    if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
        return refused("it is encrypted; decrypt the archive, and pack it without a password".to_owned());
    }
    let method = entry.compression_method();
    if !matches!(method, CompressionMethod::STORE | CompressionMethod::DEFLATE) {
        return refused(format!("its compression method {method} is not supported; pack it with deflate"));
    }
    match entry.mode().value() & 0o170_000 {
        0 | 0o100_000 => Ok(Some(path)),
        0o040_000 => Ok(None),
        kind => {
            let kind = if kind == 0o120_000 { "a symbolic link" } else { "a special file" };
            Err(Error::invalid(format!("entry \"{name}\": it is {kind}; only files are unpacked")))
        }
    }
}

fn write(
    archive: &ZipArchive<FileReader>,
    entry: &ZipFileHeaderRecord<'_>,
    path: &Path,
    target: &mut Target<'_>,
) -> Result<()> {
    let found = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
    let data = BufReader::with_capacity(BUFFER_BYTES, found.reader());
    let contents: Box<dyn Read + '_> = match entry.compression_method() {
        CompressionMethod::STORE => Box::new(data),
        _ => Box::new(DeflateDecoder::new(data)),
    };
    // Compares size and checksum with those of the list.
    target.write(path, &mut found.verifying_reader(contents))
}

/// The name of an entry: the Unicode name that goes with the other one, UTF-8 whether it is marked so or not (macOS
/// does not), or code page 437.
fn name<'a>(entry: &'a ZipFileHeaderRecord<'_>) -> Cow<'a, str> {
    let raw = entry.file_path().as_bytes();
    if let Some(name) = unicode_name(entry, raw) {
        return Cow::Borrowed(name);
    }
    match std::str::from_utf8(raw) {
        Ok(_) => String::from_utf8_lossy(raw),
        Err(_) => raw.iter().map(|byte| cp437(*byte)).collect::<String>().into(),
    }
}

/// The name in Info-ZIP's extra field, if it is that of the name `raw`: version 1, checksum, name.
fn unicode_name<'a>(entry: &'a ZipFileHeaderRecord<'_>, raw: &[u8]) -> Option<&'a str> {
    let mut fields = entry.extra_fields();
    let (_, field) = fields.find(|(id, _)| *id == ExtraFieldId::INFO_ZIP_UNICODE_PATH)?;
    let (checksum, name) = field.strip_prefix(&[1])?.split_first_chunk()?;
    let mut crc = Crc::new();
    crc.update(raw);
    if crc.sum() == u32::from_le_bytes(*checksum) { std::str::from_utf8(name).ok() } else { None }
}

fn cp437(byte: u8) -> char {
    let high = usize::from(byte).checked_sub(128);
    high.and_then(|index| CP437.chars().nth(index)).unwrap_or(char::from(byte))
}

/// Why `err` occurred: the disk, or the archive.
fn damaged(err: rawzip::Error) -> Error {
    match err.into_kind() {
        rawzip::ErrorKind::IO(err) => crate::ingest::tarball::damaged(err),
        rawzip::ErrorKind::MissingEndOfCentralDirectory => {
            Error::invalid("it is not a zip file, or incomplete; get it again")
        }
        kind => Error::invalid(format!("it is damaged: {kind}; get it again")),
    }
}

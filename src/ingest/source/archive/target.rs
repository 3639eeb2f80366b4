//! The folder that an archive is unpacked into.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::{
    error::{Error, ErrorKind, Result},
    ingest::tarball::damaged,
};

/// What an archive may unpack to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The size of all files in bytes.
    pub max_bytes: u64,
    /// The number of entries and folders.
    pub max_entries: u64,
}

const BUFFER_BYTES: usize = 256 << 10;
/// An archive that unpacks to more than this times its size is made to fill the disk: deflate reaches 1032, and sparse
/// tables about 500.
const MAX_RATIO: u64 = 1000;
/// The ratio does not matter up to this size.
const MIN_BOMB_BYTES: u64 = 1 << 30;

/// A new folder, and what was written to it.
pub(super) struct Target<'a> {
    folder: &'a Path,
    limits: Limits,
    /// More bytes than this are not plausible for the size of the archive.
    plausible_bytes: u64,
    bytes: u64,
    entries: u64,
    buffer: Vec<u8>,
    check: &'a mut dyn FnMut(u64) -> Result<()>,
}

// === impl Target ===

impl<'a> Target<'a> {
    /// Writes to the empty `folder` what an archive of `archive_bytes` contains.
    pub fn new(
        folder: &'a Path,
        limits: Limits,
        archive_bytes: u64,
        check: &'a mut dyn FnMut(u64) -> Result<()>,
    ) -> Self {
        let plausible_bytes = archive_bytes.saturating_mul(MAX_RATIO).max(MIN_BOMB_BYTES);
        Self { folder, limits, plausible_bytes, bytes: 0, entries: 0, buffer: vec![0; BUFFER_BYTES], check }
    }

    /// Lets the caller cancel.
    pub fn check(&mut self) -> Result<()> {
        (self.check)(0)
    }

    /// Counts an entry or folder.
    ///
    /// # Errors
    /// `ResourceExhausted` if there are too many.
    pub fn count(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.max_entries {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!("it has more than {} entries", self.limits.max_entries),
            ));
        }
        Ok(())
    }

    /// Checks whether `bytes` may be written in all.
    ///
    /// # Errors
    /// `ResourceExhausted` if they do not fit; `InvalidArgument` if the archive is too small for so many.
    pub fn check_bytes(&self, bytes: u64) -> Result<()> {
        if bytes > self.limits.max_bytes {
            let most = self.limits.max_bytes;
            return Err(Error::new(ErrorKind::ResourceExhausted, format!("it unpacks to more than {most} bytes")));
        }
        if bytes > self.plausible_bytes {
            return Err(Error::invalid(format!("it unpacks to more than {MAX_RATIO} times its size")));
        }
        Ok(())
    }

    /// Writes `contents` to the file at `path`, which is relative to the folder.
    ///
    /// # Errors
    /// `InvalidArgument` if another entry has the path, or contents that cannot be read; those of the limits; I/O
    /// errors.
    pub fn write(&mut self, path: &Path, contents: &mut dyn Read) -> Result<()> {
        let mut file = self.create(path)?;
        loop {
            let read = match contents.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                Err(err) => return Err(damaged(err)),
            };
            self.bytes += read as u64;
            self.check_bytes(self.bytes)?;
            file.write_all(&self.buffer[..read])?;
            (self.check)(read as u64)?;
        }
    }

    /// Opens a new file, and makes the folders that it needs.
    fn create(&mut self, path: &Path) -> Result<File> {
        let file = self.folder.join(path);
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o644).open(&file);
        match open() {
            Err(err) if err.kind() == io::ErrorKind::NotFound => {
                self.make_folders(path.parent().unwrap_or(Path::new("")))?;
                open().map_err(twice)
            }
            outcome => outcome.map_err(twice),
        }
    }

    fn make_folders(&mut self, path: &Path) -> Result<()> {
        let mut folder = self.folder.to_path_buf();
        for part in path {
            folder.push(part);
            match fs::create_dir(&folder) {
                Ok(()) => self.count()?,
                // What is below it is refused if it is not a folder.
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(err) => return Err(twice(err)),
            }
        }
        Ok(())
    }
}

/// The folder was empty, and nobody else writes to it: what is in the way is another entry.
fn twice(err: io::Error) -> Error {
    match err.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            Error::invalid("another entry has this name, or that of one of its folders")
        }
        _ => err.into(),
    }
}

//! Files whose SHA-256 is computed while they are written.

use std::{
    error::Error as StdError,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use crate::error::{Context, Error, Result};

/// A file that is being written.
#[derive(Debug)]
pub struct DigestFile {
    file: BufWriter<Hashing>,
}

#[derive(Debug)]
struct Hashing {
    file: File,
    digest: Sha256,
    bytes: u64,
}

/// A file that was written and synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its number of rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

// === impl DigestFile ===

impl DigestFile {
    /// A new file at `path`.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::options().write(true).create_new(true).open(path).context(|| "write a file of an export")?;
        let hashing = Hashing { file, digest: Sha256::new(), bytes: 0 };
        Ok(Self { file: BufWriter::with_capacity(1 << 20, hashing) })
    }

    /// Syncs the file, which has `rows` rows.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish(self, rows: u64) -> Result<Written> {
        let Hashing { file, digest, bytes } = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(Written { rows, bytes, sha256: format!("{:x}", digest.finalize()) })
    }
}

impl Write for DigestFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// An error of a library that writes files: that of the disk, if it is one.
pub fn failed(err: &(dyn StdError + 'static)) -> Error {
    let mut cause = Some(err);
    while let Some(at) = cause {
        if let Some(code) = at.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return Error::from(io::Error::from_raw_os_error(code)).context("write a file of an export");
        }
        cause = at.source();
    }
    Error::internal("write a file of an export").with_source(err.to_string())
}

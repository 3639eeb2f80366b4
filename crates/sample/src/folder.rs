//! The folder that is written: the only place that touches the file system.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::error::{Error, Result};

/// Makes the folder of a data set; refuses to mix the sample with what is there.
pub(super) fn prepare(folder: &Path) -> Result<()> {
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Error::NotEmpty { folder: folder.to_owned() });
            }
            Ok(())
        }
        Err(err) if err.kind() == ErrorKind::NotFound => make(folder),
        Err(err) => Err(failed(folder, err)),
    }
}

/// Makes a folder, and those above it.
pub(super) fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|err| failed(folder, err))
}

/// Writes a file; gives its size in bytes.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<u64> {
    fs::write(path, bytes).map_err(|err| failed(path, err))?;
    Ok(bytes.len() as u64)
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Io { doing: format!("write sample to \"{}\"", path.display()), source }
}

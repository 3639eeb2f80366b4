//! Archives: zip and tar files, unpacked into a folder.
//!
//! Nothing that an archive says is trusted: entries are written only below the folder, only as plain files, each once,
//! and never more of them than the limits allow. Modes, owners, times and empty folders are dropped, and so are hidden
//! files, as in folders that are read. Archives within archives stay as they are.

mod name;
mod target;
mod tar;
mod zip;
#[cfg(test)]
mod tests;

use std::{fs, path::Path};

pub use self::target::Limits;
use self::target::Target;
use crate::error::{Context, Error, Result};

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stored or deflated entries, possibly zip64.
    Zip,
    /// A tar file, possibly compressed with gzip.
    Tar,
}

/// The formats by file name extension. A tar file that is not compressed is one of samples (`webdataset`).
const ENDINGS: &[(&str, Kind)] = &[(".zip", Kind::Zip), (".tar.gz", Kind::Tar), (".tgz", Kind::Tar)];

/// The format of an archive by its name; `None` for other files.
pub fn kind(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, kind)| *kind)
}

/// Unpacks `archive` into the folder `into`, which is made, and removed again after an error. Blocks. `check` receives
/// the number of bytes that were written since its last call, possibly 0; its errors end the work.
///
/// # Errors
/// `AlreadyExists` if there is something at `into`; `InvalidArgument` for damaged and malicious archives; Unsupported
/// for encrypted entries and unknown compression; `ResourceExhausted` above a limit; errors of `check`; I/O errors.
pub fn unpack(
    archive: &Path,
    kind: Kind,
    into: &Path,
    limits: Limits,
    check: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    unpack_as(archive, kind, into, limits, check).context(|| format!("unpack \"{name}\""))
}

fn unpack_as(
    archive: &Path,
    kind: Kind,
    into: &Path,
    limits: Limits,
    check: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let archive_bytes = fs::metadata(archive)?.len();
    make_new(into)?;
    let mut target = Target::new(into, limits, archive_bytes, check);
    let outcome = match kind {
        Kind::Zip => zip::unpack(archive, &mut target),
        Kind::Tar => tar::unpack(archive, &mut target),
    };
    if outcome.is_err()
        && let Err(err) = fs::remove_dir_all(into)
    {
        tracing::warn!(cause = %err, "cannot remove the files of a failed unpacking");
    }
    outcome
}

fn make_new(folder: &Path) -> Result<()> {
    use std::io::ErrorKind::AlreadyExists;
    fs::create_dir(folder).map_err(|err| match err.kind() {
        AlreadyExists => Error::new(crate::error::ErrorKind::AlreadyExists, "the folder to unpack into exists"),
        _ => err.into(),
    })
}

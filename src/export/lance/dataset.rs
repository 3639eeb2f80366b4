//! The files of a dataset.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::super::record::ExportedFile;
use crate::error::{Error, Result};

/// The dataset within an export.
pub const FOLDER: &str = "data.lance";
/// The folder with the manifest, which is the commit of a dataset.
const VERSIONS: &str = "_versions";

/// Syncs all files and folders: Lance itself does not.
///
/// # Errors
/// Errors of the disk.
pub fn sync(folder: &Path) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() { sync(&path)? } else { File::open(&path)?.sync_all()? }
    }
    Ok(File::open(folder)?.sync_all()?)
}

/// The files of the dataset in `folder`, the manifest last, with all `rows`.
///
/// # Errors
/// Internal if there is not one manifest; errors of the disk.
pub fn files(folder: &Path, rows: u64) -> Result<Vec<ExportedFile>> {
    let mut found = Vec::new();
    collect(folder, FOLDER, &mut found)?;
    let is_manifest =
        |file: &ExportedFile| Path::new(&file.path).parent().is_some_and(|parent| parent.ends_with(VERSIONS));
    let (manifests, mut files): (Vec<_>, Vec<_>) = found.into_iter().partition(is_manifest);
    let [manifest] = <[ExportedFile; 1]>::try_from(manifests)
        .map_err(|found| Error::internal(format!("a new Lance dataset has {} manifests", found.len())))?;
    files.push(ExportedFile { rows, ..manifest });
    Ok(files)
}

fn collect(folder: &Path, path: &str, found: &mut Vec<ExportedFile>) -> Result<()> {
    for entry in entries(&folder.join(path))? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = format!("{path}/{name}");
        if entry.is_dir() {
            collect(folder, &path, found)?;
        } else {
            let (bytes, sha256) = digest(&entry)?;
            found.push(ExportedFile { path, rows: 0, bytes, sha256 });
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

fn digest(file: &Path) -> Result<(u64, String)> {
    let (mut file, mut digest, mut bytes) = (File::open(file)?, Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((bytes, format!("{:x}", digest.finalize())));
        }
        digest.update(&buffer[..count]);
        bytes += count as u64;
    }
}

//! The files of a dataset.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::super::record::ExportedFile;
use crate::{
    error::{Error, Result},
    storage::{Copied, Storage},
};

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
pub async fn files(folder: &Path, rows: u64) -> Result<Vec<ExportedFile>> {
    let mut paths = Vec::new();
    collect(folder, FOLDER, &mut paths)?;
    let is_manifest = |path: &String| Path::new(path).parent().is_some_and(|parent| parent.ends_with(VERSIONS));
    let (manifests, data): (Vec<_>, Vec<_>) = paths.into_iter().partition(is_manifest);
    if manifests.len() != 1 {
        return Err(Error::internal(format!("a new Lance dataset has {} manifests", manifests.len())));
    }
    let mut files = Vec::new();
    for path in data.into_iter().chain(manifests) {
        let Copied { bytes, sha256 } = Storage::checksum(&folder.join(&path)).await?;
        files.push(ExportedFile { path, rows: 0, bytes, sha256 });
    }
    if let Some(manifest) = files.last_mut() {
        manifest.rows = rows;
    }
    Ok(files)
}

fn collect(folder: &Path, path: &str, found: &mut Vec<String>) -> Result<()> {
    for entry in entries(&folder.join(path))? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = format!("{path}/{name}");
        if entry.is_dir() {
            collect(folder, &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

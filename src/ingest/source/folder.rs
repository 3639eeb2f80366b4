//! Files on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Error, Result},
    ingest::format::{Format, format_of, format_of_all},
};

/// The files of a source.
#[derive(Clone, Debug)]
pub struct Files {
    /// The folder that paths are relative to.
    pub root: PathBuf,
    /// The format of the data files.
    pub format: Format,
    /// The data files, sorted.
    pub data: Vec<PathBuf>,
    /// All other files; for COCO, they include the images.
    pub others: Vec<PathBuf>,
}

/// The files at `path`, a file or a folder that errors call `shown`.
///
/// # Errors
/// `NotFound` if it does not exist; `InvalidArgument` for an empty file, and for a folder with no data files or with data
/// files of several formats.
pub(super) async fn files(path: PathBuf, shown: String) -> Result<Files> {
    let found = tokio::task::spawn_blocking(move || files_at(&path, &shown)).await;
    found.map_err(|err| Error::internal("read source").with_source(err))?
}

fn files_at(path: &Path, shown: &str) -> Result<Files> {
    let metadata = fs::metadata(path).context(|| format!("read source \"{shown}\""))?;
    let (root, all) = if metadata.is_dir() {
        let mut all = Vec::new();
        collect(path, &mut all)?;
        all.sort();
        (path.to_path_buf(), all)
    } else {
        (path.parent().unwrap_or(Path::new("/")).to_path_buf(), vec![path.to_path_buf()])
    };
    let is_folder = metadata.is_dir();
    // Clips beside tables belong to the tables.
    let has_tables = all.iter().any(|file| format_of(file).is_some_and(|format| format != Format::Video));
    let is_data = |file: &PathBuf| format_of(file).is_some_and(|format| format != Format::Video || !has_tables);
    let (data, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_data);
    for file in &data {
        if fs::metadata(file)?.len() == 0 {
            let name = file.strip_prefix(&root).unwrap_or(file).display();
            return Err(Error::invalid(format!("read source \"{shown}\": \"{name}\" is empty")));
        }
    }
    let format = format_of_all(shown, &data, is_folder)?;
    Ok(Files { root, format, data, others })
}

/// All files below `folder`, except hidden ones and those behind symbolic links.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).context(|| format!("read source \"{}\"", folder.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

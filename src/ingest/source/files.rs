//! The files that an ingest reads.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::splits;
use crate::{
    error::{Context, Error, Result},
    ingest::{
        format::{Format, format_of, format_of_all, is_metadata, media_folder, media_of},
        frames,
    },
};

/// The files of a source.
#[derive(Clone, Debug)]
pub struct Files {
    /// The folder that paths are relative to.
    pub root: PathBuf,
    /// The format of the data files.
    pub format: Format,
    /// The data files, sorted by name.
    pub data: Vec<DataFile>,
    /// All other files; of COCO and frame folders, they include the images.
    pub others: Vec<PathBuf>,
}

/// A file with rows or clips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its path within the source.
    pub name: String,
    /// The split that the source assigns to it.
    pub split: Option<String>,
    /// Where it is.
    pub content: Content,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// On this machine.
    Here(PathBuf),
    /// In an earlier landing.
    Landed {
        /// Its path in the store.
        path: String,
        /// Its size.
        bytes: u64,
        /// Its SHA-256, in hexadecimal digits.
        sha256: String,
    },
}

/// What is known of the files of a source before they are looked at.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The folder that paths are relative to.
    pub root: PathBuf,
    /// Whether the source is a folder, not a single file.
    pub is_folder: bool,
    /// The paths of all items within the source, if it is not on this machine.
    pub items: HashSet<String>,
    /// The files that are here.
    pub paths: Vec<PathBuf>,
    /// Files that need not be here, and the format of the data set that they belong to.
    pub kept: Option<(Format, Vec<DataFile>)>,
    /// The splits of files, by their path within the source.
    pub splits: HashMap<String, String>,
}

// === impl Files ===

impl Files {
    /// The files that were found for a source that errors call `shown`.
    ///
    /// # Errors
    /// `InvalidArgument` for an empty file, and if there are no data files, or data files of several formats.
    pub async fn of(found: Found, shown: String) -> Result<Self> {
        let files = tokio::task::spawn_blocking(move || sort(found, &shown)).await;
        files.map_err(|err| Error::internal("read source").with_source(err))?
    }

    /// Some of the files: those for which `is_wanted`, which is called with the number of each.
    #[must_use]
    pub fn only(&self, is_wanted: impl Fn(usize) -> bool) -> Self {
        let data = self.data.iter().enumerate().filter(|(index, _)| is_wanted(*index));
        Self { data: data.map(|(_, file)| file.clone()).collect(), ..self.clone() }
    }
}

/// What identifies files below `root`: their names, sizes and times.
///
/// # Errors
/// Errors of the disk.
pub fn tag_of(root: &Path, files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        let metadata = fs::metadata(file)?;
        let name = file.strip_prefix(root).unwrap_or(file).display();
        hash.update(format!("{name}\0{}\0{:?}\n", metadata.len(), metadata.modified()?));
    }
    Ok(format!("{:x}", hash.finalize()))
}

// === impl DataFile ===

impl DataFile {
    /// Its path on this machine.
    ///
    /// # Errors
    /// Internal if it is not here.
    pub fn path(&self) -> Result<&Path> {
        match &self.content {
            Content::Here(path) => Ok(path),
            Content::Landed { .. } => Err(Error::internal(format!("\"{}\" was not fetched", self.name))),
        }
    }
}

// === impl Found ===

impl Found {
    /// What is at `path`, a file or a folder that errors call `shown`.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    pub async fn at(path: PathBuf, shown: &str) -> Result<Self> {
        let walking = tokio::task::spawn_blocking(move || walk(&path)).await;
        let found = walking.map_err(|err| Error::internal("read source").with_source(err))?;
        found.context(|| format!("read source \"{shown}\""))
    }
}

fn walk(path: &Path) -> Result<Found> {
    if !fs::metadata(path)?.is_dir() {
        let root = path.parent().unwrap_or(Path::new("/")).to_path_buf();
        return Ok(Found { root, paths: vec![path.to_path_buf()], ..Found::default() });
    }
    let mut paths = Vec::new();
    collect(path, &mut paths)?;
    Ok(Found { root: path.to_path_buf(), is_folder: true, paths, ..Found::default() })
}

/// The format of files, those with data, and the others.
type Sorted = (Format, Vec<PathBuf>, Vec<PathBuf>);

/// Tells data files from others.
fn sort(found: Found, shown: &str) -> Result<Files> {
    let Found { root, is_folder, paths: mut all, kept, splits, .. } = found;
    let (kept_format, kept) = kept.map_or((None, Vec::new()), |(format, kept)| (Some(format), kept));
    all.sort();
    let sequences = match kept_format {
        None if is_folder && !all.iter().any(|file| format_of(file).is_some()) => frames::sequences(&root, &all),
        _ => Vec::new(),
    };
    let folder = match kept_format {
        Some(format) => Some(format).filter(|format| format.is_media_folder()),
        None if is_folder && sequences.is_empty() => media_folder(shown, &all)?,
        None => None,
    };
    let (format, data, others) = match sequences.as_slice() {
        [] => sort_by_names(&root, all, kept_format, folder, is_folder, shown)?,
        sequences => {
            let (data, others) = all.into_iter().partition(|file| frames::is_described(file, sequences));
            (Format::Frames, data, others)
        }
    };
    let here = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
        DataFile { split: splits.get(&name).cloned(), name, content: Content::Here(path) }
    };
    let mut data: Vec<_> = data.into_iter().map(here).chain(kept).collect();
    data.sort_by(|a, b| a.name.cmp(&b.name));
    if folder.is_some() && splits.is_empty() {
        split_by_names(&mut data);
    }
    if let Some(pair) = data.windows(2).find(|pair| pair[0].name == pair[1].name) {
        let name = &pair[0].name;
        return Err(Error::invalid(format!("read source \"{shown}\": two files are called \"{name}\"")));
    }
    Ok(Files { root, format, data, others })
}

fn sort_by_names(
    root: &Path,
    all: Vec<PathBuf>,
    kept: Option<Format>,
    folder: Option<Format>,
    is_folder: bool,
    shown: &str,
) -> Result<Sorted> {
    // Clips beside tables belong to the tables.
    let is_table = |format: Format| format != Format::Video;
    let has_tables = kept.is_some_and(is_table) || all.iter().filter_map(|file| format_of(file)).any(is_table);
    let is_data = |file: &PathBuf| match folder {
        Some(_) => media_of(file) == folder || is_metadata(file),
        None => format_of(file).is_some_and(|format| format != Format::Video || !has_tables),
    };
    let (data, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_data);
    for file in &data {
        if fs::metadata(file)?.len() == 0 {
            let name = file.strip_prefix(root).unwrap_or(file).display();
            return Err(Error::invalid(format!("read source \"{shown}\": \"{name}\" is empty")));
        }
    }
    let format = match (kept, folder) {
        (Some(format), _) => format.with(&data, shown)?,
        (None, Some(folder)) => folder,
        (None, None) => format_of_all(shown, &data, is_folder)?,
    };
    Ok((format, data, others))
}

/// Media have the splits that their paths name, wherever they are.
fn split_by_names(data: &mut [DataFile]) {
    let mut media: Vec<_> = data.iter_mut().filter(|file| !is_metadata(file.name.as_ref())).collect();
    let names: Vec<_> = media.iter().map(|file| file.name.clone()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    for (file, split) in media.iter_mut().zip(splits::of(&names)) {
        file.split = split;
    }
}

/// All files below `folder`, except hidden ones and those behind symbolic links.
pub(super) fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
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

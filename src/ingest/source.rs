//! Sources: the files of a URI and their format.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::coco_json;
use crate::error::{Context, Error, Result};

/// Where data comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or folder that the server can read.
    File(PathBuf),
}

/// The format of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet files.
    Parquet,
    /// CSV files, possibly compressed with gzip.
    Csv,
    /// JSON files: an array of objects, or newline-delimited objects.
    Json,
    /// COCO annotations with their images.
    Coco,
}

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

/// The formats by file name extension.
const ENDINGS: &[(&str, Format)] = &[
    (".parquet", Format::Parquet),
    (".csv", Format::Csv),
    (".csv.gz", Format::Csv),
    (".tsv", Format::Csv),
    (".json", Format::Json),
    (".jsonl", Format::Json),
    (".ndjson", Format::Json),
    (".json.gz", Format::Json),
    (".jsonl.gz", Format::Json),
];

// === impl Source ===

impl Source {
    /// Parses the URI of a source.
    ///
    /// # Errors
    /// `InvalidArgument` for an invalid URI; Unsupported for unsupported schemes.
    pub fn parse(uri: &str) -> Result<Self> {
        if uri.is_empty() {
            return Err(Error::invalid("specify the location of the data as \"source\", such as file:///path/to/data"));
        }
        let parsed = url::Url::parse(uri);
        let parsed =
            parsed.map_err(|_| Error::invalid(format!("\"{uri}\" is not a URI; write a path as file:///path")))?;
        match parsed.scheme() {
            "file" => {
                let path = parsed.to_file_path();
                path.map(Self::File)
                    .map_err(|()| Error::invalid(format!("\"{uri}\" is not a local path: write file:///path")))
            }
            scheme => Err(Error::unsupported(format!(
                "sources with the scheme {scheme}:// are not supported; use file:///path"
            ))),
        }
    }

    /// The files of the source.
    ///
    /// # Errors
    /// `NotFound` if it does not exist; `InvalidArgument` for an empty file, and for a folder with no data files or with
    /// data files of several formats.
    pub async fn files(&self) -> Result<Files> {
        let Self::File(path) = self;
        let path = path.clone();
        let found = tokio::task::spawn_blocking(move || files_at(&path)).await;
        found.map_err(|err| Error::internal("read source").with_source(err))?
    }
}

fn files_at(path: &Path) -> Result<Files> {
    let metadata = fs::metadata(path).context(|| format!("read source \"{}\"", path.display()))?;
    let (root, all) = if metadata.is_dir() {
        let mut all = Vec::new();
        collect(path, &mut all)?;
        all.sort();
        (path.to_path_buf(), all)
    } else {
        (path.parent().unwrap_or(Path::new("/")).to_path_buf(), vec![path.to_path_buf()])
    };
    let is_folder = metadata.is_dir();
    let (data, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|file| format_of(file).is_some());
    for file in &data {
        if fs::metadata(file)?.len() == 0 {
            return Err(Error::invalid(format!("read source: \"{}\" is empty", file.display())));
        }
    }
    let format = format_of_all(path, &data, is_folder)?;
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

fn format_of(file: &Path) -> Option<Format> {
    let name = file.file_name()?.to_string_lossy().to_lowercase();
    ENDINGS.iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| *format)
}

fn format_of_all(path: &Path, data: &[PathBuf], is_folder: bool) -> Result<Format> {
    let formats: Vec<_> = data.iter().filter_map(|file| format_of(file)).collect();
    let Some(first) = formats.first() else {
        let path = path.display();
        return Err(Error::invalid(format!("read source: \"{path}\" contains no Parquet, CSV or JSON file")));
    };
    if formats.iter().any(|format| format != first) {
        let path = path.display();
        return Err(Error::invalid(format!(
            "read source: \"{path}\" contains several formats; ingest each of them separately"
        )));
    }
    if *first == Format::Json && is_coco(data, is_folder)? { Ok(Format::Coco) } else { Ok(*first) }
}

/// A list of captions is COCO only if there are annotations; otherwise it is plain JSON.
fn is_coco(data: &[PathBuf], is_folder: bool) -> Result<bool> {
    use coco_json::CocoKind::{CaptionResults, Captions, Instances};
    let mut kinds = Vec::new();
    for file in data {
        kinds.push(coco_json::detect(file)?);
    }
    let annotations = kinds.iter().any(|kind| matches!(kind, Some(Instances | Captions)));
    let all = kinds.iter().all(|kind| matches!(kind, Some(Instances | Captions | CaptionResults)));
    if annotations && is_folder && !all {
        let odd = data.iter().zip(&kinds).find(|(_, kind)| kind.is_none()).map(|(file, _)| file.display().to_string());
        let odd = odd.unwrap_or_default();
        return Err(Error::invalid(format!(
            "read source: \"{odd}\" is among COCO annotations and does not contain any"
        )));
    }
    Ok(annotations)
}

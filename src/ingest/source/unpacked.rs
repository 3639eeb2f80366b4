//! Archives of a source, unpacked.

use std::path::{Path, PathBuf};

use super::archive::{self, Kind, Limits};
use crate::{
    error::{Context, Error, Result},
    ingest::format::format_of,
    jobs::Progress,
};

/// The limits of one archive: the disk is full before, or the number of files is absurd.
const LIMITS: Limits = Limits { max_bytes: 1 << 42, max_entries: 5_000_000 };

/// The files of unpacked archives.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// The folder that contains them.
    pub root: PathBuf,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The archives, each with the folder below `root` that it was unpacked to, empty for `root` itself.
    pub archives: Vec<(PathBuf, PathBuf)>,
}

/// Unpacks the archives among `files` below `root` into the new folder `into`: those of a folder each into a folder with its
/// name, a single one as it is. `None` if there is none, or if there are data files beside them.
///
/// # Errors
/// `InvalidArgument` for damaged and malicious archives; Cancelled; errors of the disk. `into` may exist then.
pub async fn unpack(
    root: &Path,
    files: &[PathBuf],
    is_folder: bool,
    into: PathBuf,
    progress: &Progress,
) -> Result<Option<Unpacked>> {
    let archives: Vec<_> = files.iter().filter_map(|file| Some((file.clone(), archive::kind(file)?))).collect();
    if archives.is_empty() || files.iter().any(|file| format_of(file).is_some()) {
        return Ok(None);
    }
    progress.phase("unpack", "bytes", None);
    let (root, progress) = (root.to_owned(), progress.clone());
    let unpacking = tokio::task::spawn_blocking(move || unpack_all(&root, archives, is_folder, into, &progress));
    unpacking.await.map_err(|err| Error::internal("unpack").with_source(err))?.map(Some)
}

fn unpack_all(
    root: &Path,
    archives: Vec<(PathBuf, Kind)>,
    is_folder: bool,
    into: PathBuf,
    progress: &Progress,
) -> Result<Unpacked> {
    let mut unpacked = Unpacked { root: into, files: Vec::new(), archives: Vec::new() };
    for (file, kind) in archives {
        let inside = file.strip_prefix(root).unwrap_or(&file);
        let name = if is_folder { without_ending(inside) } else { PathBuf::new() };
        let target = unpacked.root.join(&name);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        archive::unpack(&file, kind, &target, LIMITS, &mut |bytes| {
            progress.advance(bytes);
            progress.check()
        })?;
        unpacked.archives.push((file, name));
    }
    let root = unpacked.root.clone();
    super::files::collect(&root, &mut unpacked.files).context(|| "read the unpacked files")?;
    Ok(unpacked)
}

/// `a/b.tar.gz` as `a/b`.
fn without_ending(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(&name))
}

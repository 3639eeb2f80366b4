//! Syncs data files to disk before the commit that references them.
//!
//! DuckDB syncs only its own files: after a power failure, a lake could reference empty Parquet files. So before a
//! commit, the files that were added since its transaction began are synced, and then their folders. This includes
//! files that other transactions are still writing, which is harmless: each is synced by its own commit.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use uuid::Uuid;

use super::links::CommitLinks;
use crate::error::Result;

/// The clocks of file systems are coarser than others.
const SLACK: Duration = Duration::from_millis(100);

/// The folder with commit links.
const LINKS: &str = ".committing";

/// No commit takes this long; servers may share the folder.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(24);

/// The maximum number of folders that are remembered.
const MAX_KNOWN: usize = 1 << 16;

/// The folder of the data files.
#[derive(Debug)]
pub(super) struct Fsync {
    root: PathBuf,
    /// The folder for commit links, if they are needed.
    links: Option<PathBuf>,
    /// The known state of its folders, so that an unchanged folder is not read again.
    known: Mutex<HashMap<PathBuf, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    modified: SystemTime,
    folders: Vec<PathBuf>,
}

// === impl Fsync ===

impl Fsync {
    /// The files below `root`. `can_be_lost` specifies that responses to commits can be lost because the catalog is in
    /// another process; commit links are then made in a folder beside `root`.
    pub(super) fn new(root: PathBuf, can_be_lost: bool) -> Self {
        let links = can_be_lost.then(|| root.with_file_name(LINKS));
        if let Some(folder) = &links {
            forget_old(folder);
        }
        Self { root, links, known: Mutex::default() }
    }

    /// Waits until every file that was added since `since` is on disk, and can be found after a power failure. Returns
    /// commit links to them if the response to their commit can be lost.
    ///
    /// # Errors
    /// Errors of the operating system; the files may be lost then, and must not be referenced.
    pub(super) fn sync(&self, since: SystemTime) -> Result<Option<CommitLinks>> {
        let since = since.checked_sub(SLACK).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut files = Vec::new();
        unless_gone(self.sync_folder(&self.root, since, &mut files))?;
        let links = self.links.as_ref().filter(|_| !files.is_empty());
        // Not every file system supports hard links.
        Ok(links.and_then(|folder| CommitLinks::new(files, folder).ok()))
    }

    fn sync_folder(&self, folder: &Path, since: SystemTime, files: &mut Vec<PathBuf>) -> io::Result<()> {
        let modified = fs::metadata(folder)?.modified()?;
        let known = self.known.lock().get(folder).filter(|known| known.modified == modified).cloned();
        let folders = match known {
            Some(known) if modified < since => known.folders,
            _ => self.sync_files(folder, modified, since, files)?,
        };
        folders.iter().try_for_each(|folder| unless_gone(self.sync_folder(folder, since, files)))
    }

    /// Syncs the new files of a folder, and the folder; adds them to `files` and returns its subfolders.
    fn sync_files(
        &self,
        folder: &Path,
        modified: SystemTime,
        since: SystemTime,
        files: &mut Vec<PathBuf>,
    ) -> io::Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if modified >= since && is_new(&entry, since)? {
                unless_gone(File::open(entry.path()).and_then(|file| file.sync_all()))?;
                files.push(entry.path());
            }
        }
        if modified >= since {
            File::open(folder)?.sync_all()?;
        }
        // A folder that was modified just now may be modified again without a change of its time.
        if modified + SLACK < SystemTime::now() {
            let mut known = self.known.lock();
            if known.len() >= MAX_KNOWN {
                known.clear();
            }
            known.insert(folder.to_owned(), Known { modified, folders: folders.clone() });
        }
        Ok(folders)
    }
}

/// Removes links left by servers that were killed.
fn forget_old(folder: &Path) {
    let is_old = |entry: &fs::DirEntry| {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|modified| modified.elapsed());
        age.is_ok_and(|age| age.is_ok_and(|age| age > FORGOTTEN_AFTER))
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(is_old) {
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// Whether a file was added since `since`. DuckLake's file names contain their time of creation (UUID version 7), which
/// saves reading the metadata of thousands of files.
fn is_new(entry: &fs::DirEntry, since: SystemTime) -> io::Result<bool> {
    if named_at(&entry.path()).is_some_and(|named| named < since) {
        return Ok(false);
    }
    match entry.metadata() {
        Ok(metadata) => Ok(metadata.modified()? >= since),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err),
    }
}

/// The creation time of the UUID at the end of a file's name.
fn named_at(file: &Path) -> Option<SystemTime> {
    let name = file.file_stem()?.to_str()?;
    let start = name.len().checked_sub(uuid::fmt::Hyphenated::LENGTH)?;
    let (seconds, nanos) = Uuid::parse_str(name.get(start..)?).ok()?.get_timestamp()?.to_unix();
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
}

/// Ignores files that were removed concurrently: they need no sync.
fn unless_gone(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_time() {
        let at = |name: &str| named_at(Path::new(name)).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap());
        let made = at("/x/ducklake-01a1fe48-3052-7f50-8758-8b1f24d8c2be.parquet").unwrap();
        assert_eq!(made.as_millis(), 0x01a1_fe48_3052);
        assert_eq!(at("/x/a.parquet"), None);
        assert_eq!(at("/x/ducklake-01a1fe48-3052-4f50-8758-8b1f24d8c2be-delete.parquet"), None);
    }

    #[test]
    fn folders_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        let fsync = Fsync::new(root.path().join("lake"), true);
        let long_ago = SystemTime::UNIX_EPOCH;
        fsync.sync(long_ago).unwrap();
        let table = root.path().join("lake/main/t");
        fs::create_dir_all(&table).unwrap();
        fs::write(table.join("a.parquet"), "a").unwrap();
        assert!(fsync.sync(long_ago).unwrap().is_some());
        assert!(fsync.sync(SystemTime::now() + SLACK * 2).unwrap().is_none());
        fs::remove_dir_all(&table).unwrap();
        fsync.sync(long_ago).unwrap();
    }
}

//! Keeps the data files of a commit that only seemed to fail.
//!
//! If the response to a commit is lost on its way from the catalog's database, DuckLake treats the commit as failed and
//! removes the files of the transaction; if the commit succeeded after all, the snapshot references missing files. So
//! until the response arrives, each file has a hard link, the commit link, from which it is restored. If nothing was
//! committed, no snapshot references the restored files, and maintenance removes them.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// The commit links of data files. Dropping it removes them.
#[derive(Debug)]
pub(super) struct CommitLinks {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

// === impl CommitLinks ===

impl CommitLinks {
    /// Links `files` in a new folder in `parent`, which is on the same disk.
    ///
    /// # Errors
    /// Errors of the operating system, such as missing support for hard links.
    pub(super) fn new(files: Vec<PathBuf>, parent: &Path) -> io::Result<Self> {
        let links = Self { folder: parent.join(Uuid::now_v7().to_string()), files };
        fs::create_dir_all(&links.folder)?;
        for (index, file) in links.files.iter().enumerate() {
            match fs::hard_link(file, links.link(index)) {
                // A file of another transaction, which was rolled back concurrently.
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                linked => linked?,
            }
        }
        Ok(links)
    }

    /// Restores the files that were removed, with the same durability as before.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub(super) fn put_back(&self) -> io::Result<()> {
        for (index, file) in self.files.iter().enumerate() {
            let folder = file.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            match fs::hard_link(self.link(index), file) {
                // It was not removed, or had no link.
                Err(err) if matches!(err.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {}
                linked => linked.and_then(|()| File::open(folder)?.sync_all())?,
            }
        }
        Ok(())
    }

    fn link(&self, index: usize) -> PathBuf {
        self.folder.join(index.to_string())
    }
}

impl Drop for CommitLinks {
    fn drop(&mut self) {
        // What remains uses disk space until a server starts a day later.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_comes_back_and_no_link_stays() {
        let root = tempfile::tempdir().unwrap();
        let file = |name: &str| root.path().join("lake/t").join(name);
        fs::create_dir_all(root.path().join("lake/t")).unwrap();
        fs::write(file("a"), "a").unwrap();
        fs::write(file("b"), "b").unwrap();
        let parent = root.path().join("kept");
        let links = CommitLinks::new(vec![file("a"), file("b"), file("c")], &parent).unwrap();
        fs::remove_file(file("a")).unwrap();
        links.put_back().unwrap();
        assert_eq!(fs::read_to_string(file("a")).unwrap(), "a");
        assert!(fs::metadata(file("c")).is_err());
        drop(links);
        assert_eq!(fs::read_dir(parent).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(file("b")).unwrap(), "b");
    }
}

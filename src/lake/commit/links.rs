//! Data files that outlive a commit which only seemed to fail.
//!
//! When the answer to a commit is lost on its way from the catalog's database, DuckLake takes the commit for failed and
//! removes the files of the transaction; if it has happened after all, the snapshot names files that are gone. So, until
//! the answer is there, each of them has a hard link, the commit link, from which it is put back. Where nothing was
//! committed the files are of no snapshot then, and maintenance removes them.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

/// The commit links of data files; they are removed when this is dropped.
#[derive(Debug)]
pub(super) struct CommitLinks {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

// === impl CommitLinks ===

impl CommitLinks {
    /// Links `files` in a new folder in `parent`, which lies on the same disk.
    ///
    /// # Errors
    /// What the operating system says, such as that it knows no hard links.
    pub(super) fn new(files: Vec<PathBuf>, parent: &Path) -> io::Result<Self> {
        let links = Self { folder: parent.join(Uuid::now_v7().to_string()), files };
        fs::create_dir_all(&links.folder)?;
        for (index, file) in links.files.iter().enumerate() {
            match fs::hard_link(file, links.link(index)) {
                // Another transaction's, which was rolled back meanwhile.
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                linked => linked?,
            }
        }
        Ok(links)
    }

    /// Puts those back that were removed, on disk as they were.
    ///
    /// # Errors
    /// What the operating system says.
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
        // What stays behind takes room until a server starts a day later.
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

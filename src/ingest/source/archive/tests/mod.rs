mod damage;
mod tar;
mod zip;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{Kind, Limits, kind, unpack};
use crate::error::{Error, ErrorKind, Result};

const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_entries: 100 };

/// The files that an archive named `name` unpacks to, by their paths. After an error, nothing is left.
fn unpacked_with(name: &str, archive: &[u8], limits: Limits) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let home = TempDir::new().unwrap();
    let (file, into) = (home.path().join(name), home.path().join("into"));
    fs::write(&file, archive).unwrap();
    let mut written = 0;
    let outcome = unpack(&file, kind(&file).unwrap_or(Kind::Tar), &into, limits, &mut |bytes| {
        written += bytes;
        Ok(())
    });
    if let Err(err) = outcome {
        assert!(!into.try_exists().unwrap(), "{err}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        return Err(err);
    }
    let mut files = BTreeMap::new();
    collect(&into, &into, &mut files);
    assert_eq!(written, files.values().map(|contents| contents.len() as u64).sum::<u64>());
    Ok(files)
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            collect(root, &entry.path(), files);
        } else {
            // No bit of the archive's modes, and those that the process may not set.
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o7133, 0);
            files.insert(entry.path().strip_prefix(root).unwrap().to_owned(), fs::read(entry.path()).unwrap());
        }
    }
}

fn unpacked(name: &str, archive: &[u8]) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    unpacked_with(name, archive, LIMITS)
}

fn refused(name: &str, archive: &[u8]) -> Error {
    unpacked(name, archive).unwrap_err()
}

fn files<const N: usize>(files: [(&str, &[u8]); N]) -> BTreeMap<PathBuf, Vec<u8>> {
    files.into_iter().map(|(path, contents)| (path.into(), contents.to_vec())).collect()
}

/// Asserts that `err` has a kind, names the archive, and says `text`.
fn check(err: &Error, kind: ErrorKind, text: &str) {
    assert_eq!(err.kind(), kind, "{err}");
    assert!(err.message().starts_with("unpack \"") && err.message().contains(text), "{err}");
}

#[test]
fn kinds_are_told_by_names() {
    for (name, expected) in [
        ("a.zip", Some(Kind::Zip)),
        ("A.ZIP", Some(Kind::Zip)),
        ("x.csv.zip", Some(Kind::Zip)),
        ("a.tar", None),
        ("a.tar.gz", Some(Kind::Tar)),
        ("a.tgz", Some(Kind::Tar)),
        ("a.csv.gz", None),
        ("zip", None),
        ("a.parquet", None),
    ] {
        assert_eq!(kind(Path::new("folder.zip").join(name).as_path()), expected, "{name}");
    }
}

#[test]
fn what_is_in_the_way_stays() {
    let home = TempDir::new().unwrap();
    let (file, into) = (home.path().join("a.zip"), home.path().join("into"));
    fs::write(&file, zip::zip(&[("a.csv", b"1")])).unwrap();
    fs::create_dir(&into).unwrap();
    fs::write(into.join("mine"), "x").unwrap();
    let err = unpack(&file, Kind::Zip, &into, LIMITS, &mut |_| Ok(())).unwrap_err();
    check(&err, ErrorKind::AlreadyExists, "exists");
    assert_eq!(fs::read(into.join("mine")).unwrap(), b"x");
}

#[test]
fn a_cancelled_unpacking_leaves_nothing() {
    let home = TempDir::new().unwrap();
    let into = home.path().join("into");
    for (name, archive) in
        [("a.zip", zip::zip(&[("a", b"1"), ("b", b"2")])), ("a.tar", tar::tar(&[("a", b'0', b"1"), ("b", b'0', b"2")]))]
    {
        let file = home.path().join(name);
        fs::write(&file, archive).unwrap();
        let mut written = 0;
        let err = unpack(&file, kind(&file).unwrap_or(Kind::Tar), &into, LIMITS, &mut |bytes| {
            written += bytes;
            if written == 2 { Err(Error::cancelled()) } else { Ok(()) }
        });
        check(&err.unwrap_err(), ErrorKind::Cancelled, name);
        assert!(!into.try_exists().unwrap());
    }
}

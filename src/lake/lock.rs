//! The lock of a catalog that is a file: shared by servers, exclusive for a program that moves the catalog.
//!
//! SQLite locks its files only while it uses them, and DuckDB excludes all other processes. So a server holds a lock of its
//! own while it runs, on a file next to the catalog; the operating system releases it when the process ends. PostgreSQL
//! itself reports connected clients.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
};

use super::catalog::Catalog;
use crate::error::{Context, Error, Result};

/// A lock, released on drop.
#[derive(Debug)]
pub struct Lock {
    _file: Option<File>,
}

/// Takes the shared lock of a server.
///
/// # Errors
/// `FailedPrecondition` while the catalog is being moved or restored.
pub fn share(catalog: &Catalog) -> Result<Lock> {
    take(catalog, File::try_lock_shared, "it is being moved or restored: wait until that is finished")
}

/// Takes the exclusive lock of a program that moves or replaces the catalog.
///
/// # Errors
/// `FailedPrecondition` while a server uses it.
pub fn own(catalog: &Catalog) -> Result<Lock> {
    take(catalog, File::try_lock, "a server has it open: stop the server first")
}

fn take(catalog: &Catalog, lock: impl Fn(&File) -> Result<(), TryLockError>, taken: &str) -> Result<Lock> {
    let Some(file) = catalog.file() else { return Ok(Lock { _file: None }) };
    let path = PathBuf::from(format!("{}.lock", file.display()));
    let open = || File::options().create(true).truncate(false).write(true).open(&path);
    let file = open().context(|| format!("lock \"{}\"", path.display()))?;
    match lock(&file) {
        Ok(()) => Ok(Lock { _file: Some(file) }),
        Err(TryLockError::WouldBlock) => {
            Err(Error::precondition(format!("open catalog \"{}\": {taken}", catalog.name())))
        }
        Err(TryLockError::Error(err)) => Err(err).context(|| format!("lock \"{}\"", path.display())),
    }
}

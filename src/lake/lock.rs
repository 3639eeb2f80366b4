//! Who may have a catalog that is a file: several servers, or one program that moves it.
//!
//! SQLite and DuckDB lock their files only while they use them, or against the whole world. So a server holds a lock of
//! its own for as long as it runs, on a file beside the catalog; it goes with the process, however that ends. PostgreSQL
//! knows itself who is connected.

use std::{
    fs::{File, TryLockError},
    path::PathBuf,
};

use super::catalog::Catalog;
use crate::error::{Context, Error, Result};

/// The lock, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: Option<File>,
}

/// Takes the lock of a server: there may be several of them.
///
/// # Errors
/// `FailedPrecondition` while the catalog is being moved.
pub fn share(catalog: &Catalog) -> Result<Lock> {
    take(catalog, File::try_lock_shared, "it is being moved or restored: wait until that has ended")
}

/// Takes the lock of a program that needs the catalog for itself.
///
/// # Errors
/// `FailedPrecondition` while a server has it.
pub fn own(catalog: &Catalog) -> Result<Lock> {
    take(catalog, File::try_lock, "a server has it open: stop that first")
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

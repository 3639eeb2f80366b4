//! An opened DuckDB instance.

use std::{
    ffi::{CStr, CString},
    ptr,
    sync::Arc,
};

use duckdb::ffi;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::{arrow_scan::Scans, error, reads::RunningReads};
use crate::error::{Error, Result};

/// One DuckDB instance. It closes when the last connection and the last owner are dropped.
#[derive(Debug)]
pub struct Database {
    ptr: ffi::duckdb_database,
    /// Whether the rows of queries are collected on the threads that compute them.
    pub(super) collects: bool,
    pub(super) scans: Scans,
    /// Shared with the functions that count in them.
    pub(super) reads: Arc<RunningReads>,
    /// Locked shared while a statement is prepared, and exclusively by [`Connection::exclusively`](super::Connection).
    pub(super) preparing: RwLock<()>,
    /// As `preparing`, for commits.
    pub(super) committing: RwLock<()>,
    /// Dropped last, which notifies those that wait for the instance to close.
    open: watch::Sender<()>,
}

// SAFETY: DuckDB's database object is internally synchronised; connections may be created from any thread.
unsafe impl Send for Database {}
// SAFETY: as above.
unsafe impl Sync for Database {}

/// The version of the linked library, such as `v1.5.5`.
pub fn library_version() -> String {
    // SAFETY: returns a static string.
    unsafe { CStr::from_ptr(ffi::duckdb_library_version()) }.to_string_lossy().into_owned()
}

// === impl Database ===

impl Database {
    /// Opens an instance in memory with `options` (DuckDB's configuration names and values). If it `collects`, the threads
    /// that compute rows convert them.
    ///
    /// # Errors
    /// An option that is unknown to DuckDB or invalid.
    pub fn open_in_memory(options: &[(&str, String)], collects: bool) -> Result<Arc<Self>> {
        let mut config = Config::new()?;
        for (name, value) in options {
            config.set(name, value)?;
        }
        let mut database = ptr::null_mut();
        let mut text = ptr::null_mut();
        // SAFETY: a null path is an instance in memory; both out pointers are valid; the error message is freed.
        unsafe {
            if ffi::duckdb_open_ext(ptr::null(), &raw mut database, config.0, &raw mut text) != ffi::DuckDBSuccess {
                let err = error::from_pointer(text);
                ffi::duckdb_free(text.cast());
                return Err(err.context("open DuckDB"));
            }
        }
        let (scans, reads) = (Scans::default(), Arc::default());
        let (preparing, committing, open) = (RwLock::default(), RwLock::default(), watch::Sender::new(()));
        let database = Arc::new(Self { ptr: database, collects, scans, reads, preparing, committing, open });
        let mut connection = database.connect_raw()?;
        // SAFETY: the connection is open, and closed once.
        let registered = unsafe {
            let registered = database.scans.register(connection).and_then(|()| {
                merganser_planner::register(connection)
                    .map_err(|text| Error::internal("load the planner rules").with_source(text))
            });
            ffi::duckdb_disconnect(&raw mut connection);
            registered
        };
        registered.map(|()| database)
    }

    /// Resolves when the instance has closed.
    pub fn closed(&self) -> impl Future<Output = ()> + use<> {
        let mut open = self.open.subscribe();
        async move { while open.changed().await.is_ok() {} }
    }

    /// Makes a new connection to this instance, which the caller must close.
    pub(super) fn connect_raw(&self) -> Result<ffi::duckdb_connection> {
        let mut connection = ptr::null_mut();
        // SAFETY: the database is open for as long as `self` lives.
        if unsafe { ffi::duckdb_connect(self.ptr, &raw mut connection) } != ffi::DuckDBSuccess {
            return Err(Error::internal("connect to DuckDB"));
        }
        Ok(connection)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: every connection holds an `Arc` of this, so none is left.
        unsafe { ffi::duckdb_close(&raw mut self.ptr) };
    }
}

struct Config(ffi::duckdb_config);

// === impl Config ===

impl Config {
    fn new() -> Result<Self> {
        let mut config = ptr::null_mut();
        // SAFETY: a valid out pointer.
        if unsafe { ffi::duckdb_create_config(&raw mut config) } != ffi::DuckDBSuccess {
            return Err(Error::internal("create DuckDB configuration"));
        }
        Ok(Self(config))
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let fault = || Error::invalid(format!("configure DuckDB: {name} cannot be '{value}'"));
        let name_c = CString::new(name).map_err(|_| fault())?;
        let value_c = CString::new(value).map_err(|_| fault())?;
        // SAFETY: both strings live until the call returns.
        match unsafe { ffi::duckdb_set_config(self.0, name_c.as_ptr(), value_c.as_ptr()) } {
            ffi::DuckDBSuccess => Ok(()),
            _ => Err(fault()),
        }
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: made by `duckdb_create_config` and destroyed once.
        unsafe { ffi::duckdb_destroy_config(&raw mut self.0) };
    }
}

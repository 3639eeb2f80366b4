//! Backups of the catalog in the object store: taken while writers run, verified before they count, and restored.
//!
//! ```text
//! backups/catalog/YYYY_MM_DD/HH_MM_SS_mmm/catalog.duckdb   the catalog as a file (`lake::catalog_copy`)
//! backups/catalog/YYYY_MM_DD/HH_MM_SS_mmm/backup.json      what the file contains; written after the file
//! backups/catalog/manifest.json                            {"latest": "YYYY_MM_DD/HH_MM_SS_mmm"}; written last
//! ```
//!
//! A backup contains no data files: they are immutable, and maintenance keeps those that a backup references. Other
//! programs may have removed some, so restoring checks first that every file exists.

mod backups;
mod offline;
mod record;
mod referenced;
mod repository;
mod restore;
mod retention;
mod swap;
mod take;

pub use self::{
    backups::Backups,
    offline::{Restored, restore},
    record::Record,
    referenced::ReferencedFiles,
    repository::{BackupState, Entry, Repository},
    restore::{Candidate, Selector, parse_timestamp},
    retention::Retention,
    take::Taken,
};

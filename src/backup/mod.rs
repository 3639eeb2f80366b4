//! Backups of the catalog, in the store: taken beside writers, examined before they count, and brought back.
//!
//! ```text
//! backups/catalog/YYYY_MM_DD/HH_MM_SS_mmm/catalog.duckdb   the catalog as a file (`lake::portable`)
//! backups/catalog/YYYY_MM_DD/HH_MM_SS_mmm/backup.json      what it must hold; written behind the file
//! backups/catalog/manifest.json                            {"latest": "YYYY_MM_DD/HH_MM_SS_mmm"}; written last
//! ```
//!
//! A backup holds no data: the files of the lake never change, and maintenance leaves those alone that a backup names.
//! Others may not have; so whoever brings one back looks for every file first.

mod handover;
mod named;
mod offline;
mod record;
mod restore;
mod retention;
mod shelf;
mod take;

pub use self::{
    named::Named,
    offline::{Restored, restore},
    record::Record,
    restore::{Candidate, Which, parse_moment},
    retention::Retention,
    shelf::{Entry, Shelf, State},
    take::{Backups, Taken},
};

//! Selecting and verifying a backup to restore: its checksum, its lake, its contents, and whether the files that it
//! references exist.

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use tempfile::TempDir;

use super::{
    record::Record,
    repository::{BackupState, Entry, Repository},
};
use crate::{
    engine::{Connection, Engine},
    error::{Error, Result},
    lake::catalog_copy::{self, DataFile},
};

/// Selects a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The latest backup.
    Latest,
    /// The backup with this name.
    Name(String),
    /// The newest backup taken at or before this time.
    At(DateTime<Utc>),
}

/// A backup that was downloaded and verified.
#[derive(Debug)]
pub struct Candidate {
    /// Its `backup.json`.
    pub record: Record,
    /// The location in the store.
    pub uri: String,
    /// The referenced files that do not exist, or have another size.
    pub missing: Vec<DataFile>,
    /// Contains the downloaded copy; removed on drop.
    folder: TempDir,
}

/// Parses a timestamp such as `2026-01-31 12:00:00`, in UTC unless it has an offset.
///
/// # Errors
/// `InvalidArgument` if it is invalid.
pub fn parse_timestamp(text: &str) -> Result<DateTime<Utc>> {
    let text = text.trim();
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let of_day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let zoned = zoned.iter().find_map(|form| DateTime::parse_from_str(text, form).ok()).map(|time| time.to_utc());
    let plain = || plain.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).or_else(of_day);
    zoned.or_else(|| plain().map(|time| time.and_utc())).ok_or_else(|| {
        Error::invalid(format!(
            "invalid timestamp \"{text}\": expected a form such as 2026-01-31 12:00:00 or 2026-01-31T12:00:00+01:00"
        ))
    })
}

// === impl Repository ===

impl Repository {
    /// Downloads and verifies a backup with `engine`, which needs no attached lake. `lake` is the id of the lake that the
    /// backup must belong to, if known.
    ///
    /// # Errors
    /// `NotFound` if there is no such backup; `FailedPrecondition` if it is damaged, incomplete, or of another lake.
    pub async fn candidate(
        &self,
        engine: &Engine,
        staging: &Path,
        selector: &Selector,
        lake: Option<&str>,
    ) -> Result<Candidate> {
        let entries = self.list(lake).await?;
        let entry = self.select(&entries, selector).await?;
        let name = &entry.name;
        let record = match (&entry.state, &entry.record) {
            (BackupState::Complete, Some(record)) => record.clone(),
            (BackupState::Complete | BackupState::Incomplete, _) => {
                return Err(Error::precondition(format!("backup {name} was never finished: choose another backup")));
            }
            (BackupState::Damaged(fault), _) => {
                return Err(Error::precondition(format!("backup {name} is damaged: {fault}; choose another backup")));
            }
            (BackupState::Foreign, _) => {
                return Err(Error::precondition(format!(
                    "backup {name} belongs to another lake: choose another backup"
                )));
            }
        };
        let folder = tempfile::Builder::new().prefix("restore-").tempdir_in(staging)?;
        let file = file_in(&folder);
        self.fetch(&record, &file).await?;
        let (contents, files) = engine
            .run(move |connection: &Connection| catalog_copy::examine(connection, &file))
            .await
            .map_err(|err| {
                let text = format!("cannot open backup {name}: {}; choose another backup", err.message());
                Error::precondition(text).with_source(err)
            })?;
        if contents != record.contents {
            let text = format!("backup {name} is damaged: its contents do not match its record; choose another backup");
            return Err(Error::precondition(text));
        }
        let existing = self.lake_files().await?;
        let missing = files.into_iter().filter(|file| existing.get(&file.path) != Some(&file.bytes)).collect();
        Ok(Candidate { uri: entry.uri.clone(), record, missing, folder })
    }

    async fn select<'e>(&self, entries: &'e [Entry], selector: &Selector) -> Result<&'e Entry> {
        let complete = || entries.iter().filter(|entry| entry.state == BackupState::Complete);
        let none = || Error::not_found("a backup of this lake does not exist: take one with the action backup");
        match selector {
            Selector::Name(name) => {
                let found = entries.iter().find(|entry| entry.name == *name);
                found.ok_or_else(|| {
                    Error::not_found(format!(
                        "backup \"{name}\" does not exist: list the backups with the action backups"
                    ))
                })
            }
            Selector::Latest => {
                let name = self.latest().await?.ok_or_else(none)?;
                let found = entries.iter().find(|entry| entry.name == name);
                found.ok_or_else(|| {
                    Error::precondition(format!(
                        "the latest backup, {name}, does not exist any more: specify another one"
                    ))
                })
            }
            Selector::At(time) => {
                let oldest = complete().next_back().ok_or_else(none)?;
                complete().find(|entry| entry.time <= *time).ok_or_else(|| {
                    let (asked, first) = (time.to_rfc3339(), &oldest.name);
                    Error::not_found(format!("a backup at or before {asked} does not exist; the oldest is {first}"))
                })
            }
        }
    }
}

// === impl Candidate ===

impl Candidate {
    /// The copy of the catalog.
    pub fn file(&self) -> PathBuf {
        file_in(&self.folder)
    }

    /// Rejects a backup with missing files.
    ///
    /// # Errors
    /// `FailedPrecondition` that names a missing file, preferably one of the newest snapshot.
    pub fn check_files(&self) -> Result<()> {
        let Some(first) = self.missing.iter().find(|file| file.current).or(self.missing.first()) else { return Ok(()) };
        let (name, count, path) = (&self.record.name, self.missing.len(), &first.path);
        let current = self.missing.iter().filter(|file| file.current).count();
        Err(Error::precondition(format!(
            "{count} files referenced by backup {name} are missing or changed in the store ({current} of them belong to \
             its newest snapshot), such as \"{path}\": recover them, choose a newer backup, or set \"force\" to restore \
             without them"
        )))
    }
}

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("catalog.duckdb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_accepted_in_common_forms() {
        let noon = DateTime::parse_from_rfc3339("2026-01-31T12:00:00Z").unwrap().to_utc();
        for text in [
            "2026-01-31 12:00:00",
            " 2026-01-31 12:00 ",
            "2026-01-31T12:00:00Z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31 12:00:00+00",
            "2026-01-31 14:00:00.000+02:00",
        ] {
            assert_eq!(parse_timestamp(text).unwrap(), noon, "{text}");
        }
        assert_eq!(parse_timestamp("2026-01-31").unwrap().to_rfc3339(), "2026-01-31T00:00:00+00:00");
        for text in ["", "yesterday", "2026-02-30 00:00:00", "7", "2026-01-31 25:00:00"] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }
}

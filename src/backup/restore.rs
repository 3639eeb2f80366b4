//! From a request to a backup that is known to be sound: which one, is it what was written, is it of this lake, and are
//! the files there that it names.

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use tempfile::TempDir;

use super::{
    Backups,
    record::Record,
    shelf::{Entry, Shelf, State},
};
use crate::{
    engine::{Connection, Engine},
    error::{Error, Result},
    jobs::Progress,
    lake::portable::{self, DataFile},
};

/// Which backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The latest.
    Latest,
    /// The one of this name.
    Named(String),
    /// The newest that was taken at or before this moment.
    At(DateTime<Utc>),
}

/// A backup that was fetched and found sound.
#[derive(Debug)]
pub struct Candidate {
    /// What it says of itself.
    pub record: Record,
    /// Where it lies.
    pub uri: String,
    /// Files of the lake that it names and that are not there, or have another size.
    pub missing: Vec<DataFile>,
    /// Holds the copy, for as long as this lives.
    folder: TempDir,
}

/// A moment such as `2026-01-31 12:00:00`, in UTC unless it says otherwise.
///
/// # Errors
/// `InvalidArgument` when it is none.
pub fn parse_moment(text: &str) -> Result<DateTime<Utc>> {
    let text = text.trim();
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let of_day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let zoned = zoned.iter().find_map(|form| DateTime::parse_from_str(text, form).ok()).map(|time| time.to_utc());
    let plain = || plain.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).or_else(of_day);
    zoned.or_else(|| plain().map(|time| time.and_utc())).ok_or_else(|| {
        Error::invalid(format!("\"{text}\" is no moment such as 2026-01-31 12:00:00 or 2026-01-31T12:00:00+01:00"))
    })
}

// === impl Backups ===

impl Backups {
    /// Fetches and examines a backup of the lake that is served.
    ///
    /// # Errors
    /// As [`Shelf::candidate`].
    pub async fn candidate(&self, which: &Which, progress: &Progress) -> Result<Candidate> {
        let lake = self.engine.run(portable::lake_id).await?;
        progress.phase("verify the backup", "steps", None);
        progress.unless_cancelled(self.shelf.candidate(&self.engine, self.engine.staging(), which, Some(&lake))).await
    }
}

// === impl Shelf ===

impl Shelf {
    /// Fetches and examines a backup with `engine`, which needs no lake; `lake` is the id of the lake whose it shall be,
    /// where that is known.
    ///
    /// # Errors
    /// `NotFound` when there is no such backup; `FailedPrecondition` when it is not what was written, of another lake, or
    /// not complete.
    pub async fn candidate(
        &self,
        engine: &Engine,
        staging: &Path,
        which: &Which,
        lake: Option<&str>,
    ) -> Result<Candidate> {
        let entries = self.list(lake).await?;
        let entry = self.choose(&entries, which).await?;
        let name = &entry.name;
        let record = match (&entry.state, &entry.record) {
            (State::Complete, Some(record)) => record.clone(),
            (State::Complete | State::Incomplete, _) => {
                return Err(Error::precondition(format!("the backup {name} was never finished: take another one")));
            }
            (State::Damaged(fault), _) => {
                return Err(Error::precondition(format!("the backup {name} is damaged: {fault}; take another one")));
            }
            (State::Foreign, _) => {
                return Err(Error::precondition(format!("the backup {name} is of another lake: take another one")));
            }
        };
        let folder = tempfile::Builder::new().prefix("restore-").tempdir_in(staging)?;
        let file = file_in(&folder);
        self.fetch(&record, &file).await?;
        let (contents, files) =
            engine.run(move |connection: &Connection| portable::examine(connection, &file)).await.map_err(|err| {
                let text = format!("the backup {name} cannot be opened: {}; take another one", err.message());
                Error::precondition(text).with_source(err)
            })?;
        if contents != record.contents {
            let text = format!("the backup {name} is damaged: it does not hold what it says; take another one");
            return Err(Error::precondition(text));
        }
        let there = self.lake_files().await?;
        let missing = files.into_iter().filter(|file| there.get(&file.path) != Some(&file.bytes)).collect();
        Ok(Candidate { uri: entry.uri.clone(), record, missing, folder })
    }

    async fn choose<'e>(&self, entries: &'e [Entry], which: &Which) -> Result<&'e Entry> {
        let complete = || entries.iter().filter(|entry| entry.state == State::Complete);
        let none = || Error::not_found("there is no backup of this lake yet: take one with the action backup");
        match which {
            Which::Named(name) => {
                let found = entries.iter().find(|entry| entry.name == *name);
                found.ok_or_else(|| Error::not_found(format!("no backup \"{name}\"; the action backups lists them")))
            }
            Which::Latest => {
                let name = self.latest().await?.ok_or_else(none)?;
                let found = entries.iter().find(|entry| entry.name == name);
                found
                    .ok_or_else(|| Error::precondition(format!("the latest backup, {name}, is gone: name another one")))
            }
            Which::At(moment) => {
                let oldest = complete().next_back().ok_or_else(none)?;
                complete().find(|entry| entry.time <= *moment).ok_or_else(|| {
                    let (asked, first) = (moment.to_rfc3339(), &oldest.name);
                    Error::not_found(format!("no backup was taken at or before {asked}; the first is {first}"))
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

    /// Refuses a backup whose newest snapshot cannot be read in full, or some older one.
    ///
    /// # Errors
    /// `FailedPrecondition` that names the first missing file.
    pub fn check_files(&self) -> Result<()> {
        let Some(first) = self.missing.iter().find(|file| file.current).or(self.missing.first()) else { return Ok(()) };
        let (name, count, path) = (&self.record.name, self.missing.len(), &first.path);
        let current = self.missing.iter().filter(|file| file.current).count();
        Err(Error::precondition(format!(
            "{count} files that the backup {name} names are not in the store as they were (its newest snapshot needs \
             {current} of them), such as \"{path}\": bring them back, take a newer backup, or set \"force\" to have the \
             lake without them"
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
    fn moments_are_read_in_the_forms_that_people_write() {
        let noon = DateTime::parse_from_rfc3339("2026-01-31T12:00:00Z").unwrap().to_utc();
        for text in [
            "2026-01-31 12:00:00",
            " 2026-01-31 12:00 ",
            "2026-01-31T12:00:00Z",
            "2026-01-31T13:00:00+01:00",
            "2026-01-31 12:00:00+00",
            "2026-01-31 14:00:00.000+02:00",
        ] {
            assert_eq!(parse_moment(text).unwrap(), noon, "{text}");
        }
        assert_eq!(parse_moment("2026-01-31").unwrap().to_rfc3339(), "2026-01-31T00:00:00+00:00");
        for text in ["", "yesterday", "2026-02-30 00:00:00", "7", "2026-01-31 25:00:00"] {
            assert!(parse_moment(text).is_err(), "{text}");
        }
    }
}

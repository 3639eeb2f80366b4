//! What a backup says of itself.

use std::{fs::File, io, path::Path};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    error::{Context, Result},
    lake::portable::Contents,
};

/// The form of backups that this program writes and reads.
const FORMAT: u32 = 1;
/// A name is the time, in UTC.
const NAME: &str = "%Y_%m_%d/%H_%M_%S_%3f";

/// The `backup.json` of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The form of the backup.
    pub format: u32,
    /// Its name.
    pub name: String,
    /// A moment when all that it holds was committed.
    pub time: DateTime<Utc>,
    /// Who asked for it.
    pub author: String,
    /// What held the catalog: `duckdb`, `sqlite` or `postgres`.
    pub catalog: String,
    /// The merganser that took it.
    pub merganser: String,
    /// Its DuckDB.
    pub duckdb: String,
    /// The size of the file.
    pub bytes: u64,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// What the file holds.
    pub contents: Contents,
}

/// What of a file can be told without knowing what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The name of a backup of the moment `time`.
pub(super) fn name_at(time: DateTime<Utc>) -> String {
    time.format(NAME).to_string()
}

/// The moment in a name; `None` when it is not one of a backup.
pub(super) fn moment_of(name: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(name, "%Y_%m_%d/%H_%M_%S_%3f").ok()?.and_utc();
    // The parser takes digits that the form has not.
    (name_at(time) == name).then_some(time)
}

// === impl Record ===

impl Record {
    /// Why this program cannot use the backup called `name` that says this of itself; `None` when it can.
    pub(super) fn fault(&self, name: &str) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!("it is of form {}, this program reads form {FORMAT}", self.format));
        }
        (self.name != name).then(|| format!("it says that it is {}", self.name))
    }

    pub(super) const fn format() -> u32 {
        FORMAT
    }
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Reads `file`, however large it is.
    pub(super) async fn of(file: &Path) -> Result<Self> {
        let path = file.to_path_buf();
        let read = move || -> Result<Self> {
            let (mut source, mut hash) = (File::open(&path)?, Sha256::new());
            let bytes = io::copy(&mut source, &mut hash)?;
            Ok(Self { bytes, sha256: format!("{:x}", hash.finalize()) })
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|err| crate::error::Error::internal("hash a file").with_source(err))?
            .context(|| format!("read \"{}\"", file.display()))
    }
}

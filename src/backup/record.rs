//! The metadata of a backup: `backup.json`.

use std::{fs::File, io, path::Path};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    error::{Context, Result},
    lake::catalog_copy::Contents,
};

/// The version of the format that this program writes and reads.
const FORMAT: u32 = 1;
/// Names are timestamps in UTC.
const NAME: &str = "%Y_%m_%d/%H_%M_%S_%3f";

/// The `backup.json` of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the format.
    pub format: u32,
    /// The name of the backup.
    pub name: String,
    /// A time at which everything in the backup was committed.
    pub time: DateTime<Utc>,
    /// The principal that requested it.
    pub author: String,
    /// The kind of the catalog: `duckdb`, `sqlite` or `postgres`.
    pub catalog: String,
    /// The version of merganser that took it.
    pub merganser: String,
    /// The version of DuckDB.
    pub duckdb: String,
    /// The size of the file.
    pub bytes: u64,
    /// The SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// The contents of the file.
    pub contents: Contents,
}

/// Size and checksum of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The name of a backup taken at `time`.
pub(super) fn name_at(time: DateTime<Utc>) -> String {
    time.format(NAME).to_string()
}

/// The time in a name; `None` if it is not the name of a backup.
pub(super) fn time_of(name: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(name, "%Y_%m_%d/%H_%M_%S_%3f").ok()?.and_utc();
    // The parser accepts more digits than the format has.
    (name_at(time) == name).then_some(time)
}

// === impl Record ===

impl Record {
    /// The reason why this program cannot use the backup `name` with this record; `None` if it can.
    pub(super) fn fault(&self, name: &str) -> Option<String> {
        if self.format != FORMAT {
            return Some(format!("format version {} is not supported, expected {FORMAT}", self.format));
        }
        (self.name != name).then(|| format!("the record belongs to backup {}", self.name))
    }

    pub(super) const fn format() -> u32 {
        FORMAT
    }
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Reads `file` in chunks.
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

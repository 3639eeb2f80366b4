//! The dated folder of an export: its files are written aside, and are there once all of them are.
//!
//! ```text
//! exports/<schema>/<table>/YYYY_MM_DD/HH_MM_SS_mmm/shard-00000.parquet …   the files
//!                                                 /.export.json            what they are; written last
//! exports/<schema>/<table>/manifest.json                                   names the latest
//! ```

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::record::{Located, RECORD, ROOT, Record};
use crate::{
    error::{Error, Result},
    jobs::Progress,
    lake::table::TableRef,
    storage::{Storage, dated::Dated},
};

/// The number of files that are uploaded at once.
const UPLOADS: usize = 4;

/// A folder that is being written.
#[derive(Debug)]
pub struct Folder {
    series: Dated,
    time: String,
    /// The files on this machine.
    spool: PathBuf,
    /// Files on their way to a bucket.
    uploads: JoinSet<Result<()>>,
}

// === impl Folder ===

impl Folder {
    /// A folder for an export that is begun at `time`, with files in `spool` first.
    pub fn new(storage: Storage, name: &TableRef, time: String, spool: &Path) -> Self {
        let series = Dated::new(storage, ROOT, &format!("{}/{}", name.schema, name.name));
        Self { series, time, spool: spool.to_path_buf(), uploads: JoinSet::new() }
    }

    /// Where files are written first.
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// Where a file is written first.
    pub fn spooled(&self, file: &str) -> PathBuf {
        self.spool.join(file)
    }

    /// Writes and syncs a small file, where files are written first.
    ///
    /// # Errors
    /// Errors of the disk.
    pub async fn write(&self, file: &str, content: &[u8]) -> Result<()> {
        let path = self.spooled(file);
        tokio::fs::write(&path, content).await?;
        Ok(tokio::fs::File::open(&path).await?.sync_all().await?)
    }

    /// Takes a file that is whole. To a bucket it is uploaded meanwhile; a folder gets all files at once.
    ///
    /// # Errors
    /// Those of earlier uploads.
    pub async fn add(&mut self, file: &str) -> Result<()> {
        if self.storage().is_folder() {
            return Ok(());
        }
        while self.uploads.len() >= UPLOADS {
            self.wait_for_upload().await?;
        }
        let (storage, from, to) = (self.storage().clone(), self.spooled(file), self.series.path(&self.time, file));
        self.uploads.spawn(async move {
            storage.upload(&from, &to).await?;
            Ok(tokio::fs::remove_file(&from).await?)
        });
        Ok(())
    }

    /// Moves all files to their place, and writes the record. Returns the SHA-256 of the record, which has those of all
    /// files.
    ///
    /// # Errors
    /// Cancelled; errors of the store.
    pub async fn store(&mut self, record: &Record, progress: &Progress) -> Result<String> {
        while !self.uploads.is_empty() {
            progress.unless_cancelled(self.wait_for_upload()).await?;
        }
        let text = serde_json::to_vec_pretty(record).map_err(|err| Error::internal("write JSON").with_source(err))?;
        let sha256 = format!("{:x}", Sha256::digest(&text));
        progress.check()?;
        if self.storage().is_folder() {
            self.write(RECORD, &text).await?;
            self.storage().move_in(&self.spool, &self.series.folder(&self.time)).await?;
        } else {
            self.storage().put(&self.series.path(&self.time, RECORD), text.into()).await?;
        }
        Ok(sha256)
    }

    /// Makes this export the latest.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn make_latest(&self) -> Result<()> {
        self.series.make_latest(&self.time).await
    }

    /// This export, once it is stored.
    pub fn located(&self, record: &Record) -> Located {
        Located { series: self.series.clone(), time: self.time.clone(), record: record.clone() }
    }

    /// Removes what was written of it.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn remove(mut self) -> Result<()> {
        self.uploads.shutdown().await;
        self.storage().delete_folder(&self.series.folder(&self.time)).await
    }

    /// Its URI.
    pub fn uri(&self) -> String {
        self.storage().uri(&self.series.folder(&self.time))
    }

    /// The URI of the manifest that names the latest export.
    pub fn manifest_uri(&self) -> String {
        self.series.manifest_uri()
    }

    async fn wait_for_upload(&mut self) -> Result<()> {
        match self.uploads.join_next().await {
            None => Ok(()),
            Some(Ok(uploaded)) => uploaded,
            Some(Err(err)) => Err(Error::internal("upload a file").with_source(err)),
        }
    }

    fn storage(&self) -> &Storage {
        self.series.storage()
    }
}

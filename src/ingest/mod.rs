//! Ingest: from a source to a landing, assets and tables, in that order.
//!
//! 1. Inspect the source: its files and their format.
//! 2. Land: copy the data files to `raw/<dataset>/<date>/<time>/`. Images of a COCO folder are stored as assets instead.
//! 3. Store media as assets (`assets/<dataset>/<column>/<file>`).
//! 4. Load all tables in one transaction, with URIs in place of the media.
//! 5. Write the manifest, which makes the landing the latest.
//!
//! If a step fails, the files of the earlier steps are removed, and no table has changed. A killed process leaves files
//! that no table and no manifest references.

mod assets;
mod coco;
mod coco_json;
mod landing;
mod load;
mod media_columns;
mod request;
mod source;
mod text;
mod work;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use parking_lot::Mutex;

use self::{assets::Assets, landing::Landing, source::Format, work::Work};
pub use self::{
    load::{Mode, TableOutcome},
    request::Request,
    source::Source,
    text::{Options, Sign, encoding},
};
use crate::{
    context::Principal,
    error::{Error, Result},
    ids::SnapshotId,
    jobs::Progress,
    lake::Lake,
    storage::Storage,
};

/// The result of an ingest.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The snapshot that contains the rows.
    pub snapshot_id: SnapshotId,
    /// The URI of the landing.
    pub landing: String,
    /// The number of files.
    pub files: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// The number of assets written.
    pub assets: u64,
    /// The changed tables.
    pub tables: Vec<TableOutcome>,
}

/// Ingests into one lake.
#[derive(Debug)]
pub struct Ingester {
    lake: Lake,
    storage: Storage,
    staging: PathBuf,
    /// One ingest per data set at a time: an ingest that fails removes files that another may have reused.
    datasets: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

// === impl Ingester ===

impl Ingester {
    /// Ingests into `lake`, with files in `storage` and temporary files in the folder `staging`.
    pub fn new(lake: Lake, storage: Storage, staging: PathBuf) -> Self {
        Self { lake, storage, staging, datasets: Mutex::default() }
    }

    /// Ingests a source, with `author` as the author of the commit.
    ///
    /// # Errors
    /// `NotFound` and `InvalidArgument` for an unusable source; Cancelled. Nothing was written then.
    pub async fn run(&self, request: &Request, author: &Principal, progress: &Progress) -> Result<Outcome> {
        progress.phase("wait for another ingest", "files", None);
        let dataset = {
            let mut datasets = self.datasets.lock();
            // Locks that no ingest holds.
            datasets.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(datasets.entry(request.dataset.clone()).or_default())
        };
        let _turn = progress.unless_cancelled(async { Ok(dataset.lock().await) }).await?;
        progress.phase("read source", "files", None);
        let files = request.source.files().await?;
        if matches!(files.format, Format::Parquet | Format::Coco) {
            request.reader.check_none()?;
        }
        let mut landing = Landing::new(self.storage.clone(), &request.dataset);
        let mut assets = Assets::new(self.storage.clone(), &request.dataset);
        let spool = tempfile::tempdir_in(&self.staging)?;
        let work = async {
            landing.copy(&files, progress).await?;
            let context = Work { lake: &self.lake, request, author, progress, spool: spool.path(), landing: &landing };
            match files.format {
                Format::Coco => coco::load(&context, &files, &mut assets).await,
                Format::Parquet => media_columns::load(&context, &mut assets).await,
                Format::Csv | Format::Json => text::load(&context, &files).await,
            }
        };
        // The future is not dropped when the job is cancelled: an upload in progress may still complete, and must be
        // recorded to be removed. The steps check for cancellation between writes.
        let loaded = match work.await {
            Ok(loaded) => loaded,
            Err(err) => {
                undo(landing, assets).await;
                return Err(err);
            }
        };
        if let Err(err) = landing.make_latest().await {
            // Not an error of the call: the rows are committed, and a repeated call would add them again.
            tracing::error!(cause = %err, landing = landing.uri(), "cannot write the manifest of a landing");
        }
        Ok(Outcome {
            snapshot_id: loaded.snapshot_id,
            landing: landing.uri(),
            files: files.data.len() as u64,
            bytes: landing.bytes(),
            assets: assets.written(),
            tables: loaded.tables,
        })
    }
}

/// Removes the files of a failed ingest. No table and no manifest references those that cannot be removed.
async fn undo(landing: Landing, assets: Assets) {
    for outcome in [landing.remove().await, assets.remove().await] {
        if let Err(err) = outcome {
            tracing::warn!(cause = %err, "cannot remove the files of a failed ingest");
        }
    }
}

/// Checks the name of a data set.
///
/// # Errors
/// `InvalidArgument` with the rule for names.
pub fn check_dataset(name: &str) -> Result<()> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && name.len() <= 64 && name.chars().all(sound) {
        return Ok(());
    }
    let text = "use 1 to 64 lower case letters, digits and underscores, a letter first";
    Err(Error::invalid(format!("\"{name}\" is not a valid name of a data set: {text}")))
}

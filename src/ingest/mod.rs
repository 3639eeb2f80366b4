//! Ingest: from a source to a landing, assets and tables, in that order.
//!
//! 1. Look at the source: which files, of which format.
//! 2. Land: copy the data files to `raw/<dataset>/<date>/<time>/`. Pictures of a COCO folder go to the assets instead.
//! 3. Store media as assets (`assets/<dataset>/<column>/<file>`) and note the URI of each.
//! 4. Load: one transaction for all tables, which then hold URIs where the media were.
//! 5. Write the manifest that makes the landing the latest.
//!
//! When a step fails, what the earlier ones wrote is removed and no table has changed. A process that is killed leaves
//! files that no table and no manifest names.

mod assets;
mod coco;
mod coco_json;
mod landing;
mod load;
mod media_columns;
mod request;
mod source;
mod work;

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use parking_lot::Mutex;

use self::{assets::Assets, landing::Landing, source::Format, work::Work};
pub use self::{
    load::{Mode, TableOutcome},
    request::Request,
    source::Source,
};
use crate::{
    context::Principal,
    error::{Error, Result},
    ids::SnapshotId,
    jobs::Progress,
    lake::Lake,
    storage::Storage,
};

/// What an ingest did.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The snapshot that the rows came with.
    pub snapshot_id: SnapshotId,
    /// The landing's URI.
    pub landing: String,
    /// How many files were read.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// How many assets were written.
    pub assets: u64,
    /// What happened to each table.
    pub tables: Vec<TableOutcome>,
}

/// Ingests into one lake.
#[derive(Debug)]
pub struct Ingester {
    lake: Lake,
    storage: Storage,
    staging: PathBuf,
    /// One ingest a data set at a time: what one undoes, another may have found and kept.
    datasets: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

// === impl Ingester ===

impl Ingester {
    /// Ingests into `lake`, with files in `storage` and temporary ones in the folder `staging`.
    pub fn new(lake: Lake, storage: Storage, staging: PathBuf) -> Self {
        Self { lake, storage, staging, datasets: Mutex::default() }
    }

    /// Ingests a source in the name of `author`.
    ///
    /// # Errors
    /// `NotFound` and `InvalidArgument` for what is wrong with the source; Cancelled. Nothing is half-written then.
    pub async fn run(&self, request: &Request, author: &Principal, progress: &Progress) -> Result<Outcome> {
        progress.phase("wait for another ingest", "files", None);
        let dataset = {
            let mut datasets = self.datasets.lock();
            // Those that nobody ingests any more.
            datasets.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(datasets.entry(request.dataset.clone()).or_default())
        };
        let _turn = progress.unless_cancelled(async { Ok(dataset.lock().await) }).await?;
        progress.phase("read source", "files", None);
        let files = request.source.files().await?;
        let mut landing = Landing::new(self.storage.clone(), &request.dataset);
        let mut assets = Assets::new(self.storage.clone(), &request.dataset);
        let spool = tempfile::tempdir_in(&self.staging)?;
        let work = async {
            landing.copy(&files, progress).await?;
            let context = Work { lake: &self.lake, request, author, progress, spool: spool.path(), landing: &landing };
            match files.format {
                Format::Coco => coco::load(&context, &files, &mut assets).await,
                Format::Parquet | Format::Csv | Format::Json => {
                    media_columns::load(&context, &files, &mut assets).await
                }
            }
        };
        // Not dropped when the job is cancelled: a write to the store that is under way ends anyway, and must be known
        // to be undone. The steps ask between two writes whether to go on.
        let loaded = match work.await {
            Ok(loaded) => loaded,
            Err(err) => {
                undo(landing, assets).await;
                return Err(err);
            }
        };
        if let Err(err) = landing.make_latest().await {
            // The rows are committed: a repeated call would add them again.
            tracing::error!(cause = %err, landing = landing.uri(), "a landing could not be made the latest");
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

/// Removes what a failed ingest wrote. What cannot be removed is not named by any table or manifest.
async fn undo(landing: Landing, assets: Assets) {
    for outcome in [landing.remove().await, assets.remove().await] {
        if let Err(err) = outcome {
            tracing::warn!(cause = %err, "files of a failed ingest stay behind");
        }
    }
}

/// Checks the name of a data set.
///
/// # Errors
/// `InvalidArgument` that says what a name may be.
pub fn check_dataset(name: &str) -> Result<()> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && name.len() <= 64 && name.chars().all(sound) {
        return Ok(());
    }
    let text = "use 1 to 64 lower case letters, digits and underscores, a letter first";
    Err(Error::invalid(format!("\"{name}\" is no name for a data set: {text}")))
}

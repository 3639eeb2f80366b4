//! Ingest: from a source to a landing, assets and tables, in that order.
//!
//! 1. Get the files of the source: those of other machines are downloaded to a temporary folder.
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
mod format;
mod landing;
mod landings;
mod load;
mod media_columns;
mod name;
mod request;
mod source;
mod text;
mod video;
mod work;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use self::{
    assets::Assets,
    format::Format,
    landing::Landing,
    source::{Download, Files},
    work::Work,
};
pub use self::{
    landings::{Found, LandingState},
    load::{Mode, TableOutcome},
    name::{check_dataset, snake_case},
    request::Request,
    source::{Outside, Source},
    text::{Options, Sign, encoding},
};
use crate::{
    context::Principal,
    error::Result,
    ids::SnapshotId,
    jobs::Progress,
    lake::{Lake, snapshots},
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
    outside: Outside,
    is_shared: bool,
    /// One ingest per data set at a time: an ingest that fails removes files that another may have reused.
    datasets: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

// === impl Ingester ===

impl Ingester {
    /// Ingests into `lake`, with files in `storage`, which other servers may share, and temporary files in the folder
    /// `staging`.
    pub fn new(lake: Lake, storage: Storage, staging: PathBuf, outside: Outside, is_shared: bool) -> Self {
        Self { lake, storage, staging, outside, is_shared, datasets: Mutex::default() }
    }

    /// Ingests a source, with `author` as the author of the commit.
    ///
    /// # Errors
    /// `NotFound` and `InvalidArgument` for an unusable source; Cancelled. Nothing was written then.
    pub async fn run(&self, request: &Request, author: &Principal, progress: &Progress) -> Result<Outcome> {
        progress.phase("wait for another ingest", "files", None);
        let dataset = self.lock_of(&request.dataset);
        let _turn = progress.unless_cancelled(async { Ok(dataset.lock().await) }).await?;
        let spool = tempfile::tempdir_in(&self.staging)?;
        let downloads = spool.path().join("source");
        let landing = match self.landing(request, &downloads, progress).await? {
            Place::Empty(landing) => return self.nothing_yet(&landing).await,
            Place::Ready(landing) => landing,
        };
        progress.phase("read source", "files", None);
        let download = Download { outside: &self.outside, folder: &downloads, progress };
        let files = request.source.files(download).await?;
        request.check(files.format)?;
        let job = Job { request, author, progress, spool: spool.path() };
        self.load(&job, &files, landing).await
    }

    /// The landings of `dataset`, or of all data sets: the newest first. Without `all`, only the latest of each data set, and
    /// those that wait for files.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn landings(&self, dataset: Option<&str>, all: bool) -> Result<Vec<Found>> {
        landings::list(&self.storage, dataset, all).await
    }

    /// Removes the landings of `dataset` that are older than its latest, unless it is a dry run. Returns them.
    ///
    /// # Errors
    /// Cancelled; errors of the store. Some may be removed then.
    pub async fn prune(&self, dataset: &str, dry_run: bool, progress: &Progress) -> Result<Vec<Found>> {
        let lock = self.lock_of(dataset);
        let _turn = progress.unless_cancelled(async { Ok(lock.lock().await) }).await?;
        let superseded = landings::superseded(landings::list(&self.storage, Some(dataset), true).await?);
        for landing in superseded.iter().filter(|_| !dry_run) {
            progress.check()?;
            landings::remove(&self.storage, landing).await?;
        }
        Ok(superseded)
    }

    async fn load(&self, job: &Job<'_>, files: &Files, mut landing: Landing) -> Result<Outcome> {
        let Job { request, author, progress, spool } = *job;
        let mut assets = Assets::new(self.storage.clone(), &request.dataset, self.is_shared);
        let work = async {
            landing.land(files, progress).await?;
            let table = request.table.clone().unwrap_or_else(|| files.format.default_table(&request.dataset));
            let lake = &self.lake;
            let context = Work { lake, request, author, progress, spool, landing: &landing, table: &table };
            match files.format {
                Format::Video => video::load(&context, files, &mut assets).await,
                Format::Coco => coco::load(&context, files, &mut assets).await,
                Format::Parquet => media_columns::load(&context, &mut assets).await,
                Format::Csv | Format::Json => text::load(&context, files).await,
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
        if let Err(err) = landing.make_latest(request.source.shown()).await {
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

    /// The landing of an ingest; for [`Source::Manual`] the one that waits for files, which are downloaded.
    async fn landing(&self, request: &Request, downloads: &Path, progress: &Progress) -> Result<Place> {
        let (storage, dataset) = (self.storage.clone(), &request.dataset);
        if request.source != Source::Manual {
            return Ok(Place::Ready(Landing::new(storage, dataset)));
        }
        let Some(waiting) = Landing::waiting(storage.clone(), dataset).await? else {
            return Ok(Place::Empty(Landing::make(storage, dataset).await?));
        };
        let found = waiting.download(downloads, progress).await?;
        Ok(if found == 0 { Place::Empty(waiting) } else { Place::Ready(waiting) })
    }

    /// The outcome while nobody has put files into a landing.
    async fn nothing_yet(&self, landing: &Landing) -> Result<Outcome> {
        let snapshot_id = self.lake.engine().run(|connection| Ok(snapshots::newest(connection))).await?;
        Ok(Outcome { snapshot_id, landing: landing.uri(), files: 0, bytes: 0, assets: 0, tables: Vec::new() })
    }

    fn lock_of(&self, dataset: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut datasets = self.datasets.lock();
        // Locks that no ingest holds.
        datasets.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(datasets.entry(dataset.to_owned()).or_default())
    }
}

/// Where the files of an ingest land.
enum Place {
    Ready(Landing),
    /// Somebody has to put files there first.
    Empty(Landing),
}

/// An ingest and its temporary folder.
struct Job<'a> {
    request: &'a Request,
    author: &'a Principal,
    progress: &'a Progress,
    spool: &'a Path,
}

/// Removes the files of a failed ingest. No table and no manifest references those that cannot be removed.
async fn undo(landing: Landing, assets: Assets) {
    for outcome in [landing.remove().await, assets.remove().await] {
        if let Err(err) = outcome {
            tracing::warn!(cause = %err, "cannot remove the files of a failed ingest");
        }
    }
}

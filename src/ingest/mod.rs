//! Ingest: from a source to a landing, assets and tables, in that order.
//!
//! 1. Gather the files of the source: those of other machines are downloaded, unless an earlier ingest has landed them.
//! 2. Plan what is read of them: what an earlier ingest has loaded is not.
//! 3. Land: copy the data files to `raw/<dataset>/<date>/<time>/`. Images of COCO and frame folders become assets instead.
//! 4. Store media as assets (`assets/<dataset>/<column>/<file>`).
//! 5. Load all tables in one transaction, with URIs in place of the media.
//! 6. Write the manifest, which makes the landing the latest, and the record of the ingest.
//!
//! If a step fails, the files of the earlier steps are removed, and no table has changed. A killed process leaves files
//! that no table and no manifest references; the next ingest of the same source uses what it had downloaded.

mod assets;
mod clips;
mod coco;
mod coco_json;
mod coco_rows;
mod coco_tables;
mod earlier;
mod format;
mod frames;
mod gathered;
mod landing;
mod landings;
mod load;
mod media_cells;
mod media_columns;
mod media_folder;
mod media_rows;
pub mod media_side;
mod name;
mod outcome;
mod plan;
mod request;
mod rows;
mod samples;
mod sequences;
mod source;
mod tarball;
mod text;
mod video;
mod webdataset;
mod work;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;

use self::{
    assets::Assets,
    earlier::{Earlier, Records, rows_of},
    format::Format,
    gathered::{Gathered, Gatherer},
    landing::Landing,
    load::Loaded,
    media_columns::{Table, Tables},
    plan::{Now, Plan},
    source::{Downloads, Files, HubMedia, Wanted},
    work::Work,
};
pub use self::{
    coco_rows::Boxes,
    landings::{Found, LandingState},
    load::{Mode, TableOutcome, WhenMatched},
    name::{check_dataset, snake_case},
    outcome::Outcome,
    request::{ClipOptions, Encoding, Request},
    source::{Outside, Source},
    text::{Options, Sign, encoding},
};
use crate::{
    context::Principal,
    error::{Error, ErrorKind, Result},
    jobs::Progress,
    lake::{Lake, standing::Standing},
    storage::Storage,
};

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

    /// Ingests a source, with `author` as the author of the commit. What the same ingest has done before is not done again.
    ///
    /// # Errors
    /// `NotFound` and `InvalidArgument` for an unusable source; `Unavailable` for one that does not answer; Cancelled.
    /// Nothing was written then.
    pub async fn run(&self, request: &Request, author: &Principal, progress: &Progress) -> Result<Outcome> {
        progress.phase("wait for another ingest", "files", None);
        let dataset = self.lock_of(&request.dataset);
        let _turn = progress.unless_cancelled(async { Ok(dataset.lock().await) }).await?;
        let spool = tempfile::tempdir_in(&self.staging)?;
        let landed = spool.path().join("source");
        let landing = match self.landing(request, &landed, progress).await? {
            Place::Empty(landing) => return self.nothing_yet(&landing).await,
            Place::Ready(landing) => landing,
        };
        let records = Records::new(self.storage.clone(), request);
        let earlier = records.find(&self.lake).await?;
        let downloads = Downloads::new(&self.staging, &records.name());
        let job = Job { request, author, progress, spool: spool.path(), records: &records, earlier: earlier.as_ref() };
        let outcome = self.ingest(&job, &downloads, landing, landed).await;
        let may_continue = |err: &Error| matches!(err.kind(), ErrorKind::Unavailable | ErrorKind::Cancelled);
        if !outcome.as_ref().is_err_and(may_continue)
            && let Err(err) = downloads.remove().await
        {
            tracing::warn!(cause = %err, "cannot remove what an ingest has downloaded");
        }
        outcome
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

    async fn ingest(
        &self,
        job: &Job<'_>,
        downloads: &Downloads,
        mut landing: Landing,
        landed: PathBuf,
    ) -> Result<Outcome> {
        let Job { request, progress, earlier, .. } = *job;
        let wanted = Wanted { config: request.config.as_deref(), split: request.split.as_deref() };
        let opened = request.source.open(&self.outside, wanted, landed, progress).await?;
        let media = opened.media();
        let sources = Gatherer { request, storage: &self.storage, downloads, spool: job.spool, progress };
        let mut gathered = sources.gather(opened.clone(), earlier.map(|(earlier, _)| earlier)).await?;
        request.check(gathered.files.format)?;
        let (mode, wanted) = match job.plan(&gathered).await? {
            Plan::Nothing => return self.nothing_new(job, &gathered, landing).await,
            Plan::Read { mode, files } => (mode, files),
        };
        if !gathered.files.format.is_landed() && gathered.lacks(&wanted) {
            gathered = sources.gather(opened, None).await?;
        }
        let written = async {
            landing.land(&gathered.files, progress).await?;
            let mut record = job.record(&gathered, &landing, &mode);
            record.snapshot_id = earlier::newest(&self.lake).await?;
            job.records.announce(&record).await?;
            Ok(record)
        };
        let mut record = match written.await {
            Ok(record) => record,
            Err(err) => {
                self.undo(job, landing, None).await;
                return Err(err);
            }
        };
        let assets = Assets::new(self.storage.clone(), &request.dataset, self.is_shared);
        // The future is not dropped when the job is cancelled: an upload in progress may still complete, and must be
        // recorded to be removed. The steps check for cancellation between writes.
        let loaded = match self
            .load(job, &gathered, &wanted, mode, Beside { landing: &landing, assets: &assets, media })
            .await
        {
            Ok(loaded) => loaded,
            Err(err) => {
                if !matches!(job.records.is_committed(&self.lake, &record).await, Ok(false)) {
                    tracing::warn!(cause = %err, landing = landing.uri(), "an ingest may have been committed");
                    return Err(err);
                }
                self.undo(job, landing, Some(assets)).await;
                return Err(err);
            }
        };
        if let Err(err) = self.conclude(job, &landing, &mut record, &loaded).await {
            // Not an error of the call: the rows are committed. The next call completes it.
            tracing::error!(cause = %err, landing = landing.uri(), "cannot write the manifest of a landing");
        }
        Ok(Outcome {
            snapshot_id: loaded.snapshot_id,
            landing: landing.uri(),
            files: record.files.len() as u64,
            bytes: landing.bytes(),
            downloaded: gathered.downloaded,
            assets: assets.written(),
            tables: loaded.tables,
            unchanged: false,
        })
    }

    async fn load(
        &self,
        job: &Job<'_>,
        gathered: &Gathered,
        wanted: &[bool],
        mode: Mode,
        beside: Beside<'_>,
    ) -> Result<Loaded> {
        let Beside { landing, assets, media } = beside;
        let Job { author, progress, spool, .. } = *job;
        let format = gathered.files.format;
        let files = match format {
            // DuckDB reads the landed files.
            Format::Parquet => gathered.files.only(|index| wanted[index]),
            _ => gathered.here(wanted, &self.storage, spool.join("kept"), progress).await?,
        };
        let request = &Request { mode, ..job.request.clone() };
        let table = request.table.clone().unwrap_or_else(|| format.default_table(&request.dataset));
        let earlier = job.filled();
        let (lake, table, earlier, media) = (&self.lake, &table, &earlier, media.as_deref());
        let work = Work { lake, request, author, progress, spool, landing, table, earlier, media };
        match format {
            Format::Video => video::load(&work, &files, assets).await,
            Format::Frames => sequences::load(&work, &files, assets).await,
            Format::Images | Format::Sounds => media_folder::load(&work, &files, assets).await,
            Format::Coco => coco::load(&work, &files, assets).await,
            Format::Parquet => media_columns::load(&work, tables(landing, &files), assets).await,
            Format::WebDataset => samples::load(&work, &files, assets).await,
            Format::Csv | Format::Json => text::load(&work, &files).await,
        }
    }

    /// Writes down what was committed.
    async fn conclude(&self, job: &Job<'_>, landing: &Landing, record: &mut Earlier, loaded: &Loaded) -> Result<()> {
        let names = loaded.tables.iter().map(|outcome| outcome.table.clone()).collect();
        let tables = self.lake.engine().run(move |connection| earlier::with_uuids(connection, names));
        (record.tables, record.snapshot_id, record.committed) = (tables.await?, loaded.snapshot_id, loaded.committed);
        landing.make_latest(record.source.clone()).await?;
        job.records.confirm(record).await
    }

    /// The outcome if everything was ingested before.
    async fn nothing_new(&self, job: &Job<'_>, gathered: &Gathered, mut landing: Landing) -> Result<Outcome> {
        let Some((earlier, _)) = job.earlier else { return self.nothing_yet(&landing).await };
        let mut record = earlier.clone();
        if job.request.source == Source::Manual {
            // Somebody has put the same files there once more.
            landing.land(&gathered.files, job.progress).await?;
            landing.make_latest(record.source.clone()).await?;
            (record.landing, record.files) = (landing.time().to_owned(), landing.files().to_vec());
        } else {
            landing = Landing::of(self.storage.clone(), &job.request.dataset, &record.landing, record.files.clone());
            // What has other tags and the same content need not be fetched the next time.
            record.revision.clone_from(&gathered.revision);
            record.items = gathered.items_of(&landing);
        }
        if record != *earlier {
            job.records.confirm(&record).await?;
        }
        let unread = |(table, _): &(String, String)| TableOutcome { table: table.clone(), rows_read: 0, rows_added: 0 };
        Ok(Outcome {
            snapshot_id: record.snapshot_id,
            landing: landing.uri(),
            files: record.files.len() as u64,
            bytes: landing.bytes(),
            downloaded: gathered.downloaded,
            assets: 0,
            tables: record.tables.iter().map(unread).collect(),
            unchanged: true,
        })
    }

    /// Removes the files of a failed ingest, unless it was committed and only the answer was lost: the next ingest completes
    /// it then. No table and no manifest references those that cannot be removed.
    async fn undo(&self, job: &Job<'_>, landing: Landing, assets: Option<Assets>) {
        let assets = async {
            match assets {
                Some(assets) => assets.remove().await,
                None => Ok(()),
            }
        };
        for outcome in [job.records.withdraw().await, landing.remove().await, assets.await] {
            if let Err(err) = outcome {
                tracing::warn!(cause = %err, "cannot remove the files of a failed ingest");
            }
        }
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
        Ok(Outcome {
            snapshot_id: earlier::newest(&self.lake).await?,
            landing: landing.uri(),
            files: 0,
            bytes: 0,
            downloaded: 0,
            assets: 0,
            tables: Vec::new(),
            unchanged: false,
        })
    }

    fn lock_of(&self, dataset: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut datasets = self.datasets.lock();
        // Locks that no ingest holds.
        datasets.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(datasets.entry(dataset.to_owned()).or_default())
    }
}

/// Parquet files, of which DuckDB opens those that landed.
fn tables(landing: &Landing, files: &Files) -> Tables {
    let mut tables = Tables::new();
    for file in &files.data {
        let (pattern, name) = (landing.engine_path(&file.name), landing.engine_name(&file.name));
        tables.entry(file.split.clone()).or_default().push(Table { pattern, name, content: file.content.clone() });
    }
    tables
}

/// What is beside the rows of an ingest.
struct Beside<'a> {
    landing: &'a Landing,
    assets: &'a Assets,
    media: Option<Arc<HubMedia>>,
}

/// Where the files of an ingest land.
enum Place {
    Ready(Landing),
    /// Somebody has to put files there first.
    Empty(Landing),
}

/// An ingest, its temporary folder, and what it did before.
#[derive(Clone, Copy)]
struct Job<'a> {
    request: &'a Request,
    author: &'a Principal,
    progress: &'a Progress,
    spool: &'a Path,
    records: &'a Records,
    earlier: Option<&'a (Earlier, Standing)>,
}

// === impl Job ===

impl Job<'_> {
    async fn plan(&self, gathered: &Gathered) -> Result<Plan> {
        let earlier = self.earlier.map(|(earlier, standing)| (earlier, *standing));
        // The first time, everything is read.
        let rows = match earlier {
            Some(_) => gathered.rows(self.progress).await?,
            None => vec![String::new(); gathered.files.data.len()],
        };
        let Request { mode, max_rows, boxes, .. } = self.request;
        let others = Some(gathered.others.as_str());
        let now = Now { format: gathered.files.format, rows: &rows, others, max_rows: *max_rows, boxes: *boxes };
        Ok(plan::plan(mode, now, earlier))
    }

    /// The tables that earlier ingests have filled, and that are still there.
    fn filled(&self) -> Vec<String> {
        match self.earlier {
            None | Some((_, Standing::Gone)) => Vec::new(),
            Some((earlier, _)) => earlier.tables.iter().map(|(table, _)| table.clone()).collect(),
        }
    }

    /// What will have been done, without the commit.
    fn record(&self, gathered: &Gathered, landing: &Landing, mode: &Mode) -> Earlier {
        let files = landing.files();
        let now = files.iter().zip(&gathered.files.data);
        let format = gathered.files.format;
        let mut loaded: BTreeSet<_> = now.map(|(file, data)| rows_of(&file.sha256, data, format)).collect();
        match self.earlier {
            Some((earlier, Standing::Touched | Standing::Untouched)) if *mode != Mode::Replace => {
                loaded.extend(earlier.loaded.iter().cloned());
            }
            _ => {}
        }
        Earlier {
            source: self.request.source.shown(),
            revision: gathered.revision.clone(),
            landing: landing.time().to_owned(),
            format,
            mode: self.request.mode.clone(),
            items: gathered.items_of(landing),
            files: files.to_vec(),
            loaded,
            others: Some(gathered.others.clone()),
            max_rows: self.request.max_rows,
            boxes: self.request.boxes,
            tables: Vec::new(),
            snapshot_id: crate::ids::SnapshotId(0),
            committed: false,
        }
    }
}

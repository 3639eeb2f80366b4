//! Past states of the lake: separate engines in which one snapshot is the newest, and nothing can be written.
//!
//! A name such as `lake.raw.t` must mean the table of the pinned snapshot wherever it is used, including metadata and
//! views. So a pin attaches the lake again, under the same name and read-only, in a second instance of DuckDB. A
//! catalog in a DuckDB file can be opened only once: in that case a copy of the file is attached (not of the data,
//! whose files never change). Sessions that pin the same snapshot share the pin.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tempfile::TempDir;

use super::{
    attach,
    catalog::Catalog,
    catalog_copy,
    snapshots::{self, SnapshotRef},
};
use crate::{
    engine::{self, Connection, Engine},
    error::{Context, Error, ErrorKind, Result},
    ids::SnapshotId,
};

/// The maximum number of snapshots that are pinned at the same time.
const MAX_PINS: usize = 8;
/// How long an unused pin is kept.
const KEEP: Duration = Duration::from_mins(5);
/// A pin may use the server's memory limit divided by this, …
const MEMORY_SHARE: u64 = 16;
/// … but at least this much.
const MIN_MEMORY_BYTES: u64 = 256 << 20;

const ATTACH: &str = include_str!("../../sql/01_pin.sql");

/// Prepares a new engine before it is used.
type Prepare = dyn Fn(&Connection) -> Result<()> + Send + Sync;

/// The pins of one lake.
pub struct Pins {
    engine: Engine,
    settings: engine::Settings,
    lake: attach::Settings,
    prepare: OnceLock<Box<Prepare>>,
    /// Only one opens at a time.
    opening: tokio::sync::Mutex<()>,
    open: Mutex<Vec<Pin>>,
}

/// One snapshot with its engine.
#[derive(Debug)]
struct Pin {
    snapshot: SnapshotId,
    engine: Engine,
    used: Instant,
    /// The copy of the catalog, if one was needed.
    _copy: Option<TempDir>,
}

// === impl Pins ===

impl Pins {
    /// Creates an empty set of pins of `lake`, which was opened as `engine`.
    pub fn new(engine: Engine, settings: engine::Settings, lake: attach::Settings) -> Self {
        Self {
            engine,
            settings,
            lake,
            prepare: OnceLock::new(),
            opening: tokio::sync::Mutex::default(),
            open: Mutex::default(),
        }
    }

    /// The settings with which the lake was opened.
    pub fn origin(&self) -> (&engine::Settings, &attach::Settings) {
        (&self.settings, &self.lake)
    }

    /// Runs `prepare` once on every new engine from now on.
    pub fn prepare_with(&self, prepare: impl Fn(&Connection) -> Result<()> + Send + Sync + 'static) {
        let _ = self.prepare.set(Box::new(prepare));
    }

    /// The snapshot that `name` refers to now.
    ///
    /// # Errors
    /// As [`snapshots::resolve`].
    pub async fn resolve(&self, name: SnapshotRef) -> Result<SnapshotId> {
        self.engine.run(move |connection| snapshots::resolve(connection, &name)).await
    }

    /// The engine in which `id` is the newest snapshot. Holding it keeps it open, but it must be requested again for
    /// each new piece of work.
    ///
    /// # Errors
    /// `NotFound` if the snapshot does not exist any more; `ResourceExhausted` if too many are being read.
    pub async fn get(self: &Arc<Self>, id: SnapshotId) -> Result<Engine> {
        if let Some(engine) = self.find(id) {
            return Ok(engine);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(engine) = self.find(id) {
            return Ok(engine);
        }
        self.resolve(SnapshotRef::Version(id)).await?;
        self.make_room()?;
        let copy = match &self.lake.catalog {
            Catalog::DuckdbFile(_) => {
                let pins = Arc::clone(self);
                Some(self.engine.run(move |connection| pins.copy_catalog(connection)).await?)
            }
            Catalog::Sqlite(_) | Catalog::Postgres(_) => None,
        };
        let pins = Arc::clone(self);
        let opened = tokio::task::spawn_blocking(move || pins.attach(id, copy)).await;
        let pin = opened.map_err(|err| Error::internal("pin a snapshot").with_source(err))??;
        let engine = pin.engine.clone();
        let pins = Arc::clone(self);
        engine.run(move |connection| pins.prepare.get().map_or(Ok(()), |prepare| prepare(connection))).await?;
        self.open.lock().push(pin);
        Ok(engine)
    }

    /// Drops the pins that have not been used for a while.
    pub fn drop_idle(&self) {
        self.open.lock().retain(|pin| pin.is_in_use() || pin.used.elapsed() < KEEP);
    }

    /// Drops all pins; running reads are completed.
    pub fn clear(&self) {
        self.open.lock().clear();
    }

    /// Resolves when all pins that are open now have closed.
    pub fn closed(&self) -> impl Future<Output = ()> + use<> {
        let closed = futures::future::join_all(self.open.lock().iter().map(|pin| pin.engine.closed()));
        async move { _ = closed.await }
    }

    fn find(&self, id: SnapshotId) -> Option<Engine> {
        let mut open = self.open.lock();
        let pin = open.iter_mut().find(|pin| pin.snapshot == id)?;
        pin.used = Instant::now();
        Some(pin.engine.clone())
    }

    fn make_room(&self) -> Result<()> {
        let mut open = self.open.lock();
        if open.len() < MAX_PINS {
            return Ok(());
        }
        let unused = open.iter().enumerate().filter(|(_, pin)| !pin.is_in_use());
        let oldest = unused.min_by_key(|(_, pin)| pin.used).map(|(at, _)| at);
        let text = format!("{MAX_PINS} snapshots are being read by pinned sessions: try again, or end some of them");
        open.swap_remove(oldest.ok_or_else(|| Error::new(ErrorKind::ResourceExhausted, text))?);
        Ok(())
    }

    /// Copies the current catalog to a new folder.
    fn copy_catalog(&self, connection: &Connection) -> Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("pin-").tempdir_in(&self.settings.staging)?;
        catalog_copy::copy(connection, &copy_in(folder.path())).context(|| "pin a snapshot").map(|()| folder)
    }

    fn attach(&self, snapshot: SnapshotId, copy: Option<TempDir>) -> Result<Pin> {
        let mut lake = self.lake.clone();
        if let Some(folder) = &copy {
            lake.catalog = Catalog::DuckdbFile(copy_in(folder.path()));
        }
        let settings = engine::Settings { memory_limit_bytes: Some(self.memory_bytes()), ..self.settings.clone() };
        let script = ATTACH.replace("{{snapshot}}", &snapshot.to_string());
        let engine = attach::open_script(&settings, &lake, &script)?;
        Ok(Pin { snapshot, engine, used: Instant::now(), _copy: copy })
    }

    fn memory_bytes(&self) -> u64 {
        (self.engine.memory_limit_bytes() / MEMORY_SHARE).max(MIN_MEMORY_BYTES)
    }
}

// === impl Pin ===

impl Pin {
    /// Whether statements are running, or a connection is held.
    fn is_in_use(&self) -> bool {
        self.engine.pool_use().in_use > 0
    }
}

/// The copy of a catalog in `folder`.
fn copy_in(folder: &Path) -> PathBuf {
    folder.join("catalog.ducklake")
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pins").field("open", &self.open).finish_non_exhaustive()
    }
}

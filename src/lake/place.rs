//! Putting a copy of a catalog where a catalog shall be: all of it, or nothing.
//!
//! A file is made beside its place and moved there when it is complete. In PostgreSQL all rows are replaced in one
//! transaction. Whoever had the catalog open would go on with what it remembers, so nobody may.

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use chrono::Utc;
use tempfile::{TempDir, TempPath};

use super::{
    attach::{self, make_writable},
    catalog::Catalog,
    lock, portable,
    postgres::{self, Postgres},
    snapshots,
};
use crate::{
    engine::{self, Connection, Engine},
    error::{Context, Error, ErrorKind, Result},
};

/// How long a statement may take to end when an engine is closed that nobody else has.
const GRACE: Duration = Duration::from_secs(5);

/// What is written behind the name of a DuckDB or SQLite file that belongs to it.
const COMPANIONS: [&str; 3] = [".wal", "-wal", "-shm"];

/// Where a catalog shall be.
#[derive(Clone, Debug)]
pub struct Target {
    /// In what.
    pub catalog: Catalog,
    /// Where the lake's files lie, with a slash at its end.
    pub data_path: String,
}

/// Puts the catalog in `file` at the place that `target` names.
///
/// # Errors
/// `AlreadyExists` when a catalog is there; what the operating system and the database say. Nothing is there then.
pub async fn install(settings: &engine::Settings, target: &Target, file: &Path) -> Result<()> {
    check_vacant(settings, &target.catalog).await?;
    if let Some(place) = target.catalog.file() {
        make_writable(folder_of(place))?;
    }
    let _lock = lock::own(&target.catalog)?;
    match (&target.catalog, target.catalog.file()) {
        (Catalog::Postgres(postgres), _) => {
            let filled = fill(settings, target, file).await;
            if filled.is_err()
                && let Err(err) = empty(settings, postgres).await
            {
                tracing::warn!(cause = %err, "tables of an unfinished catalog stay behind");
            }
            filled
        }
        (_, Some(place)) => {
            let made = make_beside(settings, target, place, file).await?;
            let moved = TempPath::try_from_path(made.file())?.persist_noclobber(place);
            moved.map_err(|err| Error::from(err.error)).context(|| format!("write \"{}\"", place.display()))?;
            sync_folder(place)
        }
        (_, None) => Err(Error::internal("a catalog that is no file")),
    }
}

/// Puts the catalog in `file` in the place of the one that `target` names, which nobody has open. What was there stays
/// beside it, where it is a file; gives its new name then.
///
/// # Errors
/// `FailedPrecondition` while somebody has it open; what the operating system and the database say. It is as it was then.
pub async fn replace(settings: &engine::Settings, target: &Target, file: &Path) -> Result<Option<PathBuf>> {
    let _lock = lock::own(&target.catalog)?;
    match (&target.catalog, target.catalog.file()) {
        (Catalog::Postgres(postgres), _) => {
            check_alone(settings, postgres).await?;
            fill(settings, target, file).await.map(|()| None)
        }
        (_, Some(place)) => {
            let made = make_beside(settings, target, place, file).await?;
            let aside = move_aside(place)?;
            fs::rename(made.file(), place).context(|| format!("write \"{}\"", place.display()))?;
            sync_folder(place).map(|()| aside)
        }
        (_, None) => Err(Error::internal("a catalog that is no file")),
    }
}

/// Refuses a catalog that somebody has open.
///
/// # Errors
/// `FailedPrecondition` when somebody has; what the database says.
pub async fn check_unused(settings: &engine::Settings, catalog: &Catalog) -> Result<()> {
    match catalog {
        Catalog::Postgres(postgres) => check_alone(settings, postgres).await,
        Catalog::DuckdbFile(_) | Catalog::Sqlite(_) => lock::own(catalog).map(drop),
    }
}

/// Refuses a place where a catalog is.
///
/// # Errors
/// `AlreadyExists` when there is one; what the database says.
pub async fn check_vacant(settings: &engine::Settings, catalog: &Catalog) -> Result<()> {
    let found = is_there(settings, catalog).await?;
    if !found {
        return Ok(());
    }
    let remedy = match catalog {
        Catalog::Postgres(_) => "name an empty database",
        Catalog::DuckdbFile(_) | Catalog::Sqlite(_) => "name a file that does not exist",
    };
    let text = format!("a catalog is already at \"{}\": {remedy}", catalog.name());
    Err(Error::new(ErrorKind::AlreadyExists, text))
}

/// Whether a catalog is at this place; a file of any kind counts as one.
///
/// # Errors
/// What the operating system and the database say.
pub async fn is_there(settings: &engine::Settings, catalog: &Catalog) -> Result<bool> {
    match (catalog, catalog.file()) {
        (Catalog::Postgres(postgres), _) => {
            let tables = probe(settings, postgres, |connection| postgres::tables(connection, PROBED)).await?;
            Ok(!tables.is_empty())
        }
        (_, Some(file)) => file.try_exists().context(|| format!("look for \"{}\"", file.display())),
        (_, None) => Ok(false),
    }
}

/// Opens an engine, does `work` in it, and closes it, whatever came of it.
///
/// # Errors
/// What either says.
pub async fn within<T: Send + 'static>(
    open: impl FnOnce() -> Result<Engine> + Send + 'static,
    work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> Result<T> {
    let opened = tokio::task::spawn_blocking(open).await;
    let engine = opened.map_err(|err| Error::internal("open a catalog").with_source(err))??;
    let outcome = engine.run(work).await;
    engine.close(GRACE).await;
    let closed = engine.closed();
    drop(engine);
    closed.await;
    outcome
}

/// A new catalog beside its place; it goes when this is dropped before it was moved.
struct Beside {
    folder: TempDir,
}

impl Beside {
    fn file(&self) -> PathBuf {
        self.folder.path().join("catalog")
    }

    /// Checks that the file holds all of it.
    fn check_alone(&self) -> Result<()> {
        let companions = fs::read_dir(self.folder.path())?.count();
        if companions == 1 { Ok(()) } else { Err(Error::internal("the new catalog was not closed")) }
    }
}

async fn make_beside(settings: &engine::Settings, target: &Target, place: &Path, file: &Path) -> Result<Beside> {
    let made = Beside { folder: tempfile::Builder::new().prefix(".catalog-").tempdir_in(folder_of(place))? };
    let beside = Target { catalog: target.catalog.at(made.file()), data_path: target.data_path.clone() };
    fill(settings, &beside, file).await?;
    made.check_alone()?;
    File::open(made.file())?.sync_all()?;
    Ok(made)
}

/// Makes the lake that `target` names that of the catalog in `file`, and sees whether it opens.
async fn fill(settings: &engine::Settings, target: &Target, file: &Path) -> Result<()> {
    let open = || {
        let (settings, target) = (settings.clone(), target.clone());
        move || attach::open_catalog(&settings, &target.catalog)
    };
    let (file, data_path) = (file.to_path_buf(), target.data_path.clone());
    let newest = within(open(), move |connection| portable::import(connection, &file, &data_path)).await?;
    let seen = within(open(), snapshots::current).await?;
    if seen == newest { Ok(()) } else { Err(Error::internal(format!("the new catalog opens with snapshot {seen}"))) }
}

/// Gives the catalog at `place` another name, if there is one.
fn move_aside(place: &Path) -> Result<Option<PathBuf>> {
    if !place.try_exists()? {
        return Ok(None);
    }
    let aside = with_suffix(place, &format!(".before-{}", Utc::now().format("%Y_%m_%d-%H_%M_%S_%3f")));
    let work = || -> Result<()> {
        // Both names until the new file takes the old one: there is a catalog at every moment.
        fs::hard_link(place, &aside)?;
        for companion in COMPANIONS {
            match fs::rename(with_suffix(place, companion), with_suffix(&aside, companion)) {
                Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err.into()),
                _ => {}
            }
        }
        Ok(())
    };
    work().context(|| format!("keep \"{}\"", place.display())).map(|()| Some(aside))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A rename that a power cut undoes was none.
fn sync_folder(file: &Path) -> Result<()> {
    Ok(File::open(folder_of(file))?.sync_all()?)
}

/// The name of a PostgreSQL database that is attached without DuckLake.
const PROBED: &str = "probed";

/// Does `work` on a connection where the database of `postgres` is attached as [`PROBED`].
async fn probe<T: Send + 'static>(
    settings: &engine::Settings,
    postgres: &Postgres,
    work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (settings, postgres) = (settings.clone(), postgres.clone());
    let open = move || {
        let script = postgres.attach_plain(PROBED);
        let setup = engine::Setup { extensions: &["postgres_scanner"], script: &script, ..engine::Setup::default() };
        Engine::open(&settings, &setup).map_err(|err| Catalog::Postgres(postgres).explain(err))
    };
    within(open, work).await
}

async fn check_alone(settings: &engine::Settings, postgres: &Postgres) -> Result<()> {
    let (postgres, name) = postgres.clone().named_uniquely();
    probe(settings, &postgres, move |connection| postgres::check_alone(connection, PROBED, &name)).await
}

/// Removes the tables of a catalog that was just made and not finished.
async fn empty(settings: &engine::Settings, postgres: &Postgres) -> Result<()> {
    let (postgres, name) = postgres.clone().named_uniquely();
    let work = move |connection: &Connection| {
        postgres::check_alone(connection, PROBED, &name)?;
        postgres::drop_tables(connection, PROBED)
    };
    probe(settings, &postgres, work).await
}

//! Writing a copy of a catalog to its destination, atomically.
//!
//! A file is written next to the destination and renamed when it is complete. In PostgreSQL all rows are replaced in one
//! transaction. No other program may have the catalog open, because it would continue with cached state.

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
    catalog_copy, lock,
    postgres::{self, Postgres},
    snapshots,
};
use crate::{
    engine::{self, Connection, Engine},
    error::{Context, Error, ErrorKind, Result},
};

/// How long statements may take to end when an engine is closed.
const GRACE: Duration = Duration::from_secs(5);

/// The suffixes of files that belong to a DuckDB or SQLite file.
const COMPANION_SUFFIXES: [&str; 3] = [".wal", "-wal", "-shm"];

/// Where a catalog is written, and what its data path becomes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The database.
    pub catalog: Catalog,
    /// The location of the lake's files, with a trailing slash.
    pub data_path: String,
}

/// Creates a catalog at `destination` from the copy in `file`.
///
/// # Errors
/// `AlreadyExists` if there is a catalog; errors of the operating system and of the database. Nothing is created then.
pub async fn install(settings: &engine::Settings, destination: &Destination, file: &Path) -> Result<()> {
    check_vacant(settings, &destination.catalog).await?;
    if let Some(path) = destination.catalog.file() {
        make_writable(folder_of(path))?;
    }
    let _lock = lock::own(&destination.catalog)?;
    match (&destination.catalog, destination.catalog.file()) {
        (Catalog::Postgres(postgres), _) => {
            let filled = fill(settings, destination, file).await;
            if filled.is_err()
                && let Err(err) = empty(settings, postgres).await
            {
                tracing::warn!(cause = %err, "could not drop the tables of an unfinished catalog");
            }
            filled
        }
        (_, Some(path)) => {
            let staged = stage(settings, destination, path, file).await?;
            let moved = TempPath::try_from_path(staged.file())?.persist_noclobber(path);
            moved.map_err(|err| Error::from(err.error)).context(|| format!("write \"{}\"", path.display()))?;
            sync_folder(path)
        }
        (_, None) => Err(Error::internal("the catalog is not a file")),
    }
}

/// Replaces the catalog at `destination` by the copy in `file`. An existing file is kept under another name, which is
/// returned.
///
/// # Errors
/// `FailedPrecondition` while another program has the catalog open; errors of the operating system and of the database. The
/// catalog is unchanged then.
pub async fn replace(settings: &engine::Settings, destination: &Destination, file: &Path) -> Result<Option<PathBuf>> {
    let _lock = lock::own(&destination.catalog)?;
    match (&destination.catalog, destination.catalog.file()) {
        (Catalog::Postgres(postgres), _) => {
            check_alone(settings, postgres).await?;
            fill(settings, destination, file).await.map(|()| None)
        }
        (_, Some(path)) => {
            let staged = stage(settings, destination, path, file).await?;
            let kept = keep_existing(path)?;
            fs::rename(staged.file(), path).context(|| format!("write \"{}\"", path.display()))?;
            sync_folder(path).map(|()| kept)
        }
        (_, None) => Err(Error::internal("the catalog is not a file")),
    }
}

/// Fails if another program has the catalog open.
///
/// # Errors
/// `FailedPrecondition` if one has; errors of the database.
pub async fn check_unused(settings: &engine::Settings, catalog: &Catalog) -> Result<()> {
    match catalog {
        Catalog::Postgres(postgres) => check_alone(settings, postgres).await,
        Catalog::DuckdbFile(_) | Catalog::Sqlite(_) => lock::own(catalog).map(drop),
    }
}

/// Fails if the catalog exists.
///
/// # Errors
/// `AlreadyExists` if it does; errors of the database.
pub async fn check_vacant(settings: &engine::Settings, catalog: &Catalog) -> Result<()> {
    if !exists(settings, catalog).await? {
        return Ok(());
    }
    let remedy = match catalog {
        Catalog::Postgres(_) => "specify an empty database",
        Catalog::DuckdbFile(_) | Catalog::Sqlite(_) => "specify a file that does not exist",
    };
    let text = format!("a catalog already exists at \"{}\": {remedy}", catalog.name());
    Err(Error::new(ErrorKind::AlreadyExists, text))
}

/// Whether the catalog exists. Any file counts as a catalog.
///
/// # Errors
/// Errors of the operating system and of the database.
pub async fn exists(settings: &engine::Settings, catalog: &Catalog) -> Result<bool> {
    match (catalog, catalog.file()) {
        (Catalog::Postgres(postgres), _) => {
            let tables = probe(settings, postgres, |connection| postgres::tables(connection, PROBED)).await?;
            Ok(!tables.is_empty())
        }
        (_, Some(file)) => file.try_exists().context(|| format!("look for \"{}\"", file.display())),
        (_, None) => Ok(false),
    }
}

/// Opens an engine, runs `work` in it, and closes it.
///
/// # Errors
/// Errors of `open` and of `work`.
pub async fn with_engine<T: Send + 'static>(
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

/// A new catalog in a temporary folder next to its destination; removed on drop unless it was moved.
struct StagedCatalog {
    folder: TempDir,
}

impl StagedCatalog {
    fn file(&self) -> PathBuf {
        self.folder.path().join("catalog")
    }

    /// Checks that no companion file holds a part of it.
    fn check_closed(&self) -> Result<()> {
        let companions = fs::read_dir(self.folder.path())?.count();
        if companions == 1 { Ok(()) } else { Err(Error::internal("the new catalog was not closed completely")) }
    }
}

async fn stage(
    settings: &engine::Settings,
    destination: &Destination,
    path: &Path,
    file: &Path,
) -> Result<StagedCatalog> {
    let staged = StagedCatalog { folder: tempfile::Builder::new().prefix(".catalog-").tempdir_in(folder_of(path))? };
    let staged_destination =
        Destination { catalog: destination.catalog.at(staged.file()), data_path: destination.data_path.clone() };
    fill(settings, &staged_destination, file).await?;
    staged.check_closed()?;
    File::open(staged.file())?.sync_all()?;
    Ok(staged)
}

/// Imports the copy in `file` into the catalog of `destination`, and verifies that it opens.
async fn fill(settings: &engine::Settings, destination: &Destination, file: &Path) -> Result<()> {
    let open = || {
        let (settings, destination) = (settings.clone(), destination.clone());
        move || attach::open_catalog(&settings, &destination.catalog)
    };
    let (file, data_path) = (file.to_path_buf(), destination.data_path.clone());
    let newest = with_engine(open(), move |connection| catalog_copy::import(connection, &file, &data_path)).await?;
    let seen = with_engine(open(), snapshots::current).await?;
    if seen == newest { Ok(()) } else { Err(Error::internal(format!("the new catalog opens with snapshot {seen}"))) }
}

/// Gives an existing catalog at `path` a second name, and returns it.
fn keep_existing(path: &Path) -> Result<Option<PathBuf>> {
    if !path.try_exists()? {
        return Ok(None);
    }
    let kept = with_suffix(path, &format!(".before-{}", Utc::now().format("%Y_%m_%d-%H_%M_%S_%3f")));
    let work = || -> Result<()> {
        // A hard link, so that a catalog exists at `path` at all times.
        fs::hard_link(path, &kept)?;
        for companion in COMPANION_SUFFIXES {
            match fs::rename(with_suffix(path, companion), with_suffix(&kept, companion)) {
                Err(err) if err.kind() != std::io::ErrorKind::NotFound => return Err(err.into()),
                _ => {}
            }
        }
        Ok(())
    };
    work().context(|| format!("keep \"{}\"", path.display())).map(|()| Some(kept))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename durable.
fn sync_folder(file: &Path) -> Result<()> {
    Ok(File::open(folder_of(file))?.sync_all()?)
}

/// The name of a PostgreSQL database that is attached without DuckLake.
const PROBED: &str = "probed";

/// Runs `work` on a connection where the database of `postgres` is attached as [`PROBED`].
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
    with_engine(open, work).await
}

async fn check_alone(settings: &engine::Settings, postgres: &Postgres) -> Result<()> {
    let (postgres, name) = postgres.clone().named_uniquely();
    probe(settings, &postgres, move |connection| postgres::check_alone(connection, PROBED, &name)).await
}

/// Drops the tables of a catalog that was created but not completed.
async fn empty(settings: &engine::Settings, postgres: &Postgres) -> Result<()> {
    let (postgres, name) = postgres.clone().named_uniquely();
    let work = move |connection: &Connection| {
        postgres::check_alone(connection, PROBED, &name)?;
        postgres::drop_tables(connection, PROBED)
    };
    probe(settings, &postgres, work).await
}

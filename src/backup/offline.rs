//! Restoring a backup while no server runs: after the catalog was lost, or in place of one that is not served.

use std::path::PathBuf;

use super::{Backups, Candidate, Repository, Retention, Selector};
use crate::{
    engine::{self, Engine},
    error::{Error, Result},
    lake::{attach, catalog::Catalog, catalog_copy, destination},
    storage::Storage,
};

/// The result of a restore.
#[derive(Debug)]
pub struct Restored {
    /// The restored backup.
    pub candidate: Candidate,
    /// The file to which the previous catalog was renamed.
    pub before: Option<PathBuf>,
}

/// Restores a backup from the storage of `lake` as its catalog. With `force`, replaces an existing catalog and accepts
/// missing files; an existing catalog in PostgreSQL is backed up first.
///
/// # Errors
/// `FailedPrecondition` while a server uses the lake, if the backup is invalid, and if `force` is required; `NotFound` if
/// there is no such backup. The catalog is unchanged then.
pub async fn restore(
    settings: &engine::Settings,
    lake: &attach::Settings,
    selector: &Selector,
    force: bool,
) -> Result<Restored> {
    destination::check_unused(settings, &lake.catalog).await?;
    let exists = destination::exists(settings, &lake.catalog).await?;
    if exists && !force {
        let name = lake.catalog.name();
        return Err(Error::precondition(format!(
            "a catalog already exists at \"{name}\": verify it with merganser check, or replace it with --force"
        )));
    }
    let id = if exists { lake_at(settings, lake).await } else { None };
    let candidate = examine(settings, &lake.storage, selector, id.as_deref()).await?;
    if !force {
        candidate.check_files()?;
    }
    let file = candidate.file();
    let destination = destination::Destination { catalog: lake.catalog.clone(), data_path: lake.storage.lake_path() };
    if !exists {
        destination::install(settings, &destination, &file).await?;
        return Ok(Restored { candidate, before: None });
    }
    if matches!(lake.catalog, Catalog::Postgres(_)) {
        back_up(settings, lake).await?;
    }
    let before = destination::replace(settings, &destination, &file).await?;
    Ok(Restored { candidate, before })
}

/// The id of the lake in the existing catalog, if it can be read.
async fn lake_at(settings: &engine::Settings, lake: &attach::Settings) -> Option<String> {
    let (settings, lake) = (settings.clone(), lake.clone());
    destination::with_engine(move || attach::open_to_read(&settings, &lake.catalog), catalog_copy::lake_id).await.ok()
}

async fn examine(
    settings: &engine::Settings,
    storage: &Storage,
    selector: &Selector,
    lake: Option<&str>,
) -> Result<Candidate> {
    let opening = settings.clone();
    let opened = tokio::task::spawn_blocking(move || attach::open_without_lake(&opening)).await;
    let engine = opened.map_err(|err| Error::internal("open DuckDB").with_source(err))??;
    let candidate = Repository::new(storage).candidate(&engine, &settings.staging, selector, lake).await;
    close(engine).await;
    candidate
}

/// Takes a backup of the catalog that is about to be replaced.
async fn back_up(settings: &engine::Settings, lake: &attach::Settings) -> Result<String> {
    let (opening, of) = (settings.clone(), lake.clone());
    let opened = tokio::task::spawn_blocking(move || attach::open(&opening, &of)).await;
    let replaced = opened.map_err(|err| Error::internal("open a catalog").with_source(err))??;
    let engine = replaced.engine().clone();
    let taken = Backups::new(replaced, &lake.storage, &lake.catalog, Retention::default()).take_before_replace().await;
    close(engine).await;
    taken
}

async fn close(engine: Engine) {
    engine.close(std::time::Duration::ZERO).await;
    let closed = engine.closed();
    drop(engine);
    closed.await;
}

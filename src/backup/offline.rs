//! Bringing a backup back while no server runs: after the catalog was lost, or into the place of one that nobody serves.

use std::path::PathBuf;

use super::{Backups, Candidate, Retention, Shelf, Which};
use crate::{
    engine::{self, Engine},
    error::{Error, Result},
    lake::{attach, catalog::Catalog, place, portable},
    storage::Storage,
};

/// A backup that was brought back.
#[derive(Debug)]
pub struct Restored {
    /// The backup.
    pub candidate: Candidate,
    /// Where the catalog lies now that was there before.
    pub before: Option<PathBuf>,
}

/// Makes a backup in the storage of `lake` its catalog. With `force` it takes the place of one that is there, and does not
/// mind that files are missing; what was in PostgreSQL is backed up first.
///
/// # Errors
/// `FailedPrecondition` while a server has the lake, for a backup that is not sound, and for what needs `force`;
/// `NotFound` when there is no such backup. The catalog is as it was then.
pub async fn restore(
    settings: &engine::Settings,
    lake: &attach::Settings,
    which: &Which,
    force: bool,
) -> Result<Restored> {
    place::check_unused(settings, &lake.catalog).await?;
    let there = place::is_there(settings, &lake.catalog).await?;
    if there && !force {
        let name = lake.catalog.name();
        return Err(Error::precondition(format!(
            "a catalog is at \"{name}\": look whether it is still good (merganser check), or replace it with --force"
        )));
    }
    let id = if there { lake_at(settings, lake).await } else { None };
    let candidate = examine(settings, &lake.storage, which, id.as_deref()).await?;
    if !force {
        candidate.check_files()?;
    }
    let file = candidate.file();
    let target = place::Target { catalog: lake.catalog.clone(), data_path: lake.storage.lake_path() };
    if !there {
        place::install(settings, &target, &file).await?;
        return Ok(Restored { candidate, before: None });
    }
    if matches!(lake.catalog, Catalog::Postgres(_)) {
        keep(settings, lake).await?;
    }
    let before = place::replace(settings, &target, &file).await?;
    Ok(Restored { candidate, before })
}

/// The id of the lake whose catalog is there, if that can be read.
async fn lake_at(settings: &engine::Settings, lake: &attach::Settings) -> Option<String> {
    let (settings, lake) = (settings.clone(), lake.clone());
    place::within(move || attach::open_to_read(&settings, &lake.catalog), portable::lake_id).await.ok()
}

async fn examine(
    settings: &engine::Settings,
    storage: &Storage,
    which: &Which,
    lake: Option<&str>,
) -> Result<Candidate> {
    let opening = settings.clone();
    let opened = tokio::task::spawn_blocking(move || attach::open_without_lake(&opening)).await;
    let engine = opened.map_err(|err| Error::internal("open DuckDB").with_source(err))??;
    let candidate = Shelf::new(storage).candidate(&engine, &settings.staging, which, lake).await;
    close(engine).await;
    candidate
}

/// Takes a backup of the lake that is about to be replaced.
async fn keep(settings: &engine::Settings, lake: &attach::Settings) -> Result<String> {
    let (opening, of) = (settings.clone(), lake.clone());
    let opened = tokio::task::spawn_blocking(move || attach::open(&opening, &of)).await;
    let lake_to_keep = opened.map_err(|err| Error::internal("open a catalog").with_source(err))??;
    let engine = lake_to_keep.engine().clone();
    drop(lake_to_keep);
    let taken = Backups::new(engine.clone(), &lake.storage, &lake.catalog, Retention::default()).take_aside().await;
    close(engine).await;
    taken
}

async fn close(engine: Engine) {
    engine.close(std::time::Duration::ZERO).await;
    let closed = engine.closed();
    drop(engine);
    closed.await;
}

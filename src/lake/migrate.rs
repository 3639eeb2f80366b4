//! Moving a catalog from one kind of database to another, while no server uses it.
//!
//! It goes through a file (`lake::portable`), so that each kind needs one way in and one way out. The original is only
//! read.

use std::path::Path;

use super::{
    METADATA, attach,
    catalog::Catalog,
    lock, place,
    portable::{self, Contents},
    postgres,
};
use crate::{
    engine::{self, Connection},
    error::{Context, Error, Result},
};

/// Copies the catalog `from` to `to`, which must be empty. Temporary files lie in the folder `staging`.
///
/// # Errors
/// `NotFound` when there is no catalog; `AlreadyExists` when there is one at `to`; `FailedPrecondition` while a server uses
/// either, and for a catalog that cannot be copied. Nothing is at `to` then.
pub async fn migrate(settings: &engine::Settings, from: &Catalog, to: &Catalog, staging: &Path) -> Result<Contents> {
    if let Some(file) = from.file()
        && !file.try_exists().context(|| format!("look for \"{}\"", file.display()))?
    {
        return Err(Error::not_found(format!("there is no catalog at \"{}\"", from.name())));
    }
    place::check_vacant(settings, to).await?;
    let file = staging.join("catalog.duckdb");
    let contents = read(settings, from, &file).await.context(|| format!("read \"{}\"", from.name()))?;
    let target = place::Target { catalog: to.clone(), data_path: contents.data_path.clone() };
    place::install(settings, &target, &file).await.context(|| format!("write \"{}\"", to.name()))?;
    Ok(contents)
}

/// Copies the catalog `from` to `file`, when nobody else has it.
async fn read(settings: &engine::Settings, from: &Catalog, file: &Path) -> Result<Contents> {
    let _lock = lock::own(from)?;
    let (from, name) = match from {
        Catalog::Postgres(postgres) => {
            let (postgres, name) = postgres.clone().named_uniquely();
            (Catalog::Postgres(postgres), Some(name))
        }
        Catalog::DuckdbFile(_) | Catalog::Sqlite(_) => (from.clone(), None),
    };
    let (settings, file) = (settings.clone(), file.to_path_buf());
    let open = move || attach::open_to_read(&settings, &from);
    let work = move |connection: &Connection| {
        if let Some(name) = name {
            postgres::check_alone(connection, METADATA, &name)?;
        }
        portable::export(connection, &file)
    };
    place::within(open, work).await
}

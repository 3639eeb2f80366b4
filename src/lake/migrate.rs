//! Migrating a catalog from one kind of database to another, while no server uses it.
//!
//! The catalog is exported to a file ([`catalog_copy`]) and imported from it, so that each kind of database needs one
//! export and one import. The source is only read.

use std::path::Path;

use super::{
    METADATA, attach,
    catalog::Catalog,
    catalog_copy::{self, Contents},
    commit::{self, Committer},
    destination, lock, postgres,
};
use crate::{
    engine::{self, Connection},
    error::{Context, Error, Result},
};

/// Copies the catalog `from` to `to`, which must be empty. Temporary files are written to the folder `staging`.
///
/// # Errors
/// `NotFound` if there is no catalog at `from`; `AlreadyExists` if there is one at `to`; `FailedPrecondition` while a server
/// uses either, and for a catalog that cannot be copied. `to` is left empty then.
pub async fn migrate(settings: &engine::Settings, from: &Catalog, to: &Catalog, staging: &Path) -> Result<Contents> {
    if let Some(file) = from.file()
        && !file.try_exists().context(|| format!("look for \"{}\"", file.display()))?
    {
        return Err(Error::not_found(format!("catalog \"{}\" does not exist", from.name())));
    }
    destination::check_vacant(settings, to).await?;
    let file = staging.join("catalog.duckdb");
    let contents = read(settings, from, &file).await.context(|| format!("read \"{}\"", from.name()))?;
    let destination = destination::Destination { catalog: to.clone(), data_path: contents.data_path.clone() };
    destination::install(settings, &destination, &file).await.context(|| format!("write \"{}\"", to.name()))?;
    Ok(contents)
}

/// Exports the catalog `from` to `file`. Fails while another program uses it.
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
        // Nobody writes meanwhile.
        catalog_copy::export(connection, &Committer::new(commit::Settings::default()), &file)
    };
    destination::with_engine(open, work).await
}

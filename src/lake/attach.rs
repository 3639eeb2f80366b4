//! Opens the engine with the lake attached.

use std::{fs, path::Path};

use super::catalog::Catalog;
use crate::{
    engine::{self, Engine},
    error::{Context, Error, ErrorKind, Result},
    quote::literal,
    storage::Storage,
};

const ATTACH: &str = include_str!("../../sql/00_attach.sql");
/// Unqualified names mean the lake's on every connection.
const ON_CONNECT: &str = "USE lake; SET SESSION enable_progress_bar_print = false";

/// How often it is tried when other servers that share the catalog start at the same time.
const ATTEMPTS: usize = 10;

/// What the lake needs to know to open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where DuckLake keeps its catalog.
    pub catalog: Catalog,
    /// Where its Parquet files lie, in a folder that holds nothing else.
    pub storage: Storage,
}

/// Opens DuckDB and attaches the lake, making it when it does not exist.
///
/// # Errors
/// `FailedPrecondition` when a folder cannot be written, another process has the catalog, its database does not answer
/// or refuses the user, the catalog is of a newer format, or an extension is missing; each with the remedy.
pub fn open(engine_settings: &engine::Settings, settings: &Settings) -> Result<Engine> {
    let data = settings.storage.lake_folder();
    let folders = [data.as_deref(), settings.catalog.file().and_then(Path::parent)];
    for folder in folders.into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty()) {
        make_writable(folder)?;
    }
    let script = format!("{ATTACH}{}", settings.catalog.upgrade());
    for _ in 1..ATTEMPTS {
        match open_script(engine_settings, settings, &script) {
            Err(err) if err.kind() == ErrorKind::Conflict => {}
            outcome => return outcome,
        }
    }
    open_script(engine_settings, settings, &script)
}

/// Opens DuckDB and attaches a lake by `script`, in which the places of [`Settings`] are filled in.
///
/// # Errors
/// As [`open`].
pub(super) fn open_script(engine_settings: &engine::Settings, settings: &Settings, script: &str) -> Result<Engine> {
    let Settings { catalog, storage } = settings;
    let attach = catalog.script(&script.replace("{{data_path}}", &literal(&storage.lake_path())), engine_settings);
    let setup = engine::Setup {
        extensions: &[catalog.extensions(), storage.extensions()].concat(),
        script: &format!("{}{attach}", storage.setup()),
        on_connect: ON_CONNECT,
        one_writer: catalog.has_one_writer(),
        commits_remotely: catalog.is_remote(),
    };
    Engine::open(engine_settings, &setup).map_err(|err| catalog.explain(err))
}

/// Makes `folder` and proves that files can be made in it.
///
/// # Errors
/// `FailedPrecondition` that names the folder.
pub fn make_writable(folder: &Path) -> Result<()> {
    let attempt = || -> Result<()> {
        fs::create_dir_all(folder)?;
        tempfile::tempfile_in(folder)?;
        Ok(())
    };
    attempt().map_err(|err| Error::precondition(err.message())).context(|| format!("write to \"{}\"", folder.display()))
}

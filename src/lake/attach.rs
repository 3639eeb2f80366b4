//! Opens the engine with the lake attached.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{METADATA, catalog::Catalog, portable};
use crate::{
    engine::{self, Engine},
    error::{Context, Error, ErrorKind, Result},
    quote::literal,
};

const ATTACH: &str = include_str!("../../sql/00_attach.sql");
/// For whoever only looks at a catalog.
const ATTACH_TO_READ: &str = "ATTACH {{catalog}} AS lake ({{options}}READ_ONLY);";
/// Unqualified names mean the lake's on every connection.
const ON_CONNECT: &str = "USE lake; SET SESSION enable_progress_bar_print = false";

/// How often it is tried when other servers that share the catalog start at the same time.
const ATTEMPTS: usize = 10;

/// What the lake needs to know to open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where DuckLake keeps its catalog.
    pub catalog: Catalog,
    /// The folder for DuckLake's Parquet files, and for nothing else.
    pub data_path: PathBuf,
}

/// Opens DuckDB and attaches the lake, making it when it does not exist.
///
/// # Errors
/// `FailedPrecondition` when a folder cannot be written, another process has the catalog, its database does not answer
/// or refuses the user, the catalog is of a newer format, or an extension is missing; each with the remedy.
pub fn open(engine_settings: &engine::Settings, settings: &Settings) -> Result<Engine> {
    let folders = [Some(settings.data_path.as_path()), settings.catalog.file().and_then(Path::parent)];
    for folder in folders.into_iter().flatten().filter(|folder| !folder.as_os_str().is_empty()) {
        make_writable(folder)?;
    }
    let script = format!("{ATTACH}{}{}", portable::bookkeeping(METADATA), settings.catalog.upgrade());
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
    let data_path = format!("{}/", settings.data_path.display());
    let script = settings.catalog.script(&script.replace("{{data_path}}", &literal(&data_path)), engine_settings);
    let setup = engine::Setup {
        extensions: settings.catalog.extensions(),
        script: &script,
        on_connect: ON_CONNECT,
        one_writer: settings.catalog.has_one_writer(),
    };
    Engine::open(engine_settings, &setup).map_err(|err| settings.catalog.explain(err))
}

/// Opens DuckDB and attaches the lake whose catalog is there, to be read, with all that it says of itself.
///
/// # Errors
/// As [`open`].
pub fn open_to_read(engine_settings: &engine::Settings, catalog: &Catalog) -> Result<Engine> {
    let settings = Settings { catalog: catalog.clone(), data_path: PathBuf::new() };
    open_script(engine_settings, &settings, ATTACH_TO_READ)
}

/// Opens DuckDB with DuckLake and no lake.
///
/// # Errors
/// `FailedPrecondition` when the extension is missing.
pub fn open_without_lake(engine_settings: &engine::Settings) -> Result<Engine> {
    let setup = engine::Setup { extensions: &["ducklake"], script: "", on_connect: "", one_writer: false };
    Engine::open(engine_settings, &setup)
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

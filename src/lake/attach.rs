//! Opens the engine with the lake attached.

use std::{fs, path::Path};

use super::{
    Lake, METADATA, bookkeeping,
    catalog::Catalog,
    commit::{self, Committer},
    errors,
};
use crate::{
    engine::{self, Engine},
    error::{Context, Error, ErrorKind, Result},
    quote::literal,
    storage::Storage,
};

const ATTACH: &str = include_str!("../../sql/00_attach.sql");
/// For whoever only looks at a catalog.
const ATTACH_TO_READ: &str = "ATTACH {{catalog}} AS lake ({{options}}DATA_PATH {{data_path}}, READ_ONLY);";
/// The data path of a lake whose files nobody looks for: those on S3 need an extension, and may need a key.
pub(super) const NO_DATA: &str = "'nowhere/', OVERRIDE_DATA_PATH true";
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
pub fn open(engine_settings: &engine::Settings, settings: &Settings) -> Result<Lake> {
    let data = settings.storage.lake_folder();
    if let Some(folder) = &data {
        make_writable(folder)?;
    }
    let engine = open_or_make(&settings.catalog, |script| open_script(engine_settings, settings, script))?;
    let (one_writer, remote) = (settings.catalog.has_one_writer(), settings.catalog.is_remote());
    let committer = Committer::new(commit::Settings { data, one_writer, remote });
    Ok(Lake::new(engine, committer))
}

/// Opens DuckDB and attaches the lake whose catalog is, or comes to be, there, for whoever works on the catalog alone: a
/// new one does not say where the files lie.
///
/// # Errors
/// As [`open`].
pub(super) fn open_catalog(engine_settings: &engine::Settings, catalog: &Catalog) -> Result<Engine> {
    open_or_make(catalog, |script| attach(engine_settings, catalog, None, &at(script, NO_DATA)))
}

/// Opens DuckDB and attaches the lake whose catalog is there, to be read, with all that it says of itself.
///
/// # Errors
/// As [`open`].
pub fn open_to_read(engine_settings: &engine::Settings, catalog: &Catalog) -> Result<Engine> {
    attach(engine_settings, catalog, None, &at(ATTACH_TO_READ, NO_DATA))
}

/// Opens DuckDB and attaches a lake by `script`, in which the places of [`Settings`] are filled in.
///
/// # Errors
/// As [`open`].
pub(super) fn open_script(engine_settings: &engine::Settings, settings: &Settings, script: &str) -> Result<Engine> {
    let Settings { catalog, storage } = settings;
    attach(engine_settings, catalog, Some(storage), &at(script, &literal(&storage.lake_path())))
}

/// Calls `open` with the script for a lake that may have to be made.
fn open_or_make(catalog: &Catalog, open: impl Fn(&str) -> Result<Engine>) -> Result<Engine> {
    let folder = catalog.file().and_then(Path::parent);
    if let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty()) {
        make_writable(folder)?;
    }
    let script = format!("{ATTACH}{}{}", bookkeeping::script(METADATA), catalog.upgrade());
    for _ in 1..ATTEMPTS {
        match open(&script) {
            Err(err) if err.kind() == ErrorKind::Conflict => {}
            outcome => return outcome,
        }
    }
    open(&script)
}

/// The script for a lake whose files lie at `data_path`, in SQL.
fn at(script: &str, data_path: &str) -> String {
    script.replace("{{data_path}}", data_path)
}

/// Opens DuckDB with what the catalog and, where its files shall be read, the storage need, and runs `script`.
fn attach(
    engine_settings: &engine::Settings,
    catalog: &Catalog,
    storage: Option<&Storage>,
    script: &str,
) -> Result<Engine> {
    engine::read_errors_with(errors::read);
    let attach = catalog.script(script, engine_settings);
    let setup = engine::Setup {
        extensions: &[catalog.extensions(), storage.map(Storage::extensions).unwrap_or_default()].concat(),
        script: &format!("{}{attach}", storage.map(Storage::setup).unwrap_or_default()),
        on_connect: ON_CONNECT,
    };
    Engine::open(engine_settings, &setup).map_err(|err| catalog.explain(err))
}

/// Opens DuckDB with DuckLake and no lake.
///
/// # Errors
/// `FailedPrecondition` when the extension is missing.
pub fn open_without_lake(engine_settings: &engine::Settings) -> Result<Engine> {
    let setup = engine::Setup { extensions: &["ducklake"], ..engine::Setup::default() };
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

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
/// The same, read-only.
const ATTACH_TO_READ: &str = "ATTACH {{catalog}} AS lake ({{options}}DATA_PATH {{data_path}}, READ_ONLY);";
/// A data path for connections that read the catalog only: files on S3 would need an extension, and possibly a key.
pub(super) const NO_DATA: &str = "'nowhere/', OVERRIDE_DATA_PATH true";
/// Unqualified names resolve in the lake on every connection.
const ON_CONNECT: &str = "USE lake; SET SESSION enable_progress_bar_print = false";

/// The number of attempts, because other servers that share the catalog may start at the same time.
const ATTEMPTS: usize = 10;

/// Where the lake is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The catalog.
    pub catalog: Catalog,
    /// The storage of its Parquet files, in a folder that contains nothing else.
    pub storage: Storage,
}

/// Opens DuckDB and attaches the lake, creating it if it does not exist.
///
/// # Errors
/// `FailedPrecondition` with the remedy: if a folder is not writable, another process has the catalog open, its database
/// does not answer or rejects the user, the catalog has a newer format, or an extension is missing.
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

/// Opens DuckDB and attaches the lake of `catalog`, creating it if it does not exist, without access to its files. A new
/// catalog does not contain the location of the files.
///
/// # Errors
/// As [`open`].
pub(super) fn open_catalog(engine_settings: &engine::Settings, catalog: &Catalog) -> Result<Engine> {
    open_or_make(catalog, |script| attach(engine_settings, catalog, None, &at(script, NO_DATA)))
}

/// Opens DuckDB and attaches the lake of `catalog` read-only, without access to its files.
///
/// # Errors
/// As [`open`].
pub fn open_to_read(engine_settings: &engine::Settings, catalog: &Catalog) -> Result<Engine> {
    attach(engine_settings, catalog, None, &at(ATTACH_TO_READ, NO_DATA))
}

/// Opens DuckDB and runs `script`, which attaches a lake, after substituting the paths of `settings`.
///
/// # Errors
/// As [`open`].
pub(super) fn open_script(engine_settings: &engine::Settings, settings: &Settings, script: &str) -> Result<Engine> {
    let Settings { catalog, storage } = settings;
    attach(engine_settings, catalog, Some(storage), &at(script, &literal(&storage.lake_path())))
}

/// Calls `open` with the script that attaches the lake or creates it, and retries conflicts.
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

/// The script with `data_path`, an SQL literal, substituted.
fn at(script: &str, data_path: &str) -> String {
    script.replace("{{data_path}}", data_path)
}

/// Opens DuckDB with the extensions and secrets of the catalog and of the storage, if there is one, and runs `script`.
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

/// Opens DuckDB with the DuckLake extension, and attaches nothing.
///
/// # Errors
/// `FailedPrecondition` if the extension is missing.
pub fn open_without_lake(engine_settings: &engine::Settings) -> Result<Engine> {
    let setup = engine::Setup { extensions: &["ducklake"], ..engine::Setup::default() };
    Engine::open(engine_settings, &setup)
}

/// Creates `folder` and verifies that files can be created in it.
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

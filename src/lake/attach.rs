//! Opens the engine with the lake attached.

use std::{fs, path::Path};

use crate::{
    engine::{self, Engine},
    error::{Context, Error, ErrorKind, Result},
    quote::literal,
};

/// The extensions that a lake with a catalog in a DuckDB file needs.
const EXTENSIONS: &[&str] = &["ducklake"];

const ATTACH: &str = include_str!("../../sql/00_attach.sql");
/// Unqualified names mean the lake's on every connection.
const ON_CONNECT: &str = "USE lake; SET SESSION enable_progress_bar_print = false";

/// What the lake needs to know to open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The DuckDB file that holds the catalog; made when absent.
    pub catalog: std::path::PathBuf,
    /// The folder for DuckLake's Parquet files, and for nothing else.
    pub data_path: std::path::PathBuf,
}

/// Opens DuckDB and attaches the lake, making it when it does not exist.
///
/// # Errors
/// `FailedPrecondition` when a folder cannot be written, another process has the catalog, the catalog is of a newer
/// format, or an extension is missing; each with the remedy.
pub fn open(engine_settings: &engine::Settings, settings: &Settings) -> Result<Engine> {
    for folder in [Some(settings.data_path.as_path()), settings.catalog.parent()].into_iter().flatten() {
        make_writable(folder)?;
    }
    let catalog = format!("ducklake:{}", settings.catalog.display());
    let data_path = format!("{}/", settings.data_path.display());
    let script = ATTACH.replace("{{catalog}}", &literal(&catalog)).replace("{{data_path}}", &literal(&data_path));
    open_script(engine_settings, &script).map_err(|err| explain(err, &settings.catalog))
}

/// Opens DuckDB and attaches a lake by `script`.
///
/// # Errors
/// As [`Engine::open`].
pub(super) fn open_script(settings: &engine::Settings, script: &str) -> Result<Engine> {
    Engine::open(settings, EXTENSIONS, script, ON_CONNECT)
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

/// Turns what DuckDB says of a catalog that it cannot attach into what the operator can do.
fn explain(err: Error, catalog: &Path) -> Error {
    let text = err.message();
    let catalog = catalog.display();
    let remedy = if text.contains("Could not set lock on file") || text.contains("Conflicting lock") {
        "another process has it open: stop that server, or give this one its own --home"
    } else if text.contains("DuckLake") && text.contains("version") {
        "it was made by another DuckLake: use the merganser that made it, or a newer one"
    } else if text.contains("newer version") || text.contains("storage version") {
        "it was made by a newer DuckDB: use the merganser that made it, or a newer one"
    } else if text.contains("not a valid DuckDB") {
        "the file is no DuckDB database: move it away, or restore a backup"
    } else {
        return err;
    };
    let first_line = text.lines().next().unwrap_or_default();
    Error::new(ErrorKind::FailedPrecondition, format!("open catalog \"{catalog}\": {remedy} ({first_line})"))
}

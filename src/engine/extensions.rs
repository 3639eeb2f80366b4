//! The location of DuckDB's extensions, and their versions.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::duckdb::{Connection, library_version};
use crate::error::{Error, Result};

/// The DuckDB version that this server is built for; extensions must be built for the same version.
pub const DUCKDB_VERSION: &str = "v1.5.5";

/// DuckDB's name of the platform, as in the folders of its extensions.
const PLATFORM: &str = match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
    (true, true) => "osx_arm64",
    (true, false) => "osx_amd64",
    (false, true) => "linux_arm64",
    (false, false) => "linux_amd64",
};

/// Checks that the linked library has the version that the server is built for.
///
/// # Errors
/// `FailedPrecondition` with the remedy.
pub fn check_library() -> Result<()> {
    let found = library_version();
    if found == DUCKDB_VERSION {
        return Ok(());
    }
    Err(Error::precondition(format!(
        "this server needs DuckDB {DUCKDB_VERSION}, but the library found is {found}; run scripts/fetch-duckdb.sh, \
         or put the right libduckdb beside the program"
    )))
}

/// The folder that contains `<version>/<platform>/*.duckdb_extension`: the configured one, else one beside the
/// executable, else the one that the executable was built with.
pub fn find_folder(configured: Option<&Path>) -> Option<PathBuf> {
    if let Some(folder) = configured {
        return Some(folder.to_path_buf());
    }
    let program = env::current_exe().ok().and_then(|program| fs::canonicalize(program).ok());
    let beside = program
        .as_deref()
        .and_then(Path::parent)
        .into_iter()
        .flat_map(|folder| [folder.join("extensions"), folder.join("../lib/merganser/extensions")]);
    let built_with = option_env!("DUCKDB_BUILD_EXTENSIONS").map(PathBuf::from);
    beside.chain(built_with).find(|folder| folder.join(DUCKDB_VERSION).is_dir())
}

/// The checksums of the extensions that the server was built with, beside those of other files.
const CHECKSUMS: &str = include_str!("../../scripts/duckdb.sums");

/// Whether all of `names`, and what [`complete`] may load, are the files that the server was built with. DuckDB need not
/// verify their signatures then, which takes a tenth of a second for each. It verifies the files of another build.
pub fn are_those_of_the_build(folder: &Path, names: &[&str]) -> bool {
    names.iter().chain(OF_THE_PREBUILT).all(|name| {
        let path = Path::new(DUCKDB_VERSION).join(PLATFORM).join(format!("{name}.duckdb_extension"));
        checksum(&folder.join(&path)).is_ok_and(|found| is_pinned(&found, &Path::new("extensions").join(path)))
    })
}

fn checksum(file: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut fs::File::open(file)?, &mut hash)?;
    Ok(format!("{:x}", hash.finalize()))
}

fn is_pinned(checksum: &str, path: &Path) -> bool {
    CHECKSUMS.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(checksum) && words.next() == Some(PLATFORM) && words.next().map(Path::new) == Some(path)
    })
}

/// The extensions of the prebuilt library that one built from source lacks; time zones need them.
const OF_THE_PREBUILT: &[&str] = &["icu"];

/// Loads the extensions that the prebuilt library contains and this one does not.
///
/// # Errors
/// As [`load`].
pub fn complete(connection: &Connection, folder: &Path) -> Result<()> {
    for name in OF_THE_PREBUILT {
        let sql = format!("SELECT loaded FROM duckdb_extensions() WHERE extension_name = '{name}'");
        if !connection.record::<Loaded>(&sql, &[])?.loaded {
            load(connection, folder, name)?;
        }
    }
    Ok(())
}

#[derive(serde::Deserialize)]
struct Loaded {
    loaded: bool,
}

/// Loads `name`, which must be in `folder` or installable from DuckDB's own repository.
///
/// # Errors
/// `FailedPrecondition` with the file and the remedy.
pub fn load(connection: &Connection, folder: &Path, name: &str) -> Result<()> {
    let file = folder.join(DUCKDB_VERSION).join(PLATFORM).join(format!("{name}.duckdb_extension"));
    let loaded = if file.is_file() {
        connection.execute(&format!("LOAD {name}"), &[])
    } else {
        connection
            .execute(&format!("INSTALL {name}"), &[])
            .and_then(|_| connection.execute(&format!("LOAD {name}"), &[]))
    };
    loaded.map(|_| ()).map_err(|err| {
        let first_line = err.message().lines().next().unwrap_or_default().to_owned();
        let file = file.display();
        Error::precondition(format!(
            "load the DuckDB extension \"{name}\": {first_line}; expected {file} for DuckDB {DUCKDB_VERSION}: \
             run scripts/fetch-duckdb.sh, or point --extensions at the folder that holds {DUCKDB_VERSION}/{PLATFORM}"
        ))
    })
}

//! Configuration: flags, environment variables and one TOML file, parsed to typed settings.
//!
//! Everything is validated and all faults are reported together, each with its origin, so that a bad deployment need not be
//! corrected one error at a time.
//!
//! Reads the configuration file and, through [`env::Environment`], the environment, and nothing else. It does not resolve
//! names, create directories or inspect the machine, and it never prints the text of a catalog, which can contain a
//! password.
//!
//! ```text
//! flags.rs ─┐
//! env.rs   ─┼▶ source.rs: text + origin ─▶ value.rs: text → value ─▶ settings.rs
//! file.rs  ─┘        (keys from table.rs)        └▶ fault.rs, all at once
//! ```
//!
//! # Rules
//! 1. Flags take precedence over variables, variables over the file, and the file over defaults.
//! 2. Overridden values must be valid too, so that removing a flag does not expose a broken file.
//! 3. The names are derived from one table: `memory_limit`, `--memory-limit`, `MERGANSER_MEMORY_LIMIT`.
//! 4. Credentials are configured in the file only, as hashes, because the command line and the environment are visible to
//!    others. Those of the object store are read from the standard AWS variables.
//! 5. An empty variable counts as unset (`MERGANSER_LOG=`); an empty value elsewhere is a value.
//!
//! # Every setting
//! ```toml
#![doc = include_str!("reference.toml")]
//! ```

pub mod env;

mod aws;
mod hubs;
mod fault;
mod file;
mod flags;
mod settings;
mod source;
mod table;
mod value;

#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use fault::{Fault, Faults};
pub use flags::Flags;
pub use settings::{HostPort, Settings, Storage};
pub use source::Origin;
pub use table::{DefaultValue, Setting, TABLE};

use env::Environment;
use table::resolve;

/// Settings that require another one.
const REQUIRED: [(&str, &str); 3] = [("tls_cert", "tls_key"), ("tls_key", "tls_cert"), ("tls_client_ca", "tls_cert")];

/// Reads all sources and resolves the settings.
///
/// # Errors
/// Every fault of every source, in the order file, environment, flags.
pub fn load(flags: &Flags, environment: &dyn Environment) -> Result<Settings, Faults> {
    load_with(flags, environment, |path| fs::read_to_string(path))
}

/// [`load`], with the file's text from `read_file`.
fn load_with(
    flags: &Flags,
    environment: &dyn Environment,
    read_file: impl Fn(&Path) -> io::Result<String>,
) -> Result<Settings, Faults> {
    let mut faults = Vec::new();
    let mut file = file::Content::default();
    if let Some((path, origin)) = config_file(flags, environment) {
        match read_file(&path) {
            Ok(text) => file = file::read(&path, &text, &mut faults),
            Err(err) => faults.push(Fault::new(origin, format!("read \"{}\": {err}", path.display()))),
        }
    }
    let variables = env::read(environment, &mut faults);
    let sources = [file.settings, variables, flags.source()];
    let mut settings = Settings { credentials: file.credentials, ..resolve(&sources, &mut faults) };
    // Without a storage on S3 the variables are for sources of ingests, which report what is missing.
    let mut of_aws = Vec::new();
    let access = aws::read(environment, &mut of_aws);
    if matches!(settings.storage, Storage::S3 { .. }) {
        faults.append(&mut of_aws);
    }
    if of_aws.is_empty() {
        settings.s3_access = access;
    }
    settings.hugging_face = hubs::hugging_face(environment, &mut faults);
    settings.kaggle = hubs::kaggle(environment, &mut faults);
    for (key, needed) in REQUIRED {
        let given = |key: &str| sources.iter().rev().find_map(|source| source.get(key));
        if let (Some(set), None) = (given(key), given(needed)) {
            faults.push(Fault::about(key, set.origin.clone(), format!("requires {needed}")));
        }
    }
    if faults.is_empty() { Ok(settings) } else { Err(Faults::new(faults)) }
}

/// The configuration file, and the origin of its path.
fn config_file(flags: &Flags, environment: &dyn Environment) -> Option<(PathBuf, Origin)> {
    if let Some(path) = flags.config() {
        return Some((path.to_path_buf(), Origin::Flag("config")));
    }
    let path = environment.get(env::CONFIG).filter(|path| !path.is_empty())?;
    Some((path.into(), Origin::Variable(env::CONFIG.to_owned())))
}

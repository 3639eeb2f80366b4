//! What the server is told: flags, environment and one TOML file, made into typed settings.
//!
//! One fault at a time makes a bad deployment a guessing game, so everything that was written is examined and all
//! faults are reported together, each with the place where it was written.
//!
//! Reads the configuration file and, through [`env::Environment`], the environment; touches nothing else. It does not
//! resolve names, create directories or look at the machine, and it never repeats the text of a catalog, which can
//! hold a password.
//!
//! ```text
//! flags.rs ─┐
//! env.rs   ─┼▶ source.rs: text + origin ─▶ value.rs: text → value ─▶ settings.rs
//! file.rs  ─┘        (keys from table.rs)        └▶ fault.rs, all at once
//! ```
//!
//! # Rules
//! 1. A flag beats a variable, a variable beats the file, the file beats the default.
//! 2. A text that is overruled must be right all the same: a broken file does not wait for the day the flag goes.
//! 3. The names follow from one table: `memory_limit`, `--memory-limit`, `MERGANSER_MEMORY_LIMIT`.
//! 4. Credentials stand in the file alone, as hashes: the command line and the environment are seen by too many. Those
//!    of the object store stand in the AWS variables, where all programs look for them.
//! 5. An empty variable counts as not set (`MERGANSER_LOG=`), an empty text elsewhere as a text.
//!
//! # Every setting
//! ```toml
#![doc = include_str!("reference.toml")]
//! ```

pub mod env;

mod aws;
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
pub use table::{Fallback, Setting, TABLE};

use env::Environment;
use source::Source;

/// Settings that say nothing without another one.
const TOGETHER: [(&str, &str); 3] = [("tls_cert", "tls_key"), ("tls_key", "tls_cert"), ("tls_client_ca", "tls_cert")];

/// Reads all sources and makes the settings of them.
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
    if let Some((path, named_by)) = config_file(flags, environment) {
        match read_file(&path) {
            Ok(text) => file = file::read(&path, &text, &mut faults),
            Err(err) => faults.push(Fault::new(named_by, format!("read \"{}\": {err}", path.display()))),
        }
    }
    let variables = env::read(environment, &mut faults);
    let sources = [file.settings, variables, flags.source()];
    let mut settings = Settings { credentials: file.credentials, ..resolve(&sources, &mut faults) };
    if matches!(settings.storage, Storage::S3 { .. }) {
        settings.s3_access = aws::read(environment, &mut faults);
    }
    for (key, needed) in TOGETHER {
        let given = |key: &str| sources.iter().rev().find_map(|source| source.get(key));
        if let (Some(lonely), None) = (given(key), given(needed)) {
            faults.push(Fault::about(key, lonely.origin.clone(), format!("needs {needed} too")));
        }
    }
    if faults.is_empty() { Ok(settings) } else { Err(Faults::new(faults)) }
}

/// The file to read, and who named it.
fn config_file(flags: &Flags, environment: &dyn Environment) -> Option<(PathBuf, Origin)> {
    if let Some(path) = flags.config() {
        return Some((path.to_path_buf(), Origin::Flag("config")));
    }
    let path = environment.get(env::CONFIG).filter(|path| !path.is_empty())?;
    Some((path.into(), Origin::Variable(env::CONFIG.to_owned())))
}

/// Sets every setting of the table: its default first, then each of `sources`, so that the last one wins.
fn resolve(sources: &[Source], faults: &mut Vec<Fault>) -> Settings {
    let mut settings = Settings::UNSET;
    for setting in &TABLE {
        setting.fall_back(&mut settings);
        for given in sources.iter().filter_map(|source| source.get(setting.key)) {
            if let Err(message) = setting.set(&mut settings, &given.text) {
                faults.push(Fault::about(setting.key, given.origin.clone(), message));
            }
        }
    }
    settings
}

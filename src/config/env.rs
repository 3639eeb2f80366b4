//! The environment: the names of its variables, and the only place that reads it.
//!
//! Everyone else is handed an [`Environment`], so that tests hand out a map and never touch that of the process.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::{
    fault::{Fault, nearest},
    source::{Given, Origin, Source},
    table::TABLE,
};

/// What the name of every variable of this program starts with; the setting's key in capitals follows.
pub const PREFIX: &str = "MERGANSER_";

/// Names the configuration file, like `--config`.
pub const CONFIG: &str = "MERGANSER_CONFIG";

/// Names the server for the client subcommands, like `--url`.
pub const URL: &str = "MERGANSER_URL";

/// Something that variables can be read from.
pub trait Environment {
    /// The value of the variable `name`, if it is set.
    fn get(&self, name: &str) -> Option<OsString>;

    /// The names of all variables; what is not UTF-8 in them is replaced.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

/// The address of the server that a client subcommand talks to, if the environment names one.
pub fn client_url(environment: &dyn Environment) -> Option<String> {
    let url = environment.get(URL)?;
    // A broken byte stays visible: whoever parses the address says what is wrong with it.
    Some(url.to_string_lossy().into_owned()).filter(|url| !url.is_empty())
}

/// The name of the person at this machine, if the environment tells it.
pub fn user_name(environment: &dyn Environment) -> Option<String> {
    let names = ["USER", "LOGNAME"].into_iter().filter_map(|name| environment.get(name)?.into_string().ok());
    names.into_iter().find(|name| !name.is_empty())
}

/// Reads the variable of every setting; those that seem to mean one and name none are faults. Others are not: an
/// orchestrator gives every process variables such as `MERGANSER_SERVICE_HOST`.
pub(super) fn read(environment: &dyn Environment, faults: &mut Vec<Fault>) -> Source {
    let keys_by_name: BTreeMap<String, &'static str> =
        TABLE.iter().map(|setting| (setting.variable(), setting.key)).collect();
    let mut source = Source::new();
    for name in environment.names().into_iter().filter(|name| name.starts_with(PREFIX)) {
        if let Some(key) = keys_by_name.get(&name) {
            read_variable(environment, key, name, &mut source, faults);
        } else if name != CONFIG && name != URL {
            faults.extend(misspelt(name, keys_by_name.keys()));
        }
    }
    source
}

/// Reads the variable `name` of the setting `key`, unless it is empty.
fn read_variable(
    environment: &dyn Environment,
    key: &'static str,
    name: String,
    source: &mut Source,
    faults: &mut Vec<Fault>,
) {
    let value = environment.get(&name).map(OsString::into_string);
    let origin = Origin::Variable(name);
    match value {
        None => {}
        Some(Ok(text)) if text.is_empty() => {}
        Some(Ok(text)) => _ = source.insert(key, Given { text, origin }),
        Some(Err(_)) => faults.push(Fault::new(origin, "expected UTF-8 text")),
    }
}

/// The fault of a variable that is nearly one that has a meaning.
fn misspelt<'n>(name: String, known: impl Iterator<Item = &'n String>) -> Option<Fault> {
    let known = known.map(String::as_str).chain([CONFIG, URL]).filter_map(|known| known.strip_prefix(PREFIX));
    let word = name.strip_prefix(PREFIX).unwrap_or(&name);
    let near = nearest(word, known)?;
    let message = format!("unknown setting; did you mean \"{PREFIX}{near}\"?");
    Some(Fault::new(Origin::Variable(name), message))
}

// === impl ProcessEnvironment ===

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<OsString> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the process environment")]
        let value = std::env::var_os(OsStr::new(name));
        value
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    }
}

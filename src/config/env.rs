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
/// Who the client subcommands log in as, like `--user`.
pub const USER: &str = "MERGANSER_USER";
/// The password of that user.
pub const PASSWORD: &str = "MERGANSER_PASSWORD";
/// The static token that the client subcommands show instead.
pub const TOKEN: &str = "MERGANSER_TOKEN";
/// The certificates that the client subcommands trust, like `--ca`.
pub const CA: &str = "MERGANSER_CA_CERT";
/// The certificate that the client subcommands show, like `--client-cert`.
pub const CLIENT_CERT: &str = "MERGANSER_CLIENT_CERT";
/// The key of that certificate, like `--client-key`.
pub const CLIENT_KEY: &str = "MERGANSER_CLIENT_KEY";

/// The name of the key for the object store.
pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// That key.
pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// What makes a temporary key valid.
pub const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
/// The region of the bucket …
pub const AWS_REGION: &str = "AWS_REGION";
/// … where the other one is not set.
pub const AWS_DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
/// Where the object store is, unless it is Amazon's …
pub const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
/// … which this one beats.
pub const AWS_ENDPOINT_URL_S3: &str = "AWS_ENDPOINT_URL_S3";
/// The certificates, as PEM, that the object store's is trusted by.
pub const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The variables that name no setting of the server.
const OTHERS: [&str; 8] = [CONFIG, URL, USER, PASSWORD, TOKEN, CA, CLIENT_CERT, CLIENT_KEY];

/// What follows the prefix in variables that Kubernetes makes for a service called merganser: its ports have names such
/// as `http`, which must not read as settings.
const ORCHESTRATED: [&str; 2] = ["SERVICE_", "PORT"];

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

/// What the environment tells a client subcommand by the variable `name`; an empty text counts as nothing.
pub fn client_variable(environment: &dyn Environment, name: &str) -> Option<String> {
    let text = environment.get(name)?;
    // A broken byte stays visible: whoever uses the text says what is wrong with it.
    Some(text.to_string_lossy().into_owned()).filter(|text| !text.is_empty())
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
        } else if !OTHERS.contains(&name.as_str()) {
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
    let known = known.map(String::as_str).chain(OTHERS).filter_map(|known| known.strip_prefix(PREFIX));
    let word = name.strip_prefix(PREFIX).unwrap_or(&name);
    if ORCHESTRATED.iter().any(|start| word.starts_with(start)) {
        return None;
    }
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

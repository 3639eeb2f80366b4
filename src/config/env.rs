//! Environment variables: their names, and the only code that reads them.
//!
//! Other code takes an [`Environment`], so that tests pass a map and never access the process environment.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::{
    fault::{Fault, nearest},
    source::{Given, Origin, Source},
    table::{PREFIX, TABLE},
};

/// The path of the configuration file, like `--config`.
pub const CONFIG: &str = "MERGANSER_CONFIG";

/// The server for client subcommands, like `--url`.
pub const URL: &str = "MERGANSER_URL";
/// The user for client subcommands, like `--user`.
pub const USER: &str = "MERGANSER_USER";
/// The password of that user.
pub const PASSWORD: &str = "MERGANSER_PASSWORD";
/// The static token for client subcommands, instead of user and password.
pub const TOKEN: &str = "MERGANSER_TOKEN";
/// The trusted CA certificates for client subcommands, like `--ca`.
pub const CA: &str = "MERGANSER_CA_CERT";
/// The client certificate for client subcommands, like `--client-cert`.
pub const CLIENT_CERT: &str = "MERGANSER_CLIENT_CERT";
/// The key of that certificate, like `--client-key`.
pub const CLIENT_KEY: &str = "MERGANSER_CLIENT_KEY";

/// The access key id for the object store.
pub const AWS_ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";
/// The secret access key.
pub const AWS_SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";
/// The session token of temporary credentials.
pub const AWS_SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
/// The region of the bucket.
pub const AWS_REGION: &str = "AWS_REGION";
/// The region of the bucket if `AWS_REGION` is not set.
pub const AWS_DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
/// The endpoint of an object store other than Amazon S3.
pub const AWS_ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
/// Takes precedence over `AWS_ENDPOINT_URL`.
pub const AWS_ENDPOINT_URL_S3: &str = "AWS_ENDPOINT_URL_S3";
/// The file of trusted CA certificates for the object store, in PEM format.
pub const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// The access token for Hugging Face.
pub const HF_TOKEN: &str = "HF_TOKEN";
/// The address of the Hub, or of a server with its protocol.
pub const HF_ENDPOINT: &str = "HF_ENDPOINT";
/// The access token for Kaggle.
pub const KAGGLE_API_TOKEN: &str = "KAGGLE_API_TOKEN";
/// The user for Kaggle.
pub const KAGGLE_USERNAME: &str = "KAGGLE_USERNAME";
/// The key of that user.
pub const KAGGLE_KEY: &str = "KAGGLE_KEY";
/// The address of Kaggle's interfaces, both generations.
pub const KAGGLE_API_ENDPOINT: &str = "KAGGLE_API_ENDPOINT";

/// The variables that are not settings of the server.
const OTHERS: [&str; 8] = [CONFIG, URL, USER, PASSWORD, TOKEN, CA, CLIENT_CERT, CLIENT_KEY];

/// The variables that Kubernetes creates for a service named merganser, without the prefix: its ports have names such as
/// `http`, which must not be mistaken for settings.
const ORCHESTRATED: [&str; 2] = ["SERVICE_", "PORT"];

/// A source of variables.
pub trait Environment {
    /// The value of the variable `name`, if it is set.
    fn get(&self, name: &str) -> Option<OsString>;

    /// The names of all variables; invalid UTF-8 is replaced.
    fn names(&self) -> Vec<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub struct ProcessEnvironment;

/// The value of the variable `name` for a client subcommand; `None` if it is empty.
pub fn client_variable(environment: &dyn Environment, name: &str) -> Option<String> {
    let text = environment.get(name)?;
    // Invalid UTF-8 is replaced, so that the user of the value reports it.
    Some(text.to_string_lossy().into_owned()).filter(|text| !text.is_empty())
}

/// The name of the operating system user, if the environment contains it.
pub fn user_name(environment: &dyn Environment) -> Option<String> {
    let names = ["USER", "LOGNAME"].into_iter().filter_map(|name| environment.get(name)?.into_string().ok());
    names.into_iter().find(|name| !name.is_empty())
}

/// Reads the variables of all settings. Misspelt names are faults; other unknown names are ignored, because orchestrators
/// set variables such as `MERGANSER_SERVICE_HOST`.
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

/// The fault of a variable whose name is similar to a known one.
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
        #[expect(clippy::disallowed_methods, reason = "the only code that reads the process environment")]
        let value = std::env::var_os(OsStr::new(name));
        value
    }

    fn names(&self) -> Vec<String> {
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    }
}

//! Flags: one for each setting of the table, with default and variable in the help, and `--config`.
//!
//! Uses clap's builder instead of its derive macro, so that the table is the only list of settings.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, builder::PathBufValueParser};

use super::{
    env,
    source::{Given, Origin, Source},
    table::{Setting, TABLE},
};

/// The names of flags, which clap requires to be static.
static FLAG_NAMES: LazyLock<Vec<String>> = LazyLock::new(|| TABLE.iter().map(Setting::flag).collect());

/// The id and the name of the flag of the configuration file.
const CONFIG: &str = "config";

/// The values of the command line, not yet parsed. Flattened into the arguments of a command.
#[derive(Clone, Default)]
pub struct Flags {
    config: Option<PathBuf>,
    texts: BTreeMap<&'static str, String>,
}

/// The flag of one setting.
fn arg(setting: &'static Setting, name: &'static str) -> Arg {
    let Setting { key, placeholder, help, default, .. } = setting;
    let help = format!("{help}\n[default: {}] [env: {}]", default.text(), setting.variable());
    // Negative numbers are passed to the setting's own parser, which rejects them.
    Arg::new(*key).long(name).value_name(*placeholder).help(help).allow_negative_numbers(true)
}

// === impl Flags ===

impl Flags {
    /// The path of the configuration file.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The values that were set.
    pub(super) fn source(&self) -> Source {
        let given =
            self.texts.iter().map(|(key, text)| (*key, Given { text: text.clone(), origin: Origin::Flag(key) }));
        given.collect()
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let config =
            Arg::new(CONFIG).long(CONFIG).value_name("FILE").value_parser(PathBufValueParser::new()).help(format!(
                "TOML file of settings, users and tokens; flags and variables take precedence\n[env: {}]",
                env::CONFIG
            ));
        let settings = TABLE.iter().zip(FLAG_NAMES.iter()).map(|(setting, name)| arg(setting, name));
        command.arg(config).args(settings)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(path) = matches.get_one::<PathBuf>(CONFIG) {
            self.config = Some(path.clone());
        }
        for setting in &TABLE {
            if let Some(text) = matches.get_one::<String>(setting.key) {
                self.texts.insert(setting.key, text.clone());
            }
        }
        Ok(())
    }
}

/// Omits the values, which can contain passwords.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, texts } = self;
        f.debug_struct("Flags").field("config", config).field("given", &texts.keys()).finish()
    }
}

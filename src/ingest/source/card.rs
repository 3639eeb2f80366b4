//! The card of a data set on the Hugging Face Hub: the configurations in the YAML at the start of its README
//! (<https://huggingface.co/docs/hub/datasets-manual-configuration>).

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use indexmap::IndexMap;
use serde::Deserialize;

use crate::error::{Error, Result};

/// A configuration: a subset of the files, with their splits.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub name: String,
    pub is_default: bool,
    /// The patterns of each split; without any, splits are found in the paths.
    pub splits: Vec<(String, GlobSet)>,
    /// The folder that it is limited to; empty for all.
    pub folder: String,
}

#[derive(Deserialize)]
struct Card {
    #[serde(default)]
    configs: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default = "default_name")]
    config_name: String,
    data_files: Option<DataFiles>,
    data_dir: Option<String>,
    #[serde(default)]
    default: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DataFiles {
    Pattern(String),
    List(Vec<DataFile>),
    BySplit(BTreeMap<String, Patterns>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum DataFile {
    Pattern(String),
    OfSplit { split: String, path: Patterns },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Patterns {
    One(String),
    Many(Vec<String>),
}

fn default_name() -> String {
    "default".to_owned()
}

/// The configurations in a README; none if it has no YAML, or none in it.
///
/// # Errors
/// `InvalidArgument` for YAML that cannot be read, and for an invalid pattern.
pub(super) fn configs(readme: &str) -> Result<Vec<Config>> {
    let Some(yaml) = front_matter(readme) else { return Ok(Vec::new()) };
    let card: Card = serde_saphyr::from_str(yaml)
        .map_err(|err| Error::invalid(format!("read the YAML of README.md: {}", first_line(&err.to_string()))))?;
    card.configs.into_iter().map(Config::try_from).collect()
}

/// The text between two lines of dashes at the start.
fn front_matter(readme: &str) -> Option<&str> {
    let text = readme.strip_prefix('\u{feff}').unwrap_or(readme);
    let rest = text.strip_prefix("---")?.trim_start_matches([' ', '\r']).strip_prefix('\n')?;
    if rest.starts_with("---") {
        return None;
    }
    Some(&rest[..rest.find("\n---")?])
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

// === impl Config ===

impl TryFrom<Entry> for Config {
    type Error = Error;

    fn try_from(entry: Entry) -> Result<Self> {
        let mut splits = IndexMap::<String, Vec<String>>::new();
        let mut add =
            |split: &str, patterns: Patterns| splits.entry(split.to_owned()).or_default().extend(patterns.all());
        match entry.data_files {
            None => {}
            Some(DataFiles::Pattern(pattern)) => add("train", Patterns::One(pattern)),
            Some(DataFiles::BySplit(all)) => all.into_iter().for_each(|(split, patterns)| add(&split, patterns)),
            Some(DataFiles::List(all)) => all.into_iter().for_each(|file| match file {
                DataFile::Pattern(pattern) => add("train", Patterns::One(pattern)),
                DataFile::OfSplit { split, path } => add(&split, path),
            }),
        }
        let folder = entry.data_dir.unwrap_or_default().trim_matches(['.', '/']).to_owned();
        let splits = splits.into_iter().map(|(split, patterns)| Ok((split, globs(&folder, &patterns)?)));
        Ok(Self { is_default: entry.default, splits: splits.collect::<Result<_>>()?, name: entry.config_name, folder })
    }
}

// === impl Patterns ===

impl Patterns {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(pattern) => vec![pattern],
            Self::Many(patterns) => patterns,
        }
    }
}

/// Patterns of paths below `folder`: `*` stays in a folder, `**` does not.
fn globs(folder: &str, patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let pattern = pattern.trim_start_matches("./");
        let whole = if folder.is_empty() { pattern.to_owned() } else { format!("{folder}/{pattern}") };
        let glob = GlobBuilder::new(&whole).literal_separator(true).build();
        set.add(glob.map_err(|_| Error::invalid(format!("README.md has the invalid pattern \"{pattern}\"")))?);
    }
    set.build().map_err(|err| Error::invalid("the patterns of README.md are too many").with_source(err))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(config: &Config, path: &str) -> Vec<String> {
        config.splits.iter().filter(|(_, globs)| globs.is_match(path)).map(|(split, _)| split.clone()).collect()
    }

    #[test]
    fn all_forms_of_data_files_are_read() {
        let configs = configs(
            "---\nlicense: mit\nconfigs:\n- config_name: a\n  data_files: \"*.csv\"\n- config_name: b\n  default: true\n  \
             data_files:\n  - split: train\n    path: [\"x/train-*\", y.csv]\n  - split: test\n    path: x/**/test.csv\n- \
             config_name: c\n  data_dir: ./data/\n  data_files: {train: \"t*\", val: v.csv}\n- config_name: d\n  data_dir: e\n\
             ---\n# Text\n---\n",
        )
        .unwrap();
        let [a, b, c, d] = configs.as_slice() else { panic!("{configs:?}") };
        assert_eq!((splits(a, "1.csv"), splits(a, "x/1.csv")), (vec!["train".to_owned()], vec![]));
        assert_eq!((splits(b, "x/train-0"), splits(b, "x/a/b/test.csv")), (vec!["train".into()], vec!["test".into()]));
        assert!(b.is_default && !a.is_default);
        assert_eq!(
            (splits(c, "data/t1"), splits(c, "t1"), splits(c, "data/v.csv")),
            (vec!["train".into()], vec![], vec!["val".into()])
        );
        assert_eq!((d.name.as_str(), d.folder.as_str(), d.splits.len()), ("d", "e", 0));
    }

    #[test]
    fn a_readme_may_have_no_yaml() {
        for text in ["", "# Title", "---", "---\n---\n", "---\na: b", "---\nlicense: mit\n---\n"] {
            assert!(configs(text).unwrap().is_empty(), "{text}");
        }
        assert!(configs("---\nconfigs: [\n---\n").is_err());
        let mut bomb = "---\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (of, name) in ('a'..='i').zip('b'..='j') {
            bomb += &format!("{name}: &{name} [*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of},*{of}]\n");
        }
        // 9^10 texts would not fit into memory.
        assert!(configs(&(bomb + "---\n")).is_err());
    }
}

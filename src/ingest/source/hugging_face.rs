//! Data sets on the Hugging Face Hub: `hf://datasets/OWNER/NAME`, then `@REVISION` and a path, both optional.

use std::{borrow::Cow, collections::HashMap, path::Path, sync::Arc};

use percent_encoding::percent_decode_str;

use super::{
    archive,
    card::{self, Config},
    item::{Item, Place},
    splits,
};
use crate::{
    error::{Error, Result},
    hub::{HubFile, HuggingFace, Revision},
    ingest::format::{is_metadata, media_of, name_of},
};

/// Files beside the data.
const BESIDE: [&str; 5] = ["README.md", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];

/// A data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubDataset {
    /// `owner/name`.
    pub name: String,
    /// A branch, tag or commit.
    pub revision: Option<String>,
    /// The folder or file that it is limited to; empty for all.
    pub path: String,
}

/// The part of a data set that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The configuration.
    pub config: Option<&'a str>,
    /// The split.
    pub split: Option<&'a str>,
}

// === impl HubDataset ===

impl HubDataset {
    /// Parses what follows `hf://`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let invalid = || {
            Error::invalid(format!(
                "\"hf://{text}\" is not a data set: write hf://datasets/OWNER/NAME, or …/NAME@REVISION"
            ))
        };
        let rest = text.strip_prefix("datasets/").ok_or_else(invalid)?;
        let mut parts = rest.trim_end_matches('/').splitn(3, '/');
        let (owner, name) = (parts.next().ok_or_else(invalid)?, parts.next().ok_or_else(invalid)?);
        let mut path = parts.next().unwrap_or_default().to_owned();
        let (name, mut revision) = match name.split_once('@') {
            Some((name, revision)) => (name, Some(decoded(revision).ok_or_else(invalid)?)),
            None => (name, None),
        };
        if revision.as_deref() == Some("refs") {
            // refs/convert/parquet and refs/pr/1 need no escapes, as in the official client.
            let mut parts = path.splitn(3, '/').map(str::to_owned).collect::<Vec<_>>();
            if parts.len() < 2 {
                return Err(invalid());
            }
            let rest = if parts.len() == 3 { parts.pop().unwrap_or_default() } else { String::new() };
            revision = Some(format!("refs/{}", parts.join("/")));
            path = rest;
        }
        let is_part = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let is_revision = |text: &String| !text.is_empty() && !text.contains(|c: char| c.is_control() || c == ' ');
        if !is_part(owner) || !is_part(name) || !revision.iter().all(is_revision) || path.contains("..") {
            return Err(invalid());
        }
        Ok(Self { name: format!("{owner}/{name}"), revision, path })
    }

    /// The commit that the revision means now.
    pub(super) async fn resolve(&self, hub: &HuggingFace) -> Result<Revision> {
        hub.revision(&self.name, self.revision.as_deref()).await
    }

    /// Those of `files`, all of the data set, that have data, with their splits.
    ///
    /// # Errors
    /// `NotFound` for a configuration, split or path that does not exist, and if there are no data files; `InvalidArgument`
    /// if a configuration must be chosen; errors of the Hub.
    pub(super) async fn items(
        &self,
        hub: &Arc<HuggingFace>,
        at: &Revision,
        mut files: Vec<HubFile>,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Item>> {
        let configs = match files.iter().find(|file| file.path == "README.md") {
            Some(readme) => card::configs(&hub.text(at, readme).await?)?,
            None => Vec::new(),
        };
        files.retain(|file| is_below(&file.path, &self.path) && !is_beside(&file.path));
        let metadata: Vec<_> = files.iter().filter(|file| is_metadata(Path::new(&file.path))).cloned().collect();
        let files = match choose(&configs, wanted.config, &files)? {
            Chosen::Config(config) => of_config(config, files),
            Chosen::Folder(folder) => {
                with_splits(files.into_iter().filter(|file| is_below(&file.path, folder)).collect())
            }
            Chosen::All => with_splits(files),
        };
        let mut files: Vec<_> =
            of_split(files, wanted.split)?.into_iter().map(|(file, split)| (file, Some(split))).collect();
        if files.iter().any(|(file, _)| media_of(Path::new(&file.path)).is_some()) {
            files.retain(|(file, _)| !is_metadata(Path::new(&file.path)));
            // Metadata belong to all splits of the media that they name, unless they lie in the folder of one.
            let is_other =
                |file: &HubFile| splits::of_folders(&file.path).is_some_and(|split| wanted.split != Some(&split));
            let metadata = metadata.into_iter().filter(|file| wanted.split.is_none() || !is_other(file));
            files.extend(metadata.map(|file| (file, None)));
        }
        if files.is_empty() {
            return Err(Error::not_found(format!(
                "the data set \"{}\" has no files that can be read; for one with a loading script, try \
                 hf://datasets/{}@refs/convert/parquet",
                self.name, self.name
            )));
        }
        let revision = Arc::new(at.clone());
        Ok(files.into_iter().map(|(file, split)| item(hub, &revision, file, split)).collect())
    }
}

fn item(hub: &Arc<HuggingFace>, revision: &Arc<Revision>, file: HubFile, split: Option<String>) -> Item {
    Item {
        path: file.path.clone(),
        bytes: Some(file.bytes),
        tag: Some(file.oid.text().to_owned()),
        split,
        place: Place::HuggingFace(Arc::clone(hub), Arc::clone(revision), file),
    }
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn is_beside(path: &str) -> bool {
    let hidden = |part: &str| part.starts_with('.') || part.starts_with("__");
    path.split('/').any(hidden) || BESIDE.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// What is read of a data set.
enum Chosen<'a> {
    Config(&'a Config),
    /// A folder that is named like the configuration.
    Folder(&'a str),
    All,
}

fn choose<'a>(configs: &'a [Config], wanted: Option<&'a str>, files: &[HubFile]) -> Result<Chosen<'a>> {
    let names = || configs.iter().map(|config| config.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(wanted) = wanted {
        return match configs.iter().find(|config| config.name == wanted) {
            Some(config) => Ok(Chosen::Config(config)),
            None if configs.is_empty()
                && files.iter().any(|file| file.path != wanted && is_below(&file.path, wanted)) =>
            {
                Ok(Chosen::Folder(wanted))
            }
            None if configs.is_empty() => Err(Error::not_found(format!(
                "the data set has no configurations, and no folder \"{wanted}\": leave out \"config\""
            ))),
            None => Err(Error::not_found(format!("there is no configuration \"{wanted}\": choose one of {}", names()))),
        };
    }
    let default = || configs.iter().find(|config| config.is_default || config.name == "default");
    match configs {
        [] => Ok(Chosen::All),
        [only] => Ok(Chosen::Config(only)),
        _ => match default() {
            Some(config) => Ok(Chosen::Config(config)),
            None => Err(Error::invalid(format!("choose a configuration as \"config\": {}", names()))),
        },
    }
}

fn of_config(config: &Config, files: Vec<HubFile>) -> Vec<(HubFile, Option<String>)> {
    if config.splits.is_empty() {
        return with_splits(files.into_iter().filter(|file| is_below(&file.path, &config.folder)).collect());
    }
    let split = |file: &HubFile| config.splits.iter().find(|(_, globs)| globs.is_match(&file.path));
    let splits: Vec<_> = files.iter().map(|file| split(file).map(|(split, _)| split.clone())).collect();
    files.into_iter().zip(splits).collect()
}

/// The format of a file, or that it is an archive; `None` if it has no data.
fn listed_as(file: &HubFile) -> Option<&'static str> {
    let path = Path::new(&file.path);
    name_of(path).or_else(|| archive::kind(path).map(|_| "archive"))
}

/// The files of the most frequent format, with the splits that their paths name. Media count if there are no other data than
/// metadata about them.
fn with_splits(files: Vec<HubFile>) -> Vec<(HubFile, Option<String>)> {
    let is_media = |file: &HubFile| media_of(Path::new(&file.path)).is_some();
    let is_other = |file: &HubFile| !is_media(file) && !is_metadata(Path::new(&file.path)) && listed_as(file).is_some();
    let of_media = files.iter().any(is_media) && !files.iter().any(is_other);
    let listed_as = |file: &HubFile| listed_as(file).filter(|_| is_media(file) == of_media);
    let mut counts = HashMap::<&str, usize>::new();
    for format in files.iter().filter_map(listed_as) {
        *counts.entry(format).or_default() += 1;
    }
    // Of equally frequent ones the first by name, so that the choice does not change.
    let most = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0))).map(|(format, _)| (*format).to_owned());
    let is_of_it = |file: &HubFile| listed_as(file).map(str::to_owned) == most;
    let files: Vec<_> = files.into_iter().filter(|file| most.is_some() && is_of_it(file)).collect();
    let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
    let splits = splits::of(&paths);
    files.into_iter().zip(splits).collect()
}

fn of_split(files: Vec<(HubFile, Option<String>)>, wanted: Option<&str>) -> Result<Vec<(HubFile, String)>> {
    let all: Vec<_> = files.into_iter().filter_map(|(file, split)| Some((file, split?))).collect();
    let Some(wanted) = wanted else { return Ok(all) };
    if !all.iter().any(|(_, split)| split == wanted) {
        let mut names: Vec<_> = all.iter().map(|(_, split)| split.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let names = names.join(", ");
        return Err(Error::not_found(format!("there is no split \"{wanted}\": choose one of {names}")));
    }
    Ok(all.into_iter().filter(|(_, split)| split == wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, revision: Option<&str>, path: &str) {
        let expected = HubDataset { name: name.into(), revision: revision.map(str::to_owned), path: path.into() };
        assert_eq!(HubDataset::parse(text).unwrap(), expected, "{text}");
    }

    #[test]
    fn data_sets_have_an_owner_and_may_have_a_revision_and_a_path() {
        check("datasets/a/b", "a/b", None, "");
        check("datasets/a/b/", "a/b", None, "");
        check("datasets/a/b@v1.0/data/x.csv", "a/b", Some("v1.0"), "data/x.csv");
        check("datasets/a/b@refs%2Fpr%2F1", "a/b", Some("refs/pr/1"), "");
        check("datasets/a/b@refs/convert/parquet", "a/b", Some("refs/convert/parquet"), "");
        check("datasets/a/b@refs/convert/parquet/default", "a/b", Some("refs/convert/parquet"), "default");
        for text in [
            "",
            "a/b",
            "datasets/a",
            "datasets//b",
            "datasets/a/..",
            "datasets/a/b@",
            "datasets/a/b@refs/x",
            "datasets/a/b/../c",
            "models/a/b",
            "datasets/a/b?x",
        ] {
            assert!(HubDataset::parse(text).is_err(), "{text}");
        }
    }
}

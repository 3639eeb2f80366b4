//! The request of a publication.

use std::collections::BTreeMap;

use crate::{
    error::{Error, Result},
    export::Rows,
    lake::snapshots::SnapshotRef,
};

/// A request to publish rows as a data set of the Hugging Face Hub.
#[derive(Clone, Debug)]
pub struct Request {
    /// The rows.
    pub rows: Rows,
    /// The snapshot at which they are read; `None` for the newest.
    pub at: Option<SnapshotRef>,
    /// The data set, `owner/name`.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// The column with the name of the split of each row; `None` for one split.
    pub split_column: Option<String>,
    /// Whether a data set that is made is private.
    pub private: bool,
    /// How media are published.
    pub media: Media,
    /// The columns with URIs of media, and what they are; others are found by their side columns.
    pub media_columns: BTreeMap<String, MediaKind>,
    /// The columns with the numbers of classes, and the names of those.
    pub class_labels: BTreeMap<String, Vec<String>>,
    /// The first line of the commit's message.
    pub message: Option<String>,
    /// The size at which another file is begun.
    pub shard_bytes: u64,
    /// Whether the commit is only described.
    pub dry_run: bool,
}

/// How media are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// Their bytes are in the rows.
    Embed,
    /// Their URIs are.
    Uri,
    /// They are files of the data set, whose addresses are in the rows.
    Upload,
}

/// What a column of media holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// Images.
    Image,
    /// Sounds.
    Audio,
    /// Videos.
    Video,
}

// === impl Request ===

impl Request {
    /// Checks the names.
    ///
    /// # Errors
    /// `InvalidArgument`, with the rule.
    pub fn check(&self) -> Result<()> {
        check_repo(&self.repo)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        if self.branch.is_empty() || self.branch.len() > 200 || !self.branch.chars().all(fits) {
            return Err(Error::invalid(format!("\"{}\" is not the name of a branch", self.branch)));
        }
        Ok(())
    }

    /// What the addresses of the data set's files begin with. Those in it cannot be relative, nor name the commit that is made
    /// with them; without the branch, readers do not find the token for a private one.
    pub fn address(&self) -> String {
        format!("hf://datasets/{}@{}/", self.repo, self.branch.replace('/', "%2F"))
    }
}

// === impl MediaKind ===

impl MediaKind {
    /// Its name, as in media types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    /// The kind with a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Image, Self::Audio, Self::Video].into_iter().find(|kind| kind.name() == name)
    }
}

/// By the rules of the Hub: each part has up to 96 letters, digits and `-_.`, and neither begins nor ends with `-` or `.`.
fn check_repo(repo: &str) -> Result<()> {
    let sound = |part: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let edge = |c: char| "-.".contains(c);
        (1..=96).contains(&part.len())
            && part.chars().all(inner)
            && !part.starts_with(edge)
            && !part.ends_with(edge)
            && !part.contains("--")
            && !part.contains("..")
    };
    match repo.split_once('/') {
        Some((owner, name)) if sound(owner) && sound(name) => Ok(()),
        _ => Err(Error::invalid(format!(
            "\"{repo}\" is not a data set of the Hub: \"repo\" is OWNER/NAME of letters, digits and -_. (not at the ends)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_data_sets_follow_the_rules_of_the_hub() {
        for repo in ["a/b", "Owner-1/my.data_set", "o/x1"] {
            assert!(check_repo(repo).is_ok(), "{repo}");
        }
        for repo in ["", "a", "a/b/c", "/b", "a/", "a/-b", "a/b.", "a/b c", "a/b--c", "../b", "a/ü"] {
            assert!(check_repo(repo).is_err(), "{repo}");
        }
    }
}

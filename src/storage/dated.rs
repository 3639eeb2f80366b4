//! Folders named by the time at which they were made, and a manifest that names the latest complete one.
//!
//! ```text
//! raw/<data set>/2026_01_31/12_00_00_000/…     exports/<schema>/<table>/2026_01_31/12_00_00_000/…
//! raw/<data set>/manifest.json                 exports/<schema>/<table>/manifest.json
//! ```

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde::{Deserialize, Serialize};

use super::store::Storage;
use crate::error::Result;

/// The age at which an incomplete folder is no longer one that is being written.
pub const ABANDONED: Duration = Duration::from_hours(24);

const MANIFEST: &str = "manifest.json";
const TIME: &str = "%Y_%m_%d/%H_%M_%S_%3f";

/// The dated folders of one thing: the landings of a data set, the exports of a table.
#[derive(Clone, Debug)]
pub struct Dated {
    storage: Storage,
    /// The folder of all things of this kind: `raw`.
    root: &'static str,
    name: String,
}

/// The files of dated folders, with their sizes, by the name of the thing and the time of the folder.
pub type Folders = BTreeMap<(String, String), Vec<(String, u64)>>;

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    dataset: String,
    latest: String,
}

// === impl Dated ===

impl Dated {
    /// The dated folders of `name` in the folder `root` of `storage`.
    pub fn new(storage: Storage, root: &'static str, name: &str) -> Self {
        Self { storage, root, name: name.to_owned() }
    }

    /// The store.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The name of the thing.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder of a time.
    pub fn folder(&self, time: &str) -> String {
        format!("{}/{}/{time}", self.root, self.name)
    }

    /// A file in the folder of a time.
    pub fn path(&self, time: &str, file: &str) -> String {
        format!("{}/{file}", self.folder(time))
    }

    /// The URI of the manifest.
    pub fn manifest_uri(&self) -> String {
        self.storage.uri(&self.manifest())
    }

    /// The time of the latest folder; `None` if there is no manifest that can be read.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn latest(&self) -> Result<Option<String>> {
        let manifest = self.storage.read_json::<Manifest>(&self.manifest()).await?;
        Ok(manifest.map(|manifest| manifest.latest))
    }

    /// Makes a complete folder the latest, unless the latest is newer.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn make_latest(&self, time: &str) -> Result<()> {
        if self.latest().await?.is_some_and(|latest| latest.as_str() >= time) {
            return Ok(());
        }
        let manifest = Manifest { dataset: self.name.clone(), latest: time.to_owned() };
        self.storage.write_json(&self.manifest(), &manifest).await
    }

    fn manifest(&self) -> String {
        format!("{}/{}/{MANIFEST}", self.root, self.name)
    }
}

/// The name of a folder that is made now, in UTC: `YYYY_MM_DD/HH_MM_SS_mmm`.
pub fn now() -> String {
    Utc::now().format(TIME).to_string()
}

/// The age of a folder; `None` if it is of the future, or if `time` is not the name of one.
pub fn age(time: &str, now: DateTime<Utc>) -> Option<Duration> {
    let time = NaiveDateTime::parse_from_str(time, TIME).ok()?.and_utc();
    (now - time).to_std().ok()
}

/// All dated folders of things whose names have `parts` parts, in the folder `root`, or of the thing `name` alone.
///
/// # Errors
/// Errors of the store.
pub async fn folders(storage: &Storage, root: &str, parts: usize, name: Option<&str>) -> Result<Folders> {
    let inside = name.map_or_else(|| root.to_owned(), |name| format!("{root}/{name}"));
    let mut folders = Folders::new();
    for (path, bytes) in storage.list(&inside).await? {
        let path = path.strip_prefix(root).and_then(|path| path.strip_prefix('/'));
        if let Some((name, time, file)) = path.and_then(|path| split(path, parts)) {
            folders.entry((name.to_owned(), time.to_owned())).or_default().push((file.to_owned(), bytes));
        }
    }
    Ok(folders)
}

/// The parts of `<name>/<date>/<time>/<file>`, of which the name has `parts`.
fn split(path: &str, parts: usize) -> Option<(&str, &str, &str)> {
    let slash = |number: usize| path.match_indices('/').nth(number - 1).map(|(at, _)| at);
    let (name, time) = (slash(parts)?, slash(parts + 2)?);
    let (name, time, file) = (&path[..name], &path[name + 1..time], &path[time + 1..]);
    NaiveDateTime::parse_from_str(time, TIME).is_ok().then_some((name, time, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_parts() {
        let time = "2026_01_31/12_00_00_000";
        assert_eq!(split(&format!("coco/{time}/a/b.csv"), 1), Some(("coco", time, "a/b.csv")));
        assert_eq!(split(&format!("gold/t/{time}/a.csv"), 2), Some(("gold/t", time, "a.csv")));
        for path in ["coco/manifest.json", "coco/2026_01_31/x", "coco/2026_01_31/12_00/x", "a/b/c/d", ""] {
            assert_eq!(split(path, 1), None, "{path}");
        }
    }
}

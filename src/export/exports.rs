//! The exports in the store: listing and pruning them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::record::{Located, RECORD, ROOT, Record};
use crate::{
    error::{Error, Result},
    lake::table::TableRef,
    storage::{
        Storage,
        dated::{self, ABANDONED, Dated, age},
    },
};

/// An export in the store.
#[derive(Clone, Debug)]
pub struct Found {
    /// The name, as `schema.table`.
    pub name: String,
    /// The time, `YYYY_MM_DD/HH_MM_SS_mmm`, in UTC.
    pub time: String,
    /// The URI.
    pub uri: String,
    /// What it is; `None` for an export that is being written, or whose writing was interrupted.
    pub record: Option<Record>,
    /// Whether the manifest names it.
    pub latest: bool,
    /// The size of all files that are there.
    pub bytes: u64,
}

/// The exports of `name`, or all: by name, the newest first. Without `all`, only the latest of each name.
///
/// # Errors
/// Errors of the store.
pub async fn list(storage: &Storage, name: Option<&TableRef>, all: bool) -> Result<Vec<Found>> {
    let inside = name.map(|name| format!("{}/{}", name.schema, name.name));
    let folders = dated::folders(storage, ROOT, 2, inside.as_deref()).await?;
    let mut latest_of = BTreeMap::<String, Option<String>>::new();
    let mut listed = Vec::new();
    for ((name, time), files) in folders.into_iter().rev() {
        let series = Dated::new(storage.clone(), ROOT, &name);
        if !latest_of.contains_key(&name) {
            latest_of.insert(name.clone(), series.latest().await?);
        }
        let latest = latest_of[&name].as_ref() == Some(&time);
        if all || latest {
            let record = storage.read_json(&series.path(&time, RECORD)).await?;
            let bytes = files.iter().map(|(_, bytes)| bytes).sum();
            let uri = storage.uri(&series.folder(&time));
            listed.push(Found { name: name.replacen('/', ".", 1), time, uri, record, latest, bytes });
        }
    }
    listed.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listed)
}

/// The latest export with the name `schema.table`, or the one at a URI.
///
/// # Errors
/// `NotFound`; errors of the store.
pub async fn locate(storage: &Storage, text: &str) -> Result<Located> {
    let absent =
        || Error::not_found(format!("there is no export \"{text}\"; the action exports lists those that there are"));
    let (name, time) = if text.contains("://") {
        let path = storage.path_of(text.trim_end_matches('/'));
        let inside = path.as_deref().and_then(|path| path.strip_prefix(ROOT)?.strip_prefix('/')).ok_or_else(absent)?;
        let time = inside.match_indices('/').nth(1).map(|(at, _)| at).ok_or_else(absent)?;
        (inside[..time].to_owned(), Some(inside[time + 1..].to_owned()))
    } else {
        let TableRef { schema, name } = TableRef::parse(text)?;
        (format!("{schema}/{name}"), None)
    };
    let series = Dated::new(storage.clone(), ROOT, &name);
    let time = match time {
        Some(time) => time,
        None => series.latest().await?.ok_or_else(absent)?,
    };
    let record = storage.read_json(&series.path(&time, RECORD)).await?.ok_or_else(absent)?;
    Ok(Located { series, time, record })
}

/// Those of `exports` that [`remove`] may remove: older than the latest of their name, and not being written.
pub fn superseded(exports: Vec<Found>) -> Vec<Found> {
    let now = Utc::now();
    let latest = exports.iter().filter(|export| export.latest);
    let latest: BTreeMap<_, _> = latest.map(|export| (export.name.clone(), export.time.clone())).collect();
    let is_superseded = |export: &Found| latest.get(&export.name).is_some_and(|latest| export.is_older(latest, now));
    exports.into_iter().filter(is_superseded).collect()
}

/// Removes an export.
///
/// # Errors
/// Errors of the store; some of its files may be removed then.
pub async fn remove(storage: &Storage, export: &Found) -> Result<()> {
    let series = Dated::new(storage.clone(), ROOT, &export.name.replacen('.', "/", 1));
    // Without its record it is incomplete, whatever happens next.
    storage.delete(&series.path(&export.time, RECORD)).await?;
    storage.delete_folder(&series.folder(&export.time)).await
}

// === impl Found ===

impl Found {
    fn is_older(&self, latest: &str, now: DateTime<Utc>) -> bool {
        let abandoned = || age(&self.time, now).is_some_and(|age| age > ABANDONED);
        self.time.as_str() < latest && (self.record.is_some() || abandoned())
    }
}

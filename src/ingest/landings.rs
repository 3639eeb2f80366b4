//! The landings in the store: listing and pruning them.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::landing::{File, KEEP, LISTING, Listing, ROOT};
use crate::{
    error::Result,
    storage::{
        Storage,
        dated::{self, ABANDONED, Dated, age},
    },
};

/// A landing in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The name of the data set.
    pub dataset: String,
    /// The name, `YYYY_MM_DD/HH_MM_SS_mmm`, in UTC.
    pub time: String,
    /// The URI.
    pub uri: String,
    /// Whether all of it is there.
    pub state: LandingState,
    /// Whether the manifest of the data set names it.
    pub latest: bool,
    /// The source, if the landing has a listing.
    pub source: Option<String>,
    /// The files, without those of the server.
    pub files: Vec<FoundFile>,
}

/// A file of a landing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// The path relative to the landing.
    pub path: String,
    /// The size.
    pub bytes: u64,
    /// The SHA-256, in hexadecimal digits, if the landing has a listing.
    pub sha256: Option<String>,
}

/// Whether a landing is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LandingState {
    /// It is.
    Complete,
    /// Somebody has to put files there.
    Waiting,
    /// It is being written, or writing it was interrupted.
    Incomplete,
}

// === impl Found ===

impl Found {
    /// Whether the next ingest of its data set neither reads nor writes it.
    fn is_superseded(&self, latest: &str, now: DateTime<Utc>) -> bool {
        let abandoned = || age(&self.time, now).is_some_and(|age| age > ABANDONED);
        self.time.as_str() < latest
            && match self.state {
                // Files that were not read exist nowhere else.
                LandingState::Complete => self.source.is_none() || self.files.iter().all(|file| file.sha256.is_some()),
                LandingState::Waiting => false,
                LandingState::Incomplete => abandoned(),
            }
    }

    /// The total size of the files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The landings of `dataset`, or of all data sets: by data set, the newest first. Without `all`, only the latest of each data
/// set, and those that wait for files.
///
/// # Errors
/// Errors of the store.
pub async fn list(storage: &Storage, dataset: Option<&str>, all: bool) -> Result<Vec<Found>> {
    let landings = dated::folders(storage, ROOT, 1, dataset).await?;
    let mut latest_of = BTreeMap::<String, Option<String>>::new();
    let mut listed = Vec::new();
    for ((dataset, time), files) in landings.into_iter().rev() {
        if !latest_of.contains_key(&dataset) {
            let latest = Dated::new(storage.clone(), ROOT, &dataset).latest().await?;
            latest_of.insert(dataset.clone(), latest);
        }
        let files: Vec<_> = files.into_iter().map(|(path, bytes)| FoundFile { path, bytes, sha256: None }).collect();
        let is_latest = latest_of[&dataset].as_ref() == Some(&time);
        if all || is_latest || is_waiting(&files) {
            listed.push(found(storage, dataset, time, files, is_latest).await?);
        }
    }
    listed.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    Ok(listed)
}

/// The landings that [`remove`] may remove: those older than the latest of their data set.
pub fn superseded(landings: Vec<Found>) -> Vec<Found> {
    let now = Utc::now();
    let latest: BTreeMap<_, _> = landings
        .iter()
        .filter(|landing| landing.latest)
        .map(|landing| (landing.dataset.clone(), landing.time.clone()))
        .collect();
    let is_superseded =
        |landing: &Found| latest.get(&landing.dataset).is_some_and(|latest| landing.is_superseded(latest, now));
    landings.into_iter().filter(is_superseded).collect()
}

/// Removes a landing.
///
/// # Errors
/// Errors of the store; some of its files may be removed then.
pub async fn remove(storage: &Storage, landing: &Found) -> Result<()> {
    let folder = format!("{ROOT}/{}/{}", landing.dataset, landing.time);
    // Without a listing it is incomplete, whatever happens next.
    storage.delete(&format!("{folder}/{LISTING}")).await?;
    storage.delete_folder(&folder).await
}

async fn found(storage: &Storage, dataset: String, time: String, files: Vec<FoundFile>, latest: bool) -> Result<Found> {
    let folder = format!("{ROOT}/{dataset}/{time}");
    let waiting = is_waiting(&files);
    let listing =
        if has(&files, LISTING) { storage.read_json::<Listing>(&format!("{folder}/{LISTING}")).await? } else { None };
    let state = match (&listing, waiting) {
        (Some(_), _) => LandingState::Complete,
        (None, true) => LandingState::Waiting,
        // Landings of older versions have no listing.
        (None, false) if latest => LandingState::Complete,
        (None, false) => LandingState::Incomplete,
    };
    let mut files: Vec<_> = files.into_iter().filter(|file| ![LISTING, KEEP].contains(&file.path.as_str())).collect();
    let listed = listing.iter().flat_map(|listing| &listing.files);
    let listed: HashMap<&str, &File> = listed.map(|file| (file.path.as_str(), file)).collect();
    for file in &mut files {
        file.sha256 = listed.get(file.path.as_str()).map(|listed| listed.sha256.clone());
    }
    let source = listing.map(|listing| listing.source);
    Ok(Found { uri: storage.uri(&folder), dataset, time, state, latest, source, files })
}

/// Whether somebody has to put files into a landing with these.
fn is_waiting(files: &[FoundFile]) -> bool {
    has(files, KEEP) && !has(files, LISTING)
}

fn has(files: &[FoundFile], name: &str) -> bool {
    files.iter().any(|file| file.path == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(time: &str, state: LandingState, superseded: bool) {
        let landing = Found {
            dataset: "d".into(),
            time: time.into(),
            uri: String::new(),
            state,
            latest: false,
            source: None,
            files: Vec::new(),
        };
        let now = DateTime::parse_from_rfc3339("2026-01-31T12:00:00Z").unwrap().to_utc();
        assert_eq!(landing.is_superseded("2026_01_31/11_00_00_000", now), superseded, "{time} {state:?}");
    }

    #[test]
    fn what_may_be_in_use_is_not_superseded() {
        use LandingState::{Complete, Incomplete, Waiting};
        check("2026_01_31/10_59_59_999", Complete, true);
        check("2026_01_31/11_00_00_000", Complete, false);
        check("2026_01_31/11_00_00_001", Complete, false);
        check("2025_01_31/10_00_00_000", Waiting, false);
        check("2026_01_31/10_00_00_000", Incomplete, false);
        check("2026_01_30/10_00_00_000", Incomplete, true);
    }
}

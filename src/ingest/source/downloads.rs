//! Downloads to a folder that outlives the process, so that an ingest that was killed continues where it stopped.
//!
//! ```text
//! downloads/<data set>.<ingest>/files/<path>     what was fetched; <path>.part is not whole yet
//! downloads/<data set>.<ingest>/tags/<hash>      the tag of a whole file, by the hash of its path
//! ```

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::fs;

use super::{item::Item, path};
use crate::{error::Result, jobs::Progress};

/// The number of concurrent downloads.
const DOWNLOADS: usize = 8;
/// How long what an interrupted ingest has downloaded is kept.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// What one ingest downloads.
#[derive(Debug)]
pub struct Downloads {
    folder: PathBuf,
}

/// A fetched item.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The tag of its content; empty if the source has none.
    pub tag: String,
    /// The file; `None` if its content is the known one.
    pub file: Option<PathBuf>,
}

// === impl Downloads ===

impl Downloads {
    /// Those of the ingest `name`, in a folder below `staging`.
    pub fn new(staging: &Path, name: &str) -> Self {
        Self { folder: staging.join("downloads").join(name) }
    }

    /// The folder of the fetched files.
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// Fetches `items`, except those whose content has the tag that `known` gives. What other ingests left long ago is
    /// removed.
    ///
    /// # Errors
    /// `InvalidArgument` for a path that leads out of the folder; Cancelled; errors of the source.
    pub async fn fetch(
        &self,
        items: &[Item],
        known: impl Fn(&Item) -> Option<String>,
        progress: &Progress,
    ) -> Result<Vec<Fetched>> {
        let wanted = items.iter().map(|item| (item, known(item))).collect::<Vec<_>>();
        let is_new = |(item, known): &&(&Item, Option<String>)| item.tag.is_none() || item.tag != *known;
        let total = wanted.iter().filter(is_new).map(|(item, _)| item.bytes).sum::<Option<u64>>();
        progress.phase("download", "bytes", total);
        self.begin().await?;
        let fetches: Vec<_> = wanted.into_iter().map(|(item, known)| self.fetch_one(item, known, progress)).collect();
        progress.unless_cancelled(stream::iter(fetches).buffered(DOWNLOADS).try_collect()).await
    }

    /// Makes the folder, with the time of now, after what others left long ago is removed.
    async fn begin(&self) -> Result<()> {
        let started = self.folder.join("started");
        let _ = fs::remove_file(&started).await;
        fs::create_dir_all(self.folder.join("tags")).await?;
        fs::write(started, "").await?;
        match self.folder.parent() {
            Some(all) => remove_old(all).await,
            None => Ok(()),
        }
    }

    /// Removes all of them: they are not needed any more.
    ///
    /// # Errors
    /// Errors of the disk.
    pub async fn remove(self) -> Result<()> {
        match fs::remove_dir_all(&self.folder).await {
            Err(err) if err.kind() != ErrorKind::NotFound => Err(err.into()),
            _ => Ok(()),
        }
    }

    async fn fetch_one(&self, item: &Item, known: Option<String>, progress: &Progress) -> Result<Fetched> {
        if let (Some(tag), Some(known)) = (&item.tag, &known)
            && tag == known
        {
            return Ok(Fetched { tag: tag.clone(), file: None });
        }
        let file = self.files().join(path::inside(&item.path)?);
        let mark = self.folder.join("tags").join(format!("{:x}", Sha256::digest(&item.path)));
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).await?;
        }
        // What an earlier run has fetched is known as well.
        let fetched = if fs::try_exists(&file).await? { fs::read_to_string(&mark).await.ok() } else { None };
        let mut received = 0;
        let asked = fetched.as_deref().or(known.as_deref());
        let advance = |done: u64, size: Option<u64>| {
            match size.filter(|_| item.bytes.is_none()) {
                // The size of the only file is known only now.
                Some(size) => progress.set(done, size),
                // A download that begins again counts once.
                None => progress.advance(done.saturating_sub(received)),
            }
            received = received.max(done);
        };
        let Some(tag) = item.fetch(&file, asked, advance).await? else {
            progress.advance(item.bytes.unwrap_or_default());
            let is_known = fetched.is_none() || fetched == known;
            return Ok(Fetched { tag: asked.unwrap_or_default().to_owned(), file: (!is_known).then_some(file) });
        };
        if !tag.is_empty() {
            fs::write(&mark, &tag).await?;
        }
        Ok(Fetched { tag, file: Some(file) })
    }
}

async fn remove_old(folder: &Path) -> Result<()> {
    let mut entries = fs::read_dir(folder).await?;
    while let Some(entry) = entries.next_entry().await? {
        // Another ingest may remove the same one.
        let Ok(modified) = entry.metadata().await.and_then(|metadata| metadata.modified()) else { continue };
        let is_old = SystemTime::now().duration_since(modified).is_ok_and(|age| age > KEPT);
        if is_old && let Err(err) = fs::remove_dir_all(entry.path()).await {
            tracing::debug!(cause = %err, "cannot remove an old download");
        }
    }
    Ok(())
}

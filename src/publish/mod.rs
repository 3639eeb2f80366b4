//! Publishing rows as a data set of the Hugging Face Hub, in one commit.
//!
//! ```text
//! rows at a snapshot ─▶ split by split to Parquet files ─▶ what the data set shall contain
//!   ─▶ compared with its branch ─▶ upload of what is missing ─▶ one commit, or none
//! ```
//!
//! The same rows make the same files, so publishing them again changes nothing. A commit names the one that it follows: if
//! another was first, or the answer was lost, the branch is read and compared again, and never is a commit sent twice blindly.

mod card;
mod configs;
mod embed;
mod features;
mod media;
mod place;
mod provenance;
mod request;
mod rows;
mod state;

use std::{path::PathBuf, sync::Arc, time::Duration};

use rand::RngExt;

pub use self::request::{Media, MediaKind, Request};
use self::{
    media::MediaFiles,
    provenance::{FILE, Provenance},
    rows::Source,
    state::{MediaChange, README, Wanted},
};
use crate::{
    context::Principal,
    engine::Engine,
    error::{Error, ErrorKind, Result},
    hub::{Committed, HubFile, HuggingFace, NewCommit, NewFile, Revision},
    ids::SnapshotId,
    jobs::Progress,
    lake::{Lake, pins::Pins, snapshots::SnapshotRef},
    storage::Storage,
};

/// How often a branch that moves is read again.
const ATTEMPTS: u32 = 8;
/// The delay before that, at the most; doubled for each attempt.
const DELAY: Duration = Duration::from_millis(200);

/// Publishes rows of one lake.
#[derive(Debug)]
pub struct Publisher {
    lake: Lake,
    pins: Arc<Pins>,
    storage: Storage,
    hub: Arc<HuggingFace>,
    staging: PathBuf,
}

/// The outcome of a publication.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The commit of the branch now; `None` if there is none, after a dry run.
    pub commit: Option<String>,
    /// The address of the data set.
    pub url: String,
    /// The snapshot that was read.
    pub snapshot_id: SnapshotId,
    /// The paths of the files that were added or replaced, or would be, with their sizes; without media.
    pub added: Vec<(String, u64)>,
    /// The paths of the files that were removed, or would be; without media.
    pub removed: Vec<String>,
    /// The files with media that were added and removed, or would be.
    pub media: MediaChange,
    /// The number of rows of the data set.
    pub rows: u64,
    /// Whether it had all of it already.
    pub unchanged: bool,
}

// === impl Publisher ===

impl Publisher {
    /// Publishes rows of `lake`, with media in `storage`, to `hub`, with temporary files in the folder `staging`.
    pub fn new(lake: Lake, pins: Arc<Pins>, storage: Storage, hub: Arc<HuggingFace>, staging: PathBuf) -> Self {
        Self { lake, pins, storage, hub, staging }
    }

    /// Publishes rows.
    ///
    /// # Errors
    /// `NotFound` for an unknown table or snapshot, and for media that are missing; `InvalidArgument` for rows that a data
    /// set cannot hold; `FailedPrecondition` without the right to write; `Unavailable` if the Hub does not answer; `Conflict`
    /// if the branch moves all the time; Cancelled.
    pub async fn run(&self, request: &Request, author: &Principal, progress: &Progress) -> Result<Publication> {
        progress.phase("read snapshot", "rows", None);
        let engine = self.engine(request).await?;
        let source = progress.unless_cancelled(Source::read(&engine, request, author)).await?;
        let old = progress.unless_cancelled(self.state(request)).await?;
        if let Some((head, files)) = &old
            && let Some(published) = progress.unless_cancelled(self.is_there(head, files, &source)).await?
        {
            return Ok(self.unchanged(request, head.clone(), &published));
        }
        let spool = tempfile::tempdir_in(&self.staging)?;
        let on_its_way = spool.path().join("media");
        tokio::fs::create_dir(&on_its_way).await?;
        let media = MediaFiles::new(self.storage.clone(), request.address(), source.uploaded(request), on_its_way);
        let target = (spool.path(), &Arc::new(media));
        let wanted = rows::write(&engine, request, &source, author, target, progress).await?;
        self.commit(request, &wanted, progress).await
    }

    /// Makes the branch what it shall be.
    async fn commit(&self, request: &Request, wanted: &Wanted, progress: &Progress) -> Result<Publication> {
        for attempt in 0..ATTEMPTS {
            let state = progress.unless_cancelled(self.state(request)).await?;
            let (head, files) = match state {
                Some((head, files)) => (Some(head), files),
                None => (None, Vec::new()),
            };
            let old = match &head {
                Some(head) => progress.unless_cancelled(self.text(head, &files, README)).await?,
                None => None,
            };
            let change = wanted.change(&request.repo, &files, old.as_deref())?;
            let outcome = |commit, unchanged| Publication {
                commit,
                url: self.hub.page(&request.repo),
                snapshot_id: wanted.provenance.snapshot_id,
                added: change.added(),
                removed: change.removed(),
                media: change.media(),
                rows: wanted.rows(),
                unchanged,
            };
            if request.dry_run {
                return Ok(outcome(head.map(|head| head.sha), change.is_empty()));
            }
            if let Some(head) = head.as_ref().filter(|_| change.is_empty()) {
                return Ok(outcome(Some(head.sha.clone()), true));
            }
            let Some(head) = head else {
                self.make(request, progress).await?;
                continue;
            };
            progress.unless_cancelled(self.upload(request, &wanted.media, &change.large(), progress)).await?;
            progress.phase("commit", "files", None);
            progress.check()?;
            let title = request.message.clone().unwrap_or_else(|| wanted.title());
            let commit = NewCommit {
                parent: &head,
                branch: &request.branch,
                title: &title,
                description: &wanted.description(),
                files: &change.files,
                removed: &change.removed,
            };
            let asked = match self.hub.commit(commit).await? {
                Committed::Done(revision) => return Ok(outcome(Some(revision.sha), false)),
                Committed::Outdated => Duration::ZERO,
                Committed::Unknown { error, delay } => {
                    tracing::warn!(cause = %error, "the answer to a commit was lost");
                    delay
                }
            };
            let delay = (DELAY * 2_u32.pow(attempt)).mul_f64(rand::rng().random_range(0.5..1.0));
            let wait = tokio::time::sleep(asked.max(delay));
            let wait = async {
                wait.await;
                Ok(())
            };
            progress.unless_cancelled(wait).await?;
        }
        let (repo, branch) = (&request.repo, &request.branch);
        Err(Error::new(
            ErrorKind::Conflict,
            format!("others commit to \"{repo}\", branch {branch}, all the time: try again"),
        ))
    }

    /// Uploads files; media are on the disk only meanwhile.
    async fn upload(
        &self,
        request: &Request,
        media: &MediaFiles,
        large: &[NewFile],
        progress: &Progress,
    ) -> Result<()> {
        progress.phase("upload", "bytes", Some(large.iter().map(|file| file.bytes).sum()));
        for some in media::groups(large) {
            media.fetch(some).await?;
            let advance = |bytes| progress.advance(bytes);
            self.hub.upload(&request.repo, &request.branch, some, &self.staging, advance).await?;
            media.forget(some).await?;
        }
        Ok(())
    }

    /// The head of the branch, and its files; `None` if there is no such data set, or no such branch.
    async fn state(&self, request: &Request) -> Result<Option<(Revision, Vec<HubFile>)>> {
        match self.hub.revision(&request.repo, Some(&request.branch)).await {
            Ok(head) => {
                let files = self.hub.files(&head).await?;
                Ok(Some((head, files)))
            }
            Err(err) if err.kind() == ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Makes the data set and the branch.
    async fn make(&self, request: &Request, progress: &Progress) -> Result<()> {
        progress.phase("make the data set", "files", None);
        progress.unless_cancelled(self.hub.create(&request.repo, request.private)).await?;
        if request.branch != "main" {
            progress.unless_cancelled(self.hub.create_branch(&request.repo, &request.branch)).await?;
        }
        Ok(())
    }

    /// What was published to the branch, if that is what would be published now: the same request, of tables that have not
    /// changed since, and all files are there.
    async fn is_there(&self, head: &Revision, files: &[HubFile], source: &Source) -> Result<Option<Provenance>> {
        let Some(text) = self.text(head, files, FILE).await? else { return Ok(None) };
        let Ok(published) = serde_json::from_str::<Provenance>(&text) else { return Ok(None) };
        let is_same = published.source == source.published && published.lineage == source.about.lineage;
        Ok((is_same && source.is_reproducible() && state::are_there(&published, files)).then_some(published))
    }

    fn unchanged(&self, request: &Request, head: Revision, published: &Provenance) -> Publication {
        Publication {
            commit: Some(head.sha),
            url: self.hub.page(&request.repo),
            snapshot_id: published.snapshot_id,
            added: Vec::new(),
            removed: Vec::new(),
            media: MediaChange::default(),
            rows: published.splits.iter().map(|split| split.rows).sum(),
            unchanged: true,
        }
    }

    async fn text(&self, head: &Revision, files: &[HubFile], path: &str) -> Result<Option<String>> {
        match files.iter().find(|file| file.path == path) {
            Some(file) => self.hub.text(head, file).await.map(Some),
            None => Ok(None),
        }
    }

    /// The engine in which the snapshot is the newest: all splits are read at the same.
    async fn engine(&self, request: &Request) -> Result<Engine> {
        let id = match &request.at {
            Some(name) => self.pins.resolve(name.clone()).await?,
            None => self.lake.engine().run(|connection| Ok(crate::lake::snapshots::newest(connection))).await?,
        };
        self.pins.resolve(SnapshotRef::Version(id)).await?;
        self.pins.get(id).await
    }
}

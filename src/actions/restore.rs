//! `restore`: restores a backup of the catalog to a new catalog, or replaces the one of the served lake.

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    backup::{Candidate, Selector, parse_timestamp},
    error::{Error, Result},
    lake::{
        catalog::Catalog,
        destination::{self, Destination},
    },
    proto::{RestoreRequest, RestoreResult},
};

/// The maximum number of missing files that are listed.
const MAX_LISTED: usize = 20;

/// The action.
#[derive(Debug)]
pub struct Restore {
    backup: Selector,
    to: To,
    /// Whether missing data files are accepted.
    force: bool,
}

/// Where a backup is restored to.
#[derive(Clone, Debug)]
enum To {
    /// The backup is only verified.
    Nothing,
    /// The lake that is served.
    ServedLake,
    /// A new catalog.
    Catalog(Catalog),
}

// === impl Restore ===

impl Action for Restore {
    const NAME: &'static str = "restore";
    const WRITES: bool = true;
    type Request = RestoreRequest;
    type Response = RestoreResult;

    fn validate(request: RestoreRequest) -> Result<Self> {
        let backup = match (&request.backup, &request.at) {
            (None, None) => Selector::Latest,
            (Some(name), None) => Selector::Name(name.clone()),
            (None, Some(time)) => Selector::At(parse_timestamp(time).map_err(|err| err.context("\"at\""))?),
            (Some(_), Some(_)) => return Err(Error::invalid("\"backup\" and \"at\" exclude each other")),
        };
        Ok(Self { backup, to: To::parse(&request)?, force: request.force })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.restore(job))
    }
}

impl Restore {
    async fn restore(self, JobContext { services, progress, .. }: JobContext) -> Result<RestoreResult> {
        let candidate = services.backups.candidate(&self.backup, &progress).await?;
        if !self.force && !matches!(self.to, To::Nothing) {
            candidate.check_files()?;
        }
        let result = result(&candidate, &self.to);
        match self.to {
            To::Nothing => {}
            To::Catalog(catalog) => {
                progress.phase("write the catalog", "steps", None);
                let (settings, lake) = services.pins.origin();
                let destination = Destination { catalog, data_path: lake.storage.lake_path() };
                // Not dropped when the job is cancelled: an installation must be finished or undone.
                progress.check()?;
                destination::install(settings, &destination, &candidate.file()).await?;
            }
            To::ServedLake => {
                progress.check()?;
                services.backups.request_swap(candidate)?;
            }
        }
        Ok(result)
    }
}

fn result(candidate: &Candidate, to: &To) -> RestoreResult {
    let contents = &candidate.record.contents;
    RestoreResult {
        backup: candidate.record.name.clone(),
        path: candidate.uri.clone(),
        snapshot_id: contents.snapshot_id.0,
        snapshots: contents.snapshots,
        to: match to {
            To::Catalog(catalog) => Some(catalog.name()),
            To::Nothing | To::ServedLake => None,
        },
        missing_files: candidate.missing.len() as u64,
        missing: candidate.missing.iter().take(MAX_LISTED).map(|file| file.path.clone()).collect(),
        dry_run: matches!(to, To::Nothing),
        reopens: matches!(to, To::ServedLake),
    }
}

// === impl To ===

impl To {
    fn parse(request: &RestoreRequest) -> Result<Self> {
        let to = match &request.to {
            Some(to) => Self::Catalog(Catalog::parse(to).map_err(|err| err.context("\"to\""))?),
            None if request.force => Self::ServedLake,
            None if request.dry_run => Self::Nothing,
            None => {
                return Err(Error::precondition(
                    "the lake is being served: name another place with \"to\", or set \"force\", with which all sessions \
                     end and the backup takes the place of the lake; \"dry_run\" only verifies it",
                ));
            }
        };
        Ok(if request.dry_run { Self::Nothing } else { to })
    }
}

//! `datasets` and `prune`: list the landings of the store, and remove those that were superseded.

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    error::Result,
    ingest::{Found, LandingState, check_dataset},
    proto::{
        DatasetsRequest, DatasetsResult, PruneRequest, PruneResult,
        datasets_result::{File, Landing, landing::State},
        prune_result,
    },
};

/// The action that lists.
#[derive(Debug)]
pub struct Datasets(DatasetsRequest);

/// The action that removes.
#[derive(Debug)]
pub struct Prune(PruneRequest);

// === impl Datasets ===

impl Action for Datasets {
    const NAME: &'static str = "datasets";
    const WRITES: bool = false;
    type Request = DatasetsRequest;
    type Response = DatasetsResult;

    fn validate(request: DatasetsRequest) -> Result<Self> {
        request.dataset.as_deref().map(check_dataset).transpose()?;
        Ok(Self(request))
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.list(job))
    }
}

impl Datasets {
    async fn list(self, job: JobContext) -> Result<DatasetsResult> {
        let landings = job.services.ingester.landings(self.0.dataset.as_deref(), self.0.all);
        let landings = job.progress.unless_cancelled(landings).await?;
        Ok(DatasetsResult { landings: landings.into_iter().map(listed).collect() })
    }
}

fn listed(found: Found) -> Landing {
    let state = match found.state {
        LandingState::Complete => State::Complete,
        LandingState::Waiting => State::Waiting,
        LandingState::Incomplete => State::Incomplete,
    };
    let bytes = found.bytes();
    let files = found.files.into_iter();
    Landing {
        dataset: found.dataset,
        landing: found.time,
        uri: found.uri,
        state: state.into(),
        latest: found.latest,
        source: found.source,
        bytes,
        files: files.map(|file| File { path: file.path, bytes: file.bytes, sha256: file.sha256 }).collect(),
    }
}

// === impl Prune ===

impl Action for Prune {
    const NAME: &'static str = "prune";
    const WRITES: bool = true;
    type Request = PruneRequest;
    type Response = PruneResult;

    fn validate(request: PruneRequest) -> Result<Self> {
        request.datasets.iter().try_for_each(|dataset| check_dataset(dataset))?;
        Ok(Self(request))
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.prune(job))
    }
}

impl Prune {
    async fn prune(self, job: JobContext) -> Result<PruneResult> {
        let (ingester, progress) = (&job.services.ingester, &job.progress);
        let PruneRequest { mut datasets, dry_run, .. } = self.0;
        if datasets.is_empty() {
            let landings = progress.unless_cancelled(ingester.landings(None, false)).await?;
            datasets = landings.into_iter().map(|landing| landing.dataset).collect();
            datasets.dedup();
        }
        progress.phase("prune", "data sets", Some(datasets.len() as u64));
        let mut removed = Vec::new();
        for dataset in datasets {
            removed.extend(ingester.prune(&dataset, dry_run, progress).await?.into_iter().map(pruned));
            progress.advance(1);
        }
        Ok(PruneResult { removed, dry_run })
    }
}

fn pruned(found: Found) -> prune_result::Landing {
    let (files, bytes) = (found.files.len() as u64, found.bytes());
    prune_result::Landing { dataset: found.dataset, landing: found.time, uri: found.uri, files, bytes }
}

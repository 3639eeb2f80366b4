//! `prune`: removes landings and exports that were superseded.

use super::{
    action::{Action, Call, JobContext},
    events::Events,
    export::check_name,
};
use crate::{
    error::Result,
    export,
    ingest::{self, check_dataset},
    lake::table::TableRef,
    proto::{PruneRequest, PruneResult, prune_result},
};

/// The action.
#[derive(Debug)]
pub struct Prune {
    /// The data sets; `None` for all.
    datasets: Option<Vec<String>>,
    /// The names of exports; `None` for all.
    exports: Option<Vec<TableRef>>,
    dry_run: bool,
}

// === impl Prune ===

impl Action for Prune {
    const NAME: &'static str = "prune";
    const WRITES: bool = true;
    type Request = PruneRequest;
    type Response = PruneResult;

    fn validate(request: PruneRequest) -> Result<Self> {
        let PruneRequest { datasets, exports, dry_run, .. } = request;
        datasets.iter().try_for_each(|dataset| check_dataset(dataset))?;
        let exports = exports.iter().map(|name| check_name(name)).collect::<Result<Vec<_>>>()?;
        // All of both, unless some are named.
        let all = datasets.is_empty() && exports.is_empty();
        Ok(Self { datasets: (!all).then_some(datasets), exports: (!all).then_some(exports), dry_run })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        call.job(|job| self.prune(job))
    }
}

impl Prune {
    async fn prune(self, job: JobContext) -> Result<PruneResult> {
        let removed = self.landings(&job).await?;
        let removed_exports = self.exports(&job).await?;
        Ok(PruneResult { removed, removed_exports, dry_run: self.dry_run })
    }

    async fn landings(&self, job: &JobContext) -> Result<Vec<prune_result::Landing>> {
        let (ingester, progress) = (&job.services.ingester, &job.progress);
        let datasets = if let Some(datasets) = &self.datasets {
            datasets.clone()
        } else {
            let landings = progress.unless_cancelled(ingester.landings(None, false)).await?;
            let mut datasets: Vec<_> = landings.into_iter().map(|landing| landing.dataset).collect();
            datasets.dedup();
            datasets
        };
        progress.phase("prune landings", "data sets", Some(datasets.len() as u64));
        let mut removed = Vec::new();
        for dataset in datasets {
            removed.extend(ingester.prune(&dataset, self.dry_run, progress).await?.into_iter().map(landing));
            progress.advance(1);
        }
        Ok(removed)
    }

    async fn exports(&self, job: &JobContext) -> Result<Vec<prune_result::Export>> {
        let (storage, progress) = (job.services.exporter.storage(), &job.progress);
        let mut found = Vec::new();
        match &self.exports {
            None => found = progress.unless_cancelled(export::list(storage, None, true)).await?,
            Some(names) => {
                for name in names {
                    found.extend(progress.unless_cancelled(export::list(storage, Some(name), true)).await?);
                }
            }
        }
        let superseded = export::superseded(found);
        progress.phase("prune exports", "exports", Some(superseded.len() as u64));
        let mut removed = Vec::new();
        for found in superseded {
            progress.check()?;
            if !self.dry_run {
                export::remove(storage, &found).await?;
            }
            removed.push(exported(found));
            progress.advance(1);
        }
        Ok(removed)
    }
}

fn landing(found: ingest::Found) -> prune_result::Landing {
    let (files, bytes) = (found.files.len() as u64, found.bytes());
    prune_result::Landing { dataset: found.dataset, landing: found.time, uri: found.uri, files, bytes }
}

fn exported(found: export::Found) -> prune_result::Export {
    prune_result::Export { name: found.name, export: found.time, uri: found.uri, bytes: found.bytes }
}

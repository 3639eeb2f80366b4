//! `datasets`: lists the landings of the store.

use super::{
    action::{Action, Call, JobContext},
    events::Events,
};
use crate::{
    error::Result,
    ingest::{Found, LandingState, check_dataset},
    proto::{
        DatasetsRequest, DatasetsResult,
        datasets_result::{File, Landing, landing::State},
    },
};

/// The action.
#[derive(Debug)]
pub struct Datasets(DatasetsRequest);

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

//! `jobs`, `job.attach` and `job.cancel`, which run no jobs themselves.

use chrono::{DateTime, SecondsFormat, Utc};
use prost_types::Any;

use super::{
    action::{Action, Call},
    events::{self, Events},
};
use crate::{
    error::Result,
    jobs::Job,
    proto::{JobAttachRequest, JobCancelRequest, JobCancelResult, JobsRequest, JobsResult, jobs_result},
};

/// The action `jobs`.
#[derive(Debug)]
pub struct Jobs;

// === impl Jobs ===

impl Action for Jobs {
    const NAME: &'static str = "jobs";
    const WRITES: bool = false;
    type Request = JobsRequest;
    type Response = JobsResult;

    fn validate(_: JobsRequest) -> Result<Self> {
        Ok(Self)
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        let jobs = call.jobs().list().iter().map(|job| describe(job)).collect();
        Ok(events::answer(&JobsResult { jobs }))
    }
}

/// The action `job.attach`.
#[derive(Debug)]
pub struct JobAttach {
    job_id: String,
}

// === impl JobAttach ===

impl Action for JobAttach {
    const NAME: &'static str = "job.attach";
    const WRITES: bool = false;
    type Request = JobAttachRequest;
    /// The result of the job, whatever its action.
    type Response = Any;

    fn validate(request: JobAttachRequest) -> Result<Self> {
        Ok(Self { job_id: request.job_id })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        let job = call.jobs().get(&self.job_id)?;
        Ok(call.follow(job))
    }
}

/// The action `job.cancel`.
#[derive(Debug)]
pub struct JobCancel {
    job_id: String,
}

// === impl JobCancel ===

impl Action for JobCancel {
    const NAME: &'static str = "job.cancel";
    const WRITES: bool = true;
    type Request = JobCancelRequest;
    type Response = JobCancelResult;

    fn validate(request: JobCancelRequest) -> Result<Self> {
        Ok(Self { job_id: request.job_id })
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        let job = call.jobs().get(&self.job_id)?;
        job.cancel();
        let state = events::state(&job.watch().borrow().state).into();
        Ok(events::answer(&JobCancelResult { job_id: job.id.to_string(), state }))
    }
}

fn describe(job: &Job) -> jobs_result::Job {
    let status = job.watch().borrow().clone();
    jobs_result::Job {
        job_id: job.id.to_string(),
        action: job.action.to_owned(),
        author: job.author.to_string(),
        state: events::state(&status.state).into(),
        phase: status.phase,
        done: status.done,
        total: status.total,
        unit: status.unit.to_owned(),
        message: events::error_message(&status.state),
        started: timestamp(job.started),
        ended: status.ended.map(timestamp),
    }
}

fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

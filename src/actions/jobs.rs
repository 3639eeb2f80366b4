//! `jobs`, `job.attach`, `job.cancel`.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Actions, Events, events};
use crate::{
    error::Result,
    jobs::Job,
    proto::{JobAttachRequest, JobCancelRequest, JobCancelResult, JobsRequest, JobsResult, jobs_result},
};

/// Lists the jobs.
pub fn list(actions: &Actions, _request: JobsRequest) -> Events {
    let jobs = actions.jobs.list().iter().map(|job| describe(job)).collect();
    events::answer("JobsResult", &JobsResult { jobs })
}

/// Follows a job.
pub fn attach(actions: &Actions, request: &JobAttachRequest) -> Result<Events> {
    Ok(events::follow(actions.jobs.get(&request.job_id)?, false))
}

/// Stops a job.
pub fn cancel(actions: &Actions, request: &JobCancelRequest) -> Result<Events> {
    let job = actions.jobs.get(&request.job_id)?;
    job.cancel();
    let state = events::state(&job.watch().borrow().state).into();
    Ok(events::answer("JobCancelResult", &JobCancelResult { job_id: job.id.to_string(), state }))
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
        message: events::message(&status.state),
        started: moment(job.started),
        ended: status.ended.map(moment),
    }
}

fn moment(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

//! `merganser jobs` and `merganser job`.

use clap::{Args, ValueEnum};

use super::{call::Call, failure::Failure, output, table::print_table};
use crate::{
    actions,
    proto::{self, JobAttachRequest, JobCancelRequest, JobsRequest, jobs_result},
};

/// List running and recent jobs
#[derive(Debug, Args)]
pub struct Jobs {
    #[command(flatten)]
    call: Call,
}

// === impl Jobs ===

impl Jobs {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let Some(result) = self.call.run::<actions::Jobs>(JobsRequest {}).await? else { return Ok(()) };
        let columns = ["job_id", "action", "author", "state", "phase", "started", "message"];
        print_table(columns, result.jobs.into_iter().map(row))?;
        Ok(())
    }
}

fn row(job: jobs_result::Job) -> [String; 7] {
    let state = job.state().as_str_name().to_owned();
    [job.job_id, job.action, job.author, state, job.phase, job.started, job.message]
}

/// Follow or cancel a job
#[derive(Debug, Args)]
pub struct Job {
    /// Whether to follow or to cancel the job
    #[arg(value_enum, value_name = "ACTION")]
    what: JobCommand,
    /// The job's id
    id: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum JobCommand {
    /// Follow the job until it ends
    Attach,
    /// Cancel the job and undo its uncommitted work
    Cancel,
}

// === impl Job ===

impl Job {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let (call, job_id) = (self.call, self.id);
        let result = match self.what {
            JobCommand::Attach => call.packed::<actions::JobAttach>(JobAttachRequest { job_id }).await?,
            JobCommand::Cancel => call.packed::<actions::JobCancel>(JobCancelRequest { job_id }).await?,
        };
        if let Some(result) = result {
            output::print(proto::any_to_json(&result)?)?;
        }
        Ok(())
    }
}

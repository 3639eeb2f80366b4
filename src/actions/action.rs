//! What every action is: a validated request that runs as a job, or returns a result at once.

use std::{future::Future, marker::PhantomData, sync::Arc};

use prost::{Message, Name};

use super::events::{self, Events};
use crate::{
    backup::Backups,
    context::Principal,
    error::{Error, Result},
    export::Exporter,
    ids::SnapshotId,
    ingest::Ingester,
    jobs::{Job, Jobs, Progress},
    lake::{Lake, pins::Pins, snapshots::SnapshotRef},
    medallion::Model,
    proto::{JobOptions, SnapshotSelector, snapshot_selector::Snapshot, to_any},
    publish::Publisher,
    query::Guard,
};

/// An action: its request, after validation.
pub trait Action: Sized + Send + 'static {
    /// The name by which clients call it.
    const NAME: &'static str;

    /// Whether it changes the lake, or anything else.
    const WRITES: bool;

    /// The message of its request.
    type Request: Name + Default;

    /// The message of its result.
    type Response: Name + Default;

    /// Validates a request, without reading the lake.
    ///
    /// # Errors
    /// `InvalidArgument` or `FailedPrecondition`, with what to change in the request.
    fn validate(request: Self::Request) -> Result<Self>;

    /// Starts it and returns its events: those of a job ([`Call::job`]), or its result at once (`events::answer`).
    ///
    /// # Errors
    /// As [`Call::job`]; `NotFound` for a job that does not exist.
    fn run(self, call: Call<'_, Self>) -> Result<Events>;
}

/// What actions work with.
#[derive(Debug)]
pub struct Services {
    /// The lake.
    pub lake: Lake,
    /// The pinned snapshots.
    pub pins: Arc<Pins>,
    /// Knows which statements clients may run.
    pub guard: Arc<Guard>,
    /// Reads sources.
    pub ingester: Ingester,
    /// Writes exports.
    pub exporter: Exporter,
    /// Publishes data sets.
    pub publisher: Publisher,
    /// The models of the medallion.
    pub models: Vec<Model>,
    /// The backups of the catalog.
    pub backups: Backups,
}

/// One call of an action.
#[derive(Debug)]
pub struct Call<'a, A> {
    services: &'a Arc<Services>,
    jobs: &'a Jobs,
    principal: &'a Principal,
    options: JobOptions,
    action: PhantomData<A>,
}

/// What the job of an action works with.
#[derive(Debug)]
pub struct JobContext {
    /// The services.
    pub services: Arc<Services>,
    /// The principal that started the job.
    pub author: Principal,
    /// Receives the job's progress.
    pub progress: Progress,
}

// === impl Call ===

impl<'a, A: Action> Call<'a, A> {
    /// Reads and validates the request of a call, and starts the action.
    ///
    /// # Errors
    /// As [`Action::validate`] and [`Action::run`].
    pub fn start(
        services: &'a Arc<Services>,
        jobs: &'a Jobs,
        principal: &'a Principal,
        request: A::Request,
    ) -> Result<Events> {
        let options = job_options(&request)?;
        let action = A::validate(request).map_err(|err| err.context(format_args!("call {}", A::NAME)))?;
        action.run(Self { services, jobs, principal, options, action: PhantomData })
    }

    /// Runs `work` as a job.
    ///
    /// # Errors
    /// Unavailable if the server is stopping.
    pub fn job<F>(self, work: impl FnOnce(JobContext) -> F) -> Result<Events>
    where
        F: Future<Output = Result<A::Response>> + Send + 'static,
    {
        let JobOptions { idempotency_key, cancel_on_disconnect } = self.options;
        let (services, author) = (Arc::clone(self.services), self.principal.clone());
        let job = self.jobs.start(A::NAME, self.principal, idempotency_key, |progress| {
            let work = work(JobContext { services, author, progress });
            async { work.await.map(|response| to_any(&response)) }
        })?;
        Ok(events::follow(job, cancel_on_disconnect))
    }

    /// Follows a job of another call.
    pub fn follow(self, job: Arc<Job>) -> Events {
        events::follow(job, self.options.cancel_on_disconnect)
    }

    /// The services.
    pub fn services(&self) -> &Services {
        self.services
    }

    /// The jobs of this server.
    pub fn jobs(&self) -> &Jobs {
        self.jobs
    }
}

/// The fields of a request that the requests of jobs have in common; a test compares their names and numbers.
fn job_options<M: Message>(request: &M) -> Result<JobOptions> {
    let options = JobOptions::decode(request.encode_to_vec().as_slice());
    options.map_err(|err| Error::internal("read the options of a job").with_source(err))
}

/// The snapshot that the field `name` of a request selects; `None` if it was omitted.
///
/// # Errors
/// `InvalidArgument` if it selects none.
pub(super) fn snapshot(name: &str, selector: Option<SnapshotSelector>) -> Result<Option<SnapshotRef>> {
    let Some(selector) = selector else { return Ok(None) };
    match selector.snapshot {
        Some(Snapshot::Version(version)) => Ok(Some(SnapshotRef::Version(SnapshotId(version)))),
        Some(Snapshot::Timestamp(timestamp)) => Ok(Some(SnapshotRef::Timestamp(timestamp))),
        Some(Snapshot::Tag(tag)) => Ok(Some(SnapshotRef::Tag(tag))),
        Some(Snapshot::Name(text)) => Ok(Some(SnapshotRef::Text(text))),
        None => Err(Error::invalid(format!(
            "\"{name}\" names no snapshot: give it a \"version\", a \"timestamp\", a \"tag\" or a \"name\""
        ))),
    }
}

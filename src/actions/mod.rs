//! The actions: from a typed request to a job and its events. One file an action, each with the same skeleton.

mod backup;
mod diff;
mod events;
mod ingest;
mod init_sql;
mod jobs;
mod maintain;
mod restore;
mod rollback;
mod schedule;
mod snapshots;
pub mod sql;
mod tag;
mod target;
mod transform;

use std::sync::Arc;

use futures::stream::BoxStream;
use prost::Message;
use prost_types::Any;

pub use self::{
    events::{message, state},
    schedule::Schedule,
};
use crate::{
    backup::Backups,
    context::Principal,
    error::{Error, Result},
    ingest::Ingester,
    jobs::Jobs,
    lake::{Lake, pins::Pins},
    medallion::Model,
    proto::{self, Event},
};

/// The events of a reply; an error, if any, is the last item.
pub type Events = BoxStream<'static, Result<Event>>;

/// Everything that actions work on.
#[derive(Debug)]
pub struct Actions {
    lake: Lake,
    pins: Arc<Pins>,
    ingester: Arc<Ingester>,
    models: Arc<[Model]>,
    backups: Arc<Backups>,
    jobs: Arc<Jobs>,
}

/// A body in one of its two forms.
#[derive(Debug)]
pub enum Body<'a> {
    /// A JSON object.
    Json(&'a [u8]),
    /// A packed protobuf message.
    Protobuf(Any),
}

/// An action: its name and the message of its request.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    /// The name that clients call.
    pub name: &'static str,
    /// The request's message in `proto/`.
    pub request: &'static str,
    /// Whether it changes the lake, or anything else.
    pub writes: bool,
}

/// All actions, in the order in which ListActions tells of them.
pub const ALL: &[Action] = &[
    Action { name: "ingest", request: "IngestRequest", writes: true },
    Action { name: "transform", request: "TransformRequest", writes: true },
    Action { name: "snapshots", request: "SnapshotsRequest", writes: false },
    Action { name: "diff", request: "DiffRequest", writes: false },
    Action { name: "rollback", request: "RollbackRequest", writes: true },
    Action { name: "tag", request: "TagRequest", writes: true },
    Action { name: "maintain", request: "MaintainRequest", writes: true },
    Action { name: "backup", request: "BackupRequest", writes: true },
    Action { name: "backups", request: "BackupsRequest", writes: false },
    Action { name: "restore", request: "RestoreRequest", writes: true },
    Action { name: "init_sql", request: "InitSqlRequest", writes: false },
    Action { name: "jobs", request: "JobsRequest", writes: false },
    Action { name: "job.attach", request: "JobAttachRequest", writes: false },
    Action { name: "job.cancel", request: "JobCancelRequest", writes: true },
];

// === impl Actions ===

impl Actions {
    /// The actions on a lake.
    pub fn new(lake: Lake, pins: Arc<Pins>, ingester: Ingester, models: Vec<Model>, backups: Backups) -> Self {
        Self {
            lake,
            pins,
            ingester: Arc::new(ingester),
            models: models.into(),
            backups: Arc::new(backups),
            jobs: Arc::default(),
        }
    }

    /// Calls the action `name`.
    ///
    /// # Errors
    /// Unsupported for an unknown action; `InvalidArgument` for a body that is not its request.
    pub fn call(&self, principal: &Principal, name: &str, body: &Body<'_>) -> Result<Events> {
        let action = ALL.iter().find(|action| action.name == name).ok_or_else(|| unknown(name))?;
        match action.name {
            "ingest" => ingest::call(self, principal, body.read(action)?),
            "transform" => transform::call(self, principal, body.read(action)?),
            "snapshots" => snapshots::call(self, principal, body.read(action)?),
            "diff" => diff::call(self, principal, body.read(action)?),
            "rollback" => rollback::call(self, principal, body.read(action)?),
            "tag" => tag::call(self, principal, body.read(action)?),
            "maintain" => maintain::call(self, principal, body.read(action)?),
            "backup" => backup::take(self, principal, body.read(action)?),
            "backups" => backup::list(self, principal, body.read(action)?),
            "restore" => restore::call(self, principal, body.read(action)?),
            "init_sql" => Ok(init_sql::call(self, body.read(action)?)),
            "jobs" => Ok(jobs::list(self, body.read(action)?)),
            "job.attach" => jobs::attach(self, &body.read(action)?),
            "job.cancel" => jobs::cancel(self, &body.read(action)?),
            _ => Err(unknown(name)),
        }
    }

    /// The query for the rows behind the result of the action `name`, which is not called.
    ///
    /// # Errors
    /// As [`call`](Self::call), and what the action says of its request; Unsupported for one that has no rows.
    pub async fn rows(&self, name: &str, body: &Body<'_>) -> Result<String> {
        let action = ALL.iter().find(|action| action.name == name).ok_or_else(|| unknown(name))?;
        match action.name {
            "diff" => diff::rows(self, body.read(action)?).await,
            name => Err(Error::unsupported(format!("{name} is no Flight; call it with DoAction"))),
        }
    }

    /// The backups of the lake.
    pub fn backups(&self) -> &Backups {
        &self.backups
    }

    /// The jobs that run the actions.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }
}

fn unknown(name: &str) -> Error {
    let names: Vec<_> = ALL.iter().map(|action| action.name).collect();
    Error::unsupported(format!("no action \"{name}\"; there are {}", names.join(", ")))
}

// === impl Action ===

impl Action {
    /// The full name of its request.
    pub fn message(&self) -> String {
        format!("merganser.v1.{}", self.request)
    }
}

// === impl Body ===

impl Body<'_> {
    fn read<M: Message + Default>(&self, action: &Action) -> Result<M> {
        let request = match self {
            Self::Json(body) => proto::from_json(action.request, body),
            Self::Protobuf(any) => proto::from_any(action.request, any),
        };
        request.map_err(|err| err.context(format_args!("call {}", action.name)))
    }
}

//! Finds the action of a call by its name and reads its body.

use std::sync::Arc;

use prost::Name;
use prost_types::Any;

use super::{
    action::{Action, Call, Services},
    backup::Backup,
    backups::Backups,
    datasets::Datasets,
    diff::Diff,
    events::Events,
    export::{Export, Exports},
    ingest::Ingest,
    init_sql::InitSql,
    jobs::{self, JobAttach, JobCancel},
    maintain::Maintain,
    prune::Prune,
    publish::Publish,
    restore::Restore,
    rollback::Rollback,
    snapshots::Snapshots,
    tag::Tag,
    transform::Transform,
    verify::Verify,
};
use crate::{
    backup,
    context::Principal,
    error::{Error, Result},
    jobs::Jobs,
    proto,
};

/// All actions, in the order of ListActions.
pub const ALL: &[Entry] = &[
    Entry::new::<Ingest>(),
    Entry::new::<Datasets>(),
    Entry::new::<Transform>(),
    Entry::new::<Snapshots>(),
    Entry::new::<Diff>(),
    Entry::new::<Rollback>(),
    Entry::new::<Tag>(),
    Entry::new::<Export>(),
    Entry::new::<Exports>(),
    Entry::new::<Verify>(),
    Entry::new::<Publish>(),
    Entry::new::<Prune>(),
    Entry::new::<Maintain>(),
    Entry::new::<Backup>(),
    Entry::new::<Backups>(),
    Entry::new::<Restore>(),
    Entry::new::<InitSql>(),
    Entry::new::<jobs::Jobs>(),
    Entry::new::<JobAttach>(),
    Entry::new::<JobCancel>(),
];

/// An action, of whatever type.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The name by which clients call it.
    pub name: &'static str,
    /// The name of its request in `proto/`, without the package.
    pub request: &'static str,
    /// Whether it changes the lake, or anything else.
    pub writes: bool,
    start: fn(&Actions, &Principal, &Body<'_>) -> Result<Events>,
}

/// Calls actions.
#[derive(Debug)]
pub struct Actions {
    services: Arc<Services>,
    jobs: Arc<Jobs>,
}

/// A request in one of its two forms.
#[derive(Debug)]
pub enum Body<'a> {
    /// A JSON object.
    Json(&'a [u8]),
    /// A packed protobuf message.
    Protobuf(Any),
}

// === impl Entry ===

impl Entry {
    const fn new<A: Action>() -> Self {
        let start = |actions: &Actions, principal: &Principal, body: &Body<'_>| {
            let request = body.read().map_err(|err| err.context(format_args!("call {}", A::NAME)))?;
            actions.start::<A>(principal, request)
        };
        Self { name: A::NAME, request: A::Request::NAME, writes: A::WRITES, start }
    }

    /// The full name of its request.
    pub fn message(&self) -> String {
        format!("{}.{}", proto::Event::PACKAGE, self.request)
    }
}

// === impl Actions ===

impl Actions {
    /// The actions on a lake.
    pub fn new(services: Services) -> Self {
        Self { services: Arc::new(services), jobs: Arc::default() }
    }

    /// Calls the action `name`.
    ///
    /// # Errors
    /// Unsupported for an unknown action; `InvalidArgument` for a body that is not its request.
    pub fn call(&self, principal: &Principal, name: &str, body: &Body<'_>) -> Result<Events> {
        (find(name)?.start)(self, principal, body)
    }

    /// Starts an action.
    ///
    /// # Errors
    /// As [`Action::validate`] and [`Action::run`].
    pub fn start<A: Action>(&self, principal: &Principal, request: A::Request) -> Result<Events> {
        Call::<A>::start(&self.services, &self.jobs, principal, request)
    }

    /// The query for the rows behind the result of the action `name`, which is not called.
    ///
    /// # Errors
    /// As [`call`](Self::call); Unsupported for an action without rows.
    pub async fn rows(&self, name: &str, body: &Body<'_>) -> Result<String> {
        let entry = find(name)?;
        if entry.name != Diff::NAME {
            return Err(Error::unsupported(format!("{name} returns no Flight; call it with DoAction")));
        }
        let diff = body.read().and_then(Diff::validate).map_err(|err| err.context("read the rows of diff"))?;
        diff.rows(&self.services).await
    }

    /// The backups of the lake.
    pub fn backups(&self) -> &backup::Backups {
        &self.services.backups
    }

    /// The jobs that run the actions.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }
}

/// The action `name`.
///
/// # Errors
/// Unsupported for an unknown action.
pub(super) fn find(name: &str) -> Result<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name).ok_or_else(|| unknown(name))
}

pub(super) fn unknown(name: &str) -> Error {
    let names: Vec<_> = ALL.iter().map(|entry| entry.name).collect();
    Error::unsupported(format!("action \"{name}\" does not exist; there are {}", names.join(", ")))
}

// === impl Body ===

impl Body<'_> {
    fn read<M: Name + Default>(&self) -> Result<M> {
        match self {
            Self::Json(body) => proto::from_json(body),
            Self::Protobuf(any) => proto::from_any(any),
        }
    }
}

#[cfg(test)]
mod tests;

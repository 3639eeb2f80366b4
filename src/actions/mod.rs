//! The actions: from a typed request to a job and its events.
//!
//! ```text
//! name, body ─▶ dispatch ─▶ Action::validate ─▶ Action::run ─▶ Call::job ─▶ events
//! ```
//!
//! An action is one file with an [`Action`] and its messages in `proto/`, and one line in `dispatch/`. DoAction, CALL
//! (`sql/`) and the command line use the same requests.

mod action;
mod backup;
mod backups;
mod datasets;
mod diff;
mod dispatch;
mod events;
mod export;
mod ingest;
mod init_sql;
mod jobs;
mod maintain;
mod prune;
mod publish;
mod restore;
mod rollback;
mod schedule;
mod snapshots;
pub mod sql;
mod tag;
mod transform;
mod verify;

pub use self::{
    action::{Action, Services},
    backup::Backup,
    backups::Backups,
    datasets::Datasets,
    diff::Diff,
    dispatch::{ALL, Actions, Body, Entry},
    events::{Events, error_message, state},
    export::{Export, Exports},
    ingest::Ingest,
    init_sql::InitSql,
    jobs::{JobAttach, JobCancel, Jobs},
    maintain::Maintain,
    prune::Prune,
    publish::Publish,
    restore::Restore,
    rollback::Rollback,
    schedule::Schedule,
    snapshots::Snapshots,
    tag::Tag,
    transform::Transform,
    verify::Verify,
};

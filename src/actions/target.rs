//! How requests name snapshots.

use crate::{
    error::{Error, Result},
    ids::SnapshotId,
    lake::snapshots::SnapshotRef,
    proto::{Target, target},
};

/// Reads the request's field `name`; `None` when it was left out.
///
/// # Errors
/// `InvalidArgument` when it is there and names no snapshot.
pub(super) fn read(name: &str, target: Option<Target>) -> Result<Option<SnapshotRef>> {
    let Some(target) = target else { return Ok(None) };
    match target.target {
        Some(target::Target::Version(version)) => Ok(Some(SnapshotRef::Version(SnapshotId(version)))),
        Some(target::Target::Timestamp(moment)) => Ok(Some(SnapshotRef::Timestamp(moment))),
        Some(target::Target::Tag(tag)) => Ok(Some(SnapshotRef::Tag(tag))),
        Some(target::Target::Name(text)) => Ok(Some(SnapshotRef::Text(text))),
        None => Err(Error::invalid(format!(
            "\"{name}\" names no snapshot: give it a \"version\", a \"timestamp\", a \"tag\" or a \"name\""
        ))),
    }
}

//! Pinned sessions: all reads see one snapshot, and nothing can be written.
//!
//! A session is pinned by its option `snapshot`, or by a header of its calls; the snapshot remains the one that the
//! name referred to at that time. Its statements run in a separate engine ([`Pins`](crate::lake::pins::Pins)).

use std::sync::Arc;

use super::state::{PinnedSnapshot, Session};
use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    lake::{Lake, pins::Pins, snapshots::SnapshotRef},
};

impl Session {
    /// The engine that its statements run in.
    ///
    /// # Errors
    /// `NotFound` if the snapshot to which it is pinned does not exist (any more).
    pub(super) async fn engine(&self, lake: &Lake, pins: &Arc<Pins>) -> Result<Engine> {
        let options = self.options();
        let Some(name) = options.snapshot() else { return Ok(lake.engine().clone()) };
        let known = self.pinned_snapshot.lock().clone().filter(|pinned| pinned.name == name);
        let snapshot = match known {
            Some(pinned) => pinned.snapshot,
            None => pins.resolve(SnapshotRef::Text(name.to_owned())).await?,
        };
        let engine = pins.get(snapshot).await?;
        *self.pinned_snapshot.lock() = Some(PinnedSnapshot { name: name.to_owned(), snapshot });
        Ok(engine)
    }

    /// The session of a call that specifies a snapshot in its headers: the client's own, which is pinned from now on,
    /// or, for a client of the shared session, one for this call with the same handles.
    ///
    /// # Errors
    /// As [`check_free`](Self::check_free).
    pub fn pinned_by_header(self: Arc<Self>, name: &str) -> Result<Arc<Self>> {
        if !self.is_own() {
            return Ok(self.at(name));
        }
        if self.options.lock().snapshot() != Some(name) {
            self.check_free()?;
            self.options.lock().pin(name);
        }
        Ok(self)
    }

    /// The same session, pinned to the snapshot that `name` refers to. Drivers send headers with most calls, not with
    /// all: handles are valid in both.
    fn at(&self, name: &str) -> Arc<Self> {
        let mut options = self.options();
        options.pin(name);
        self.with_options(options)
    }

    /// Whether the session is pinned.
    pub fn is_pinned(&self) -> bool {
        self.options.lock().snapshot().is_some()
    }

    /// Checks that the session holds no state of the snapshot that it sees.
    ///
    /// # Errors
    /// `FailedPrecondition` if it does.
    pub fn check_free(&self) -> Result<()> {
        if self.workers().is_empty() {
            return Ok(());
        }
        Err(Error::precondition(
            "end the open transaction, and drop TEMP objects with their session, before the snapshot changes",
        ))
    }

    /// The error of a statement, with the remedy if it tried to write in a pinned session.
    pub fn explain(&self, err: Error) -> Error {
        let options = self.options();
        match options.snapshot() {
            Some(name) if err.message().contains("read-only mode") => Error::new(
                ErrorKind::FailedPrecondition,
                format!("the session is pinned to snapshot {name} and read-only: reset its option snapshot to write"),
            ),
            _ => err,
        }
    }
}

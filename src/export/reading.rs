//! How the rows of an export are read: when it is written, and when it is compared with them again.

use super::{
    record::Record,
    request::{Format, FrameSettings, Materialize, Request, Rows},
    rows::Selection,
};
use crate::{error::Result, lake::snapshots::SnapshotRef};

/// Rows of the lake, as an export has them.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The table or query.
    pub rows: Rows,
    /// The snapshot; `None` for the newest.
    pub at: Option<SnapshotRef>,
    /// The format whose types they get.
    pub format: Format,
    /// Whether and how bytes are fetched.
    pub materialize: Option<Materialize>,
    /// How videos become rows of frames, if they do.
    pub frames: Option<FrameSettings>,
}

// === impl Reading ===

impl Reading {
    /// The rows that an export was made from.
    ///
    /// # Errors
    /// `Unsupported` for a format that this program does not know; `DataLoss` for a record that does not say what it is.
    pub fn of(record: &Record) -> Result<Self> {
        let at = Some(SnapshotRef::Version(record.snapshot_id));
        let (format, frames) = (record.format()?, record.frames.clone());
        Ok(Self { rows: record.rows()?, at, format, materialize: record.materialize, frames })
    }

    /// What DuckDB has to read.
    pub fn selection(&self) -> Selection {
        let plain = Selection::new(self.rows.clone(), self.format);
        Selection { whole_samples: plain.whole_samples || self.materialize == Some(Materialize::DropSample), ..plain }
    }
}

impl From<&Request> for Reading {
    fn from(request: &Request) -> Self {
        let Request { rows, at, format, materialize, frames, .. } = request.clone();
        Self { rows, at, format, materialize, frames }
    }
}

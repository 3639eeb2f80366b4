//! The rows of a feed that wait for their commit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arrow::array::RecordBatch;
use tokio::time::Instant;

use crate::engine::bytes_of;

/// A feed commits earlier than asked when its rows take this much, …
const MAX_BYTES: usize = 64 << 20;
/// … and every feed that receives something, while the rows of all take this much.
const MAX_BYTES_OF_ALL: usize = 256 << 20;
/// What a column of a batch takes besides its values, about.
const COLUMN_BYTES: usize = 512;

/// The rows of one feed. Dropping them frees their share of the memory.
#[derive(Debug)]
pub(super) struct Pending {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// The bytes of all feeds.
    of_all: Arc<AtomicUsize>,
    commit_rows: usize,
    commit_after: Duration,
    /// When they are due.
    deadline: Option<Instant>,
}

// === impl Pending ===

impl Pending {
    /// No rows; they are due when there are `commit_rows`, or `commit_after` the first. `of_all` counts the bytes of all
    /// feeds.
    pub(super) fn new(of_all: Arc<AtomicUsize>, commit_rows: usize, commit_after: Duration) -> Self {
        Self { batches: Vec::new(), rows: 0, bytes: 0, of_all, commit_rows, commit_after, deadline: None }
    }

    pub(super) fn push(&mut self, batch: RecordBatch) {
        let bytes = bytes_of(&batch) + COLUMN_BYTES * (1 + batch.num_columns());
        self.of_all.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        self.rows += batch.num_rows();
        self.batches.push(batch);
        self.deadline.get_or_insert_with(|| Instant::now() + self.commit_after);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether they must be committed now.
    pub(super) fn is_due(&self) -> bool {
        let is_full = self.rows >= self.commit_rows || self.bytes >= MAX_BYTES;
        let is_late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        is_full || is_late || !self.is_empty() && self.of_all.load(Ordering::Relaxed) >= MAX_BYTES_OF_ALL
    }

    /// Resolves when the time of the first row is up; never without rows.
    pub(super) async fn due(&self) {
        match self.deadline {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }

    /// The batches, whose memory they share.
    pub(super) fn batches(&self) -> Vec<RecordBatch> {
        self.batches.clone()
    }

    /// Forgets all rows.
    pub(super) fn clear(&mut self) {
        self.batches.clear();
        self.of_all.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        self.rows = 0;
        self.deadline = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    fn pending(of_all: &Arc<AtomicUsize>) -> Pending {
        Pending::new(Arc::clone(of_all), 100, Duration::from_secs(1))
    }

    fn batch(rows: usize) -> RecordBatch {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0; rows]));
        RecordBatch::try_from_iter([("i", column)]).unwrap()
    }

    #[tokio::test]
    async fn they_are_due_by_number_and_by_time() {
        let of_all = Arc::default();
        let mut pending = pending(&of_all);
        pending.push(batch(99));
        assert!(!pending.is_due());
        pending.push(batch(1));
        assert!(pending.is_due());
        pending.clear();
        assert!(!pending.is_due());
        // Time counts from the first row.
        let began = Instant::now();
        pending.push(batch(1));
        let deadline = pending.deadline.unwrap();
        pending.push(batch(1));
        assert_eq!(pending.deadline.unwrap(), deadline);
        pending.due().await;
        assert!(pending.is_due() && began.elapsed() >= pending.commit_after);
    }

    #[tokio::test]
    async fn they_are_due_when_the_rows_of_all_feeds_are_too_large() {
        let of_all = Arc::default();
        let (mut one, other) = (pending(&of_all), pending(&of_all));
        of_all.store(MAX_BYTES_OF_ALL, Ordering::Relaxed);
        one.push(batch(1));
        assert!(one.is_due() && !other.is_due());
        drop(one);
        assert_eq!(of_all.load(Ordering::Relaxed), MAX_BYTES_OF_ALL);
    }
}

//! Tables that are too small for a partitioned scan.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// How long a table is considered small after it was found to be, …
const SMALL_FOR: Duration = Duration::from_secs(10);
/// … and how many are remembered.
const MAX_SMALL: usize = 1024;

/// Tables that were found to be too small for partitions: checking takes as long as reading one of them.
#[derive(Debug, Default)]
pub(super) struct SmallTables(Mutex<HashMap<String, Instant>>);

// === impl SmallTables ===

impl SmallTables {
    pub(super) fn holds(&self, table: &str) -> bool {
        self.0.lock().get(table).is_some_and(|seen| seen.elapsed() < SMALL_FOR)
    }

    pub(super) fn add(&self, table: String) {
        let mut all = self.0.lock();
        if all.len() >= MAX_SMALL {
            all.retain(|_, seen| seen.elapsed() < SMALL_FOR);
        }
        if all.len() < MAX_SMALL {
            all.insert(table, Instant::now());
        }
    }
}

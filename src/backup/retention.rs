//! Retention: which backups expire after a new one was taken.

use chrono::{DateTime, TimeDelta, Utc};

use super::repository::{BackupState, Entry};

/// The age up to which an incomplete backup may still be written by another server.
pub(super) const UNFINISHED: TimeDelta = TimeDelta::days(1);

/// How many backups are kept, and for how long. Without either, all are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The number of newest backups that are kept regardless of age. Without `older_than`, all others expire.
    pub keep: Option<u64>,
    /// The age at which backups expire.
    pub older_than: Option<TimeDelta>,
}

// === impl Retention ===

impl Retention {
    /// The names of the `entries`, newest first, that are expired at `now`. The `latest` and backups of other lakes never
    /// expire; incomplete ones expire after a day.
    pub(super) fn expired(&self, entries: &[Entry], latest: &str, now: DateTime<Utc>) -> Vec<String> {
        if *self == Self::default() {
            return Vec::new();
        }
        let is_old = |entry: &Entry| self.older_than.is_none_or(|age| entry.time < now - age);
        let complete = entries.iter().filter(|entry| entry.state == BackupState::Complete);
        let kept = usize::try_from(self.keep.unwrap_or(0)).unwrap_or(usize::MAX);
        let surplus = complete.skip(kept).filter(|entry| is_old(entry) && entry.name != latest);
        let unfinished =
            entries.iter().filter(|entry| entry.state == BackupState::Incomplete && entry.time < now - UNFINISHED);
        surplus.chain(unfinished).map(|entry| entry.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(days_ago: i64, state: BackupState, now: DateTime<Utc>) -> Entry {
        let time = now - TimeDelta::days(days_ago);
        Entry { name: format!("{days_ago} days"), uri: String::new(), time, record: None, state }
    }

    #[track_caller]
    fn check(keep: Option<u64>, older_than_days: Option<i64>, expected: &[&str]) {
        let now = Utc::now();
        let entries = [
            entry(0, BackupState::Complete, now),
            entry(1, BackupState::Foreign, now),
            entry(2, BackupState::Complete, now),
            entry(3, BackupState::Incomplete, now),
            entry(4, BackupState::Damaged("truncated".to_owned()), now),
            entry(5, BackupState::Complete, now),
            entry(6, BackupState::Complete, now),
        ];
        let retention = Retention { keep, older_than: older_than_days.map(TimeDelta::days) };
        assert_eq!(retention.expired(&entries, "0 days", now), expected, "{retention:?}");
    }

    #[test]
    fn the_newest_and_the_recent_are_kept_and_others_expire() {
        check(None, None, &[]);
        check(Some(10), None, &["3 days"]);
        check(Some(2), None, &["5 days", "6 days", "3 days"]);
        check(Some(0), None, &["2 days", "5 days", "6 days", "3 days"]);
        check(None, Some(3), &["5 days", "6 days", "3 days"]);
        check(Some(3), Some(1), &["6 days", "3 days"]);
        check(None, Some(0), &["2 days", "5 days", "6 days", "3 days"]);
    }
}

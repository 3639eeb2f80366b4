//! Which backups are removed when another one was taken.

use chrono::{DateTime, TimeDelta, Utc};

use super::shelf::{Entry, State};

/// For so long an incomplete backup may be one that another server is taking.
pub(super) const UNFINISHED: TimeDelta = TimeDelta::days(1);

/// How many backups stay, and for how long. Without either all stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many stay whatever their age; alone, all others go.
    pub keep: Option<u64>,
    /// Those that are older go.
    pub older_than: Option<TimeDelta>,
}

// === impl Retention ===

impl Retention {
    /// The names of those of `entries`, the newest first, that go at the moment `now`: never the `latest`, and none of
    /// another lake. What nobody finished goes after a day.
    pub(super) fn doomed(&self, entries: &[Entry], latest: &str, now: DateTime<Utc>) -> Vec<String> {
        if *self == Self::default() {
            return Vec::new();
        }
        let is_old = |entry: &Entry| self.older_than.is_none_or(|age| entry.time < now - age);
        let complete = entries.iter().filter(|entry| entry.state == State::Complete);
        let kept = usize::try_from(self.keep.unwrap_or(0)).unwrap_or(usize::MAX);
        let surplus = complete.skip(kept).filter(|entry| is_old(entry) && entry.name != latest);
        let unfinished =
            entries.iter().filter(|entry| entry.state == State::Incomplete && entry.time < now - UNFINISHED);
        surplus.chain(unfinished).map(|entry| entry.name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(days_ago: i64, state: State, now: DateTime<Utc>) -> Entry {
        let time = now - TimeDelta::days(days_ago);
        Entry { name: format!("{days_ago} days"), uri: String::new(), time, record: None, state }
    }

    #[track_caller]
    fn check(keep: Option<u64>, older_than_days: Option<i64>, expected: &[&str]) {
        let now = Utc::now();
        let entries = [
            entry(0, State::Complete, now),
            entry(1, State::Foreign, now),
            entry(2, State::Complete, now),
            entry(3, State::Incomplete, now),
            entry(4, State::Damaged("truncated".to_owned()), now),
            entry(5, State::Complete, now),
            entry(6, State::Complete, now),
        ];
        let retention = Retention { keep, older_than: older_than_days.map(TimeDelta::days) };
        assert_eq!(retention.doomed(&entries, "0 days", now), expected, "{retention:?}");
    }

    #[test]
    fn the_newest_and_the_young_stay_and_others_go() {
        check(None, None, &[]);
        check(Some(10), None, &["3 days"]);
        check(Some(2), None, &["5 days", "6 days", "3 days"]);
        check(Some(0), None, &["2 days", "5 days", "6 days", "3 days"]);
        check(None, Some(3), &["5 days", "6 days", "3 days"]);
        check(Some(3), Some(1), &["6 days", "3 days"]);
        check(None, Some(0), &["2 days", "5 days", "6 days", "3 days"]);
    }
}

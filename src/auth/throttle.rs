//! Throttling of failed logins, by account: a leaky bucket.
//!
//! Each failed login fills the account's bucket by [`INTERVAL`], and the bucket drains with time. While it is full, all
//! logins are rejected without a check, correct ones too: otherwise an attacker could tell them apart. Unknown accounts are
//! throttled as well, so that the existence of an account is not revealed.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// The number of failed logins in a row that are not throttled.
const BURST: u32 = 5;
/// The time after which another one is allowed: ten a minute.
const INTERVAL: Duration = Duration::from_secs(6);
/// The maximum number of tracked accounts; the one with the emptiest bucket is evicted.
const MAX_ACCOUNTS: usize = 10_000;

/// The hash of a name, because clients may send long names.
type Account = [u8; 32];

/// The buckets of all accounts with recent failed logins.
#[derive(Debug, Default)]
pub struct LoginThrottle {
    /// The time at which each bucket will be empty.
    empty_at: Mutex<HashMap<Account, Instant>>,
}

// === impl LoginThrottle ===

impl LoginThrottle {
    /// The time after which a login of `name` is allowed; `None` if it is allowed now.
    pub fn retry_after(&self, name: &str, now: Instant) -> Option<Duration> {
        let empty_at = *self.empty_at.lock().get(&account(name))?;
        let filled = empty_at.saturating_duration_since(now);
        filled.checked_sub(INTERVAL * (BURST - 1)).filter(|wait| !wait.is_zero())
    }

    /// Records a failed login of `name`.
    pub fn record_failure(&self, name: &str, now: Instant) {
        let mut empty_at = self.empty_at.lock();
        let account = account(name);
        if empty_at.len() >= MAX_ACCOUNTS && !empty_at.contains_key(&account) {
            empty_at.retain(|_, empty_at| *empty_at > now);
            if empty_at.len() >= MAX_ACCOUNTS {
                let least = empty_at.iter().min_by_key(|(_, empty_at)| **empty_at).map(|(account, _)| *account);
                least.and_then(|account| empty_at.remove(&account));
            }
        }
        let bucket = empty_at.entry(account).or_insert(now);
        *bucket = now.max(*bucket) + INTERVAL;
    }
}

fn account(name: &str) -> Account {
    Sha256::digest(name).into()
}

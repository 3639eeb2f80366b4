//! Wrong log-ins by account: after a few, only so many a minute are examined at all.
//!
//! Each miss fills the account's measure by [`INTERVAL`], and time empties it again. Where it is full, log-ins are
//! refused unseen, right ones too: otherwise the refusal would tell them apart. Names that no account has are measured
//! like the others, because nobody shall learn which names there are.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// How many misses in a row are free.
const FREE_MISSES: u32 = 5;
/// One more each such time, which makes ten a minute.
const INTERVAL: Duration = Duration::from_secs(6);
/// The most accounts that are remembered; the one with the least in its measure makes way.
const MAX_ACCOUNTS: usize = 10_000;

/// Names are hashed, because a client may send long ones.
type Account = [u8; 32];

/// The measures of all accounts that missed lately.
#[derive(Debug, Default)]
pub struct Misses {
    /// When each measure will be empty.
    empty_at: Mutex<HashMap<Account, Instant>>,
}

// === impl Misses ===

impl Misses {
    /// How long `name` must wait before it is examined; `None` when it need not.
    pub fn wait(&self, name: &str, now: Instant) -> Option<Duration> {
        let empty_at = *self.empty_at.lock().get(&account(name))?;
        let filled = empty_at.saturating_duration_since(now);
        filled.checked_sub(INTERVAL * (FREE_MISSES - 1)).filter(|wait| !wait.is_zero())
    }

    /// Notes a wrong log-in as `name`.
    pub fn note(&self, name: &str, now: Instant) {
        let mut empty_at = self.empty_at.lock();
        let account = account(name);
        if empty_at.len() >= MAX_ACCOUNTS && !empty_at.contains_key(&account) {
            empty_at.retain(|_, empty_at| *empty_at > now);
            if empty_at.len() >= MAX_ACCOUNTS {
                let least = empty_at.iter().min_by_key(|(_, empty_at)| **empty_at).map(|(account, _)| *account);
                least.and_then(|account| empty_at.remove(&account));
            }
        }
        let measure = empty_at.entry(account).or_insert(now);
        *measure = now.max(*measure) + INTERVAL;
    }
}

fn account(name: &str) -> Account {
    Sha256::digest(name).into()
}

//! What goes wrong on the way to the store, by order of a test.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A fault, and which requests it befalls.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens to them.
    pub fault: Fault,
    /// Only to those of this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only to those whose path and query contain this.
    #[serde(default)]
    pub contains: String,
    /// To so many of them; to all when absent.
    #[serde(default)]
    pub times: Option<usize>,
    /// After so many others of them.
    #[serde(default)]
    pub skip: usize,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The answer says 503.
    #[default]
    Unavailable,
    /// The store waits so many milliseconds.
    Delay(u64),
    /// The connection ends after so many bytes of the request's body.
    CutRequest(u64),
    /// The connection ends after so many bytes of the answer's body.
    CutAnswer(u64),
    /// No answer ever comes.
    Blackhole,
}

/// One request as it arrived.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// GET and the like.
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// The range that was asked for; empty for none.
    pub range: String,
}

// === impl Rule ===

impl Rule {
    /// The fault of a request, which counts then.
    pub fn strike(&mut self, seen: &Seen) -> Option<Fault> {
        let meant =
            self.method.as_ref().is_none_or(|method| *method == seen.method) && seen.target.contains(&self.contains);
        if !meant || self.times == Some(0) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.map(|times| times - 1);
        Some(self.fault)
    }
}

// === impl Fault ===

impl Fault {
    /// How long the request waits before it goes on.
    pub fn delay(self) -> Duration {
        match self {
            Self::Delay(millis) => Duration::from_millis(millis),
            _ => Duration::ZERO,
        }
    }
}

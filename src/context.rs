//! Who asks.

use std::{fmt, sync::Arc};

/// The author of what a session writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal(Arc<str>);

// === impl Principal ===

impl Principal {
    /// Somebody who gave `name`.
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// Somebody who gave no name.
    pub fn anonymous() -> Self {
        Self("anonymous".into())
    }

    /// The server itself.
    pub fn server() -> Self {
        Self("merganser".into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

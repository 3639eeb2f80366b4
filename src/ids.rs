//! Identifiers as types, so that one is never taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A state of the lake: DuckLake's snapshot id, `version` in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub i64);

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Unguessable identifiers that travel to clients and come back.
macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident = $make:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one that nobody can guess.
            #[expect(clippy::new_without_default, reason = "each is another one; a default would not say so")]
            pub fn new() -> Self {
                Self(Uuid::$make())
            }

            /// The one that a client sent back, if it has the form of one.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                std::str::from_utf8(bytes).ok().and_then(|text| Uuid::parse_str(text).ok()).map(Self)
            }

            /// Its 16 bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The one with these bytes, if they are 16.
            pub fn from_raw(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }

            /// The form that travels.
            pub fn to_bytes(self) -> bytes::Bytes {
                self.to_string().into_bytes().into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    )*};
}

handles! {
    /// A client's network connection, as long as it lasts; never told to clients.
    ConnectionId = new_v4;
    /// A running or finished action.
    JobId = now_v7;
    /// A prepared statement of a session.
    StatementHandle = new_v4;
    /// One execution of a statement, whose result waits to be fetched.
    ExecutionId = new_v4;
    /// An open transaction of a session.
    TransactionId = new_v4;
    /// A session, as people see it: it gives no access.
    SessionId = new_v4;
    /// What a client shows to be taken for the session it logged in to.
    SessionToken = new_v4;
}

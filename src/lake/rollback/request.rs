//! The request of a rollback.

use std::fmt;

use crate::ids::SnapshotId;

/// What to restore, and the state to restore it to.
#[derive(Clone, Copy, Debug)]
pub struct Rollback<'a> {
    /// What is restored.
    pub scope: Scope<'a>,
    /// The snapshot whose state is restored.
    pub to: SnapshotId,
    /// Whether to report only what would change.
    pub dry_run: bool,
    /// The author of the commit.
    pub author: &'a str,
    /// The message of the commit; by default, a description of the rollback.
    pub message: Option<&'a str>,
}

/// The extent of a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One table.
    Table {
        /// Its schema.
        schema: &'a str,
        /// Its name at the snapshot, which is restored too.
        name: &'a str,
    },
    /// All tables, views and macros of a schema.
    Schema(&'a str),
    /// All schemas.
    Lake,
}

// === impl Scope ===

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table { schema, name } => write!(f, "\"{schema}.{name}\""),
            Self::Schema(schema) => write!(f, "schema \"{schema}\""),
            Self::Lake => f.write_str("the lake"),
        }
    }
}

//! The rows of a rollback: counted if a dry run needs no more, otherwise copied out of the lake before the first write.

use serde::Deserialize;
use uuid::Uuid;

use crate::{engine::Connection, error::Result};

/// The rows that a rollback deletes and inserts.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) deleted: Source,
    pub(super) inserted: Source,
}

/// The rows of a query.
#[derive(Debug)]
pub(super) enum Source {
    /// There are none.
    Nothing,
    /// They are still in their table.
    Counted { query: String, count: u64 },
    /// They are in a TEMP table.
    Staged { table: String, count: u64 },
}

// === impl Rows ===

impl Rows {
    pub(super) fn nothing() -> Self {
        Self { deleted: Source::Nothing, inserted: Source::Nothing }
    }

    /// Whether there is nothing to delete or insert.
    pub(super) fn is_nothing(&self) -> bool {
        self.deleted.count() == 0 && self.inserted.count() == 0
    }

    /// Whether the inserted rows are equal to the deleted ones, whose number is the same.
    ///
    /// Both as values and as text: SQL treats `INTERVAL 1 MONTH` as equal to `INTERVAL 30 DAY`, and 0.0 to -0.0. The
    /// alias is a name that no column has, since a column of that name would take precedence.
    pub(super) fn are_equal(&self, connection: &Connection) -> Result<bool> {
        let select = "SELECT CAST(merganser_row AS VARCHAR), merganser_row.*";
        let (inserted, deleted) = (self.inserted.query(), self.deleted.query());
        let missing = format!(
            "{select} FROM ({inserted}) AS merganser_row EXCEPT ALL {select} FROM ({deleted}) AS merganser_row"
        );
        Ok(count(connection, &missing)? == 0)
    }

    /// Drops the TEMP tables.
    pub(super) fn drop(&self, connection: &Connection) -> Result<()> {
        self.deleted.drop(connection)?;
        self.inserted.drop(connection)
    }
}

// === impl Source ===

impl Source {
    /// Counts the rows of `query`.
    pub(super) fn counted(connection: &Connection, query: String) -> Result<Self> {
        let count = count(connection, &query)?;
        Ok(Self::Counted { query, count })
    }

    /// Copies the rows of `query` into a new TEMP table.
    pub(super) fn staged(connection: &Connection, query: &str) -> Result<Self> {
        let name = unique_name();
        let count = connection.execute(&format!("CREATE TEMP TABLE {name} AS {query}"), &[])?;
        Ok(Self::Staged { table: format!("temp.main.{name}"), count })
    }

    /// The number of rows.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Counted { count, .. } | Self::Staged { count, .. } => *count,
        }
    }

    /// Drops the TEMP table.
    pub(super) fn drop(&self, connection: &Connection) -> Result<()> {
        match self {
            Self::Staged { table, .. } => connection.execute(&format!("DROP TABLE {table}"), &[]).map(|_| ()),
            Self::Nothing | Self::Counted { .. } => Ok(()),
        }
    }

    /// A query for the rows.
    fn query(&self) -> String {
        match self {
            Self::Nothing => "SELECT NULL WHERE false".to_owned(),
            Self::Counted { query, .. } => query.clone(),
            Self::Staged { table, .. } => format!("SELECT * FROM {table}"),
        }
    }
}

/// A unique name.
pub(super) fn unique_name() -> String {
    format!("merganser_rollback_{}", Uuid::new_v4().simple())
}

fn count(connection: &Connection, query: &str) -> Result<u64> {
    #[derive(Deserialize)]
    struct Found {
        rows: u64,
    }
    connection
        .record(&format!("SELECT system.main.count(*) AS rows FROM ({query})"), &[])
        .map(|found: Found| found.rows)
}

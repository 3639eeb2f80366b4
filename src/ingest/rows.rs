//! The rows of files, as a query, and the table that they are for.

use super::{
    load::{self, Extra, TableOutcome},
    request::Request,
};
use crate::{
    error::Result,
    lake::{commit::Transaction, table::TableRef},
};

/// Rows that can be loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    /// The query that gives them, with URIs in place of media.
    pub query: &'a str,
    /// The table that they are for, or the prefix of several.
    pub table: &'a TableRef,
    pub request: &'a Request,
    /// The name of the landing.
    pub landing: &'a str,
    /// The columns of media.
    pub media: &'a [String],
    /// The Parquet files that they come from, as DuckDB opens them.
    pub parquet: &'a [String],
}

// === impl Rows ===

impl Rows<'_> {
    /// Loads them as they are.
    ///
    /// # Errors
    /// Those of [`load::load`].
    pub(super) fn load(&self, transaction: &mut Transaction<'_>) -> Result<Vec<TableOutcome>> {
        let extra = Extra { media: self.media, ..Extra::default() };
        Ok(vec![load::load(transaction, self.table, self.query, &self.request.mode, extra)?])
    }
}

//! The context of one ingest.

use std::{path::Path, sync::Arc};

use super::{
    landing::Landing,
    load::{self, Loaded, Signature, TableOutcome},
    request::Request,
    source::HubMedia,
};
use crate::{
    context::Principal,
    engine::Connection,
    error::Result,
    jobs::Progress,
    lake::{Lake, commit::Transaction, table::TableRef},
};

/// The context that the steps of one ingest share.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    pub lake: &'a Lake,
    pub request: &'a Request,
    pub author: &'a Principal,
    pub progress: &'a Progress,
    /// A folder for temporary files, removed at the end.
    pub spool: &'a Path,
    pub landing: &'a Landing,
    /// The table, or the prefix of the tables of formats with several.
    pub table: &'a TableRef,
    /// The tables that earlier ingests of the same source have filled; empty if there are none.
    pub earlier: &'a [String],
    /// Files of the source that rows may name.
    pub media: Option<&'a HubMedia>,
}

// === impl Work ===

impl Work<'_> {
    /// How its commit is signed.
    pub fn signature(&self) -> Signature {
        let Request { dataset, .. } = self.request;
        let landing = format!("{dataset}/{}", self.landing.time());
        Signature {
            dataset: dataset.clone(),
            author: self.author.name().to_owned(),
            landing,
            earlier: self.earlier.to_vec(),
        }
    }

    /// Commits what `load` writes as one snapshot, and repeats it after a conflict.
    ///
    /// # Errors
    /// Cancelled; errors of `load` and of the commit.
    pub async fn commit(
        &self,
        mut load: impl FnMut(&mut Transaction<'_>) -> Result<Vec<TableOutcome>> + Send + 'static,
    ) -> Result<Loaded> {
        let signature = self.signature();
        let committer = Arc::clone(self.lake.committer());
        let loading = move |connection: &Connection| {
            load::commit(connection, &committer, &signature, |transaction| load(transaction))
        };
        // Waits for the outcome: files may only be removed if the rows were not committed.
        self.lake.engine().lease().await?.worker().run_until(self.progress.cancelled(), loading).await
    }
}

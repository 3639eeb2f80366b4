//! What an earlier ingest of the same source into the same table has done, so that the next one does only what is missing.
//!
//! ```text
//! raw/<data set>/.ingests/<key>.json        the last one that was committed
//! raw/<data set>/.ingests/<key>.next.json   one whose commit may have happened: written before it, removed after it
//! ```
//!
//! The snapshot of a commit names the landing in its details, so that the process may end at any point.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    coco_rows::Boxes,
    format::Format,
    landing::{File, Landing, ROOT},
    load::{LANDING, Mode, TABLES},
    request::{ClipOptions, Request},
    source::DataFile,
};
use crate::{
    engine::Connection,
    error::Result,
    ids::SnapshotId,
    lake::{
        Lake, snapshots,
        standing::{self, Standing},
        table::TableRef,
    },
    storage::Storage,
};

/// An ingest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The source, without keys.
    pub source: String,
    /// What names the content of the source, if the source names it.
    pub revision: Option<String>,
    /// The landing, `YYYY_MM_DD/HH_MM_SS_mmm`.
    pub landing: String,
    /// The format of the files.
    pub format: Format,
    /// What became of the rows.
    pub mode: Mode,
    /// What was fetched.
    pub items: Vec<Seen>,
    /// The landed files.
    pub files: Vec<File>,
    /// The files whose rows are in the tables, also those that the source does not have any more: see [`rows_of`].
    pub loaded: BTreeSet<String>,
    /// What identifies the files that are not landed.
    pub others: Option<String>,
    /// The limit of rows.
    pub max_rows: Option<u64>,
    /// The form of boxes that was stated.
    #[serde(default)]
    pub boxes: Boxes,
    /// The tables and their UUIDs.
    pub tables: Vec<(String, String)>,
    /// The snapshot of the commit; before it, the newest one.
    pub snapshot_id: SnapshotId,
    /// Whether the commit created that snapshot.
    pub committed: bool,
}

/// A fetched file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its path within the source.
    pub path: String,
    /// What identifies its content.
    pub tag: String,
    /// The landed files that it became.
    pub files: Vec<String>,
}

/// The records of one ingest: one source, one table, one way to read it.
#[derive(Clone, Debug)]
pub struct Records {
    storage: Storage,
    dataset: String,
    key: String,
}

// === impl Records ===

impl Records {
    /// Those of `request`. Mode, key, limit of rows and form of boxes may differ between its runs.
    pub fn new(storage: Storage, request: &Request) -> Self {
        let default = format!("raw.{}", request.dataset);
        let table = request.table.as_ref().map(ToString::to_string).filter(|table| *table != default);
        let what = json!([
            request.source.identity(),
            table,
            request.config,
            request.split,
            request.extract_media,
            request.keep_urls,
            request.media_columns,
            format!("{:?}", request.reader)
        ]);
        // Records of requests without these keep their names.
        let what = if request.as_delivered { json!([what, "as delivered"]) } else { what };
        let has_clip_options = request.clips != ClipOptions::default();
        let what = if has_clip_options { json!([what, format!("{:?}", request.clips)]) } else { what };
        let key = format!("{:x}", Sha256::digest(what.to_string()))[..16].to_owned();
        Self { storage, dataset: request.dataset.clone(), key }
    }

    /// A name for the ingest, among all data sets.
    pub fn name(&self) -> String {
        format!("{}.{}", self.dataset, self.key)
    }

    /// The last committed ingest, and what became of its rows.
    ///
    /// # Errors
    /// Errors of the store and of the catalog.
    pub async fn find(&self, lake: &Lake) -> Result<Option<(Earlier, Standing)>> {
        let earlier = match self.interrupted(lake).await? {
            Some(earlier) => Some(earlier),
            None => self.storage.read_json(&self.path("json")).await?,
        };
        let Some(earlier) = earlier else { return Ok(None) };
        let (asked, mark) = (earlier.clone(), self.mark(&earlier.landing));
        let standing = lake.engine().run(move |connection| {
            let tables = asked.tables.iter().map(|(name, uuid)| Ok((TableRef::parse(name)?, uuid.clone())));
            let tables = tables.collect::<Result<Vec<_>>>()?;
            let mark = asked.committed.then_some((LANDING, mark.as_str()));
            standing::of(connection, &standing::Commit { snapshot_id: asked.snapshot_id, mark, tables: &tables })
        });
        Ok(Some((earlier, standing.await?)))
    }

    /// Writes down what will be committed.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn announce(&self, earlier: &Earlier) -> Result<()> {
        self.storage.write_json(&self.path("next.json"), earlier).await
    }

    /// Takes back what was announced.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn withdraw(&self) -> Result<()> {
        self.storage.delete(&self.path("next.json")).await
    }

    /// Writes down what was committed.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn confirm(&self, earlier: &Earlier) -> Result<()> {
        self.storage.write_json(&self.path("json"), earlier).await?;
        self.withdraw().await
    }

    /// The value of [`LANDING`] in the details of the commit.
    pub fn mark(&self, time: &str) -> String {
        format!("{}/{time}", self.dataset)
    }

    /// Whether what was announced has been committed.
    ///
    /// # Errors
    /// Errors of the catalog.
    pub async fn is_committed(&self, lake: &Lake, announced: &Earlier) -> Result<bool> {
        let (since, mark) = (announced.snapshot_id, self.mark(&announced.landing));
        let committed = move |connection: &Connection| standing::committed(connection, since, (LANDING, &mark));
        Ok(lake.engine().run(committed).await?.is_some())
    }

    /// Completes an ingest that ended between its commit and what follows.
    async fn interrupted(&self, lake: &Lake) -> Result<Option<Earlier>> {
        let Some(mut next) = self.storage.read_json::<Earlier>(&self.path("next.json")).await? else {
            return Ok(None);
        };
        let (since, mark) = (next.snapshot_id, self.mark(&next.landing));
        let committed = lake.engine().run(move |connection| {
            let Some((id, details)) = standing::committed(connection, since, (LANDING, &mark))? else {
                return Ok(None);
            };
            let names: Vec<String> = serde_json::from_value(details[TABLES].clone()).unwrap_or_default();
            Ok(Some((id, with_uuids(connection, names)?)))
        });
        let Some((id, tables)) = committed.await? else {
            self.withdraw().await?;
            return Ok(None);
        };
        (next.snapshot_id, next.tables, next.committed) = (id, tables, true);
        let landing = Landing::of(self.storage.clone(), &self.dataset, &next.landing, next.files.clone());
        landing.make_latest(next.source.clone()).await?;
        self.confirm(&next).await?;
        Ok(Some(next))
    }

    fn path(&self, ending: &str) -> String {
        format!("{ROOT}/{}/.ingests/{}.{ending}", self.dataset, self.key)
    }
}

/// The UUIDs of tables; those that do not exist are left out.
pub(super) fn with_uuids(connection: &Connection, names: Vec<String>) -> Result<Vec<(String, String)>> {
    let mut tables = Vec::new();
    for name in names {
        if let Some(uuid) = standing::uuid(connection, &TableRef::parse(&name)?)? {
            tables.push((name, uuid));
        }
    }
    Ok(tables)
}

/// The newest snapshot.
pub(super) async fn newest(lake: &Lake) -> Result<SnapshotId> {
    lake.engine().run(|connection| Ok(snapshots::newest(connection))).await
}

/// What identifies the rows of a file in a source of `format`: the same content in two splits, or under two labels, is not the
/// same.
pub(super) fn rows_of(sha256: &str, file: &DataFile, format: Format) -> String {
    let split = file.split.as_deref().map(|split| format!(" {split}")).unwrap_or_default();
    let name = if format.is_media_folder() { format!(" {}", file.name) } else { String::new() };
    format!("{sha256}{split}{name}")
}

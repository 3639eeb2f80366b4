//! The plan of a rollback: every table, view, macro and schema that changes, with the rows that are needed.

use super::{
    find,
    macros::{self, MacroPlan},
    outcome::{Outcome, Restored},
    remake::remake,
    request::{Rollback, Scope},
    table::{self, TablePlan},
    views::{self, ViewPlan},
};
use crate::{
    engine::Connection,
    error::{Context, Result},
    ids::SnapshotId,
    lake::{
        CATALOG,
        commit::Transaction,
        feeds::{self, Note},
        snapshots::{self, SnapshotRef},
    },
    proto::rollback_result::{Kind, table::Change},
    quote::identifier,
};

/// The changes to make. It holds TEMP tables until they are dropped, unless it was created as a dry run.
#[derive(Debug)]
pub(super) struct Plan {
    from: SnapshotId,
    to: SnapshotId,
    tables: Vec<TablePlan>,
    views: Vec<ViewPlan>,
    macros: Vec<MacroPlan>,
    /// Schemas to create.
    missing: Vec<String>,
    /// Schemas to drop.
    surplus: Vec<String>,
}

// === impl Plan ===

impl Plan {
    /// Finds what differs and copies the rows that are needed; nothing is written to the lake. `progress` is called
    /// with the number of tables compared and their total.
    pub(super) fn make(
        connection: &Connection,
        request: &Rollback<'_>,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        // The head is read first: this fixes the state that the transaction sees.
        let from = snapshots::current(connection)?;
        let to = snapshots::resolve(connection, &SnapshotRef::Version(request.to))?;
        let found = find::find(connection, request, from)?;
        let macros = macros::plan(connection, request.scope, from, to, &found.missing)?;
        let views = views::plan(connection, &found.views, from, to)?;
        let mut tables = Vec::new();
        for (done, pair) in found.tables.iter().enumerate() {
            progress(done, found.tables.len());
            let plan = TablePlan::make(connection, pair, from, to, request.dry_run);
            tables.push(match request.scope {
                Scope::Table { .. } => plan?,
                Scope::Schema(_) | Scope::Lake => plan.context(|| format!("read \"{}\"", pair.name()))?,
            });
        }
        Ok(Self { from, to, tables, views, macros, missing: found.missing, surplus: found.surplus })
    }

    /// The changes. A table that was requested by name is always included.
    pub(super) fn report(&self, scope: Scope<'_>) -> Outcome {
        let is_named = matches!(scope, Scope::Table { .. });
        let tables = self.tables.iter().filter(|table| is_named || table.is_change()).map(TablePlan::report);
        let schema = |change| {
            move |name: &String| Restored {
                kind: Kind::Schema,
                name: name.clone(),
                renamed_from: None,
                change,
                rows_deleted: 0,
                rows_inserted: 0,
            }
        };
        let views = self.views.iter().map(ViewPlan::report);
        let macros = self.macros.iter().map(MacroPlan::report);
        let missing = self.missing.iter().map(schema(Change::Recreated));
        let surplus = self.surplus.iter().map(schema(Change::Dropped));
        let objects = tables.chain(views).chain(macros).chain(missing).chain(surplus).collect();
        Outcome { snapshot_id: self.from, restored_from: self.to, objects }
    }

    /// Writes all changes. The parent module explains the order.
    pub(super) fn apply(&self, connection: &Connection) -> Result<()> {
        let schema = |verb: &str, name: &String| {
            connection.execute(&format!("{verb} SCHEMA {CATALOG}.{}", identifier(name)), &[]).map(|_| ())
        };
        let changing = || self.tables.iter().filter(|table| table.is_change());
        views::drop(connection, &self.views)?;
        macros::drop(connection, &self.macros)?;
        changing().try_for_each(|table| table.make_room(connection))?;
        self.surplus.iter().try_for_each(|name| schema("DROP", name))?;
        self.missing.iter().try_for_each(|name| schema("CREATE", name))?;
        table::rename(connection, &self.tables)?;
        let (in_place, anew): (Vec<_>, Vec<_>) = changing().partition(|table| table.is_in_place());
        in_place.into_iter().chain(anew).try_for_each(|table| table.restore(connection))?;
        let views = self.views.iter().filter_map(ViewPlan::text);
        let macros = self.macros.iter().filter_map(MacroPlan::text);
        remake(connection, macros.chain(views).collect())
    }

    /// Declares what will be read and written, before it is.
    pub(super) fn prepare(&self, transaction: &mut Transaction<'_>) -> Result<()> {
        transaction.will_define()?;
        let changing = self.tables.iter().filter(|table| table.is_change() && table.is_in_place());
        changing.into_iter().try_for_each(|table| transaction.reads_and_writes(&identifier(&table.report().name)))
    }

    /// Sets feeds back with their tables: returns the positions to note, and declares that they are read and written.
    pub(super) fn set_feeds_back(&self, transaction: &mut Transaction<'_>) -> Result<Vec<Note>> {
        let changing = || self.tables.iter().filter(|table| table.is_change());
        let tables: Vec<_> = changing().filter_map(TablePlan::then).map(|then| then.id).collect();
        let past = feeds::past(transaction.connection(), &tables, self.to, self.from)?;
        for feed in &past {
            transaction.reads_and_writes(&feeds::conflict_name(feed.table_id, &feed.feed))?;
        }
        let notes = changing().flat_map(|table| {
            let feeds = past.iter().filter(|feed| table.then().is_some_and(|then| then.id == feed.table_id));
            feeds.filter_map(|feed| table.note(feed))
        });
        Ok(notes.collect())
    }

    /// Signs the commit with its author and message.
    pub(super) fn sign(&self, transaction: &mut Transaction<'_>, request: &Rollback<'_>, feeds: &[Note]) {
        let what = match request.scope {
            Scope::Table { .. } => self.tables.iter().map(|table| table.report().name).collect(),
            Scope::Schema(name) => format!("schema {name}"),
            Scope::Lake => "the lake".to_owned(),
        };
        let message =
            request.message.map_or_else(|| format!("roll back {what} to snapshot {}", self.to), str::to_owned);
        let mut info = serde_json::json!({"rollback_to": self.to, "from": self.from});
        match request.scope {
            Scope::Table { .. } => info["table"] = what.into(),
            Scope::Schema(name) => info["schema"] = name.into(),
            Scope::Lake => info["lake"] = true.into(),
        }
        if !feeds.is_empty() {
            info["feeds"] = serde_json::json!(feeds);
        }
        transaction.sign(message, Some(info));
    }

    /// Drops the TEMP tables.
    pub(super) fn drop_staged(&self, connection: &Connection) -> Result<()> {
        self.tables.iter().try_for_each(|table| table.drop_staged(connection))
    }
}

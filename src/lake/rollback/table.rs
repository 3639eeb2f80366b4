//! One table: its past state, the object it replaces, the deleted and inserted rows, and the statements for that.

use super::{
    ddl, deleted,
    outcome::Restored,
    rows::{self, Rows, Source},
};
use crate::{
    engine::Connection,
    error::{Error, Result},
    ids::SnapshotId,
    lake::{
        feeds::{Note, Past},
        pairs::Pair,
        state::{self, Attributes, Relation, TableState},
    },
    proto::rollback_result::{Kind, table::Change},
    quote::identifier,
};

/// The change of one table.
#[derive(Debug)]
pub(super) struct TablePlan {
    to: SnapshotId,
    /// The past table, and the one that it replaces: the same table as it is now, possibly under another name, or a
    /// later one of the same name.
    sides: Pair<TableState>,
    /// Whether both are equal except for their rows.
    same_shape: bool,
    way: Way,
    rows: Rows,
}

/// The change of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing: no file of the table changed.
    Keep,
    /// Rows written since are deleted, and rows removed since are inserted.
    Exchange,
    /// All are deleted and inserted: the table has a column that hides `rowid` or `snapshot_id`.
    Replace,
    /// They are dropped and created with the table.
    Recreate,
    /// They are dropped with the table.
    Drop,
}

fn choose_way(connection: &Connection, sides: &Pair<TableState>, to: SnapshotId) -> Result<Way> {
    let (then, now) = match sides {
        Pair::Then(_) => return Ok(Way::Recreate),
        Pair::Now(_) => return Ok(Way::Drop),
        Pair::Both { then, now } => (then, now),
    };
    if now.relation.id != then.relation.id || now.columns != then.columns {
        return Ok(Way::Recreate);
    }
    if !state::files_changed(connection, now.relation.id, to)? {
        return Ok(Way::Keep);
    }
    Ok(if now.hides_row_versions() { Way::Replace } else { Way::Exchange })
}

/// Turns the attributes `from` into `to`.
fn alter(connection: &Connection, path: &str, from: &Attributes, to: &Attributes) -> Result<()> {
    ddl::alter(path, from, to).iter().try_for_each(|sql| connection.execute(sql, &[]).map(|_| ()))
}

/// A write that affects other rows than were staged must not be committed.
fn check_rows(verb: &str, done: u64, planned: u64) -> Result<()> {
    if done == planned {
        return Ok(());
    }
    Err(Error::internal(format!("{verb} rows: {done} instead of {planned}")))
}

// === impl TablePlan ===

impl TablePlan {
    /// Plans the change of a table from the head `from` back to `to`, and finds the rows to delete and insert; unless
    /// `dry_run` is set, those that are needed later are copied.
    pub(super) fn make(
        connection: &Connection,
        pair: &Pair<Relation>,
        from: SnapshotId,
        to: SnapshotId,
        dry_run: bool,
    ) -> Result<Self> {
        let sides = match pair {
            Pair::Then(then) => Pair::Then(TableState::read(connection, then, to)?),
            Pair::Now(now) => Pair::Now(TableState::read(connection, now, from)?),
            Pair::Both { then, now } => {
                let state = TableState::read(connection, then, to)?;
                let now = if then.id == now.id && !state::shape_changed(connection, now.id, to)? {
                    TableState { relation: now.clone(), ..state.clone() }
                } else {
                    TableState::read(connection, now, from)?
                };
                Pair::Both { then: state, now }
            }
        };
        let same_shape = match &sides {
            Pair::Both { then, now } => pair.renamed_from().is_none() && now.is_like(then),
            Pair::Then(_) | Pair::Now(_) => false,
        };
        let way = choose_way(connection, &sides, to)?;
        let mut plan = Self { to, sides, same_shape, way, rows: Rows::nothing() };
        plan.rows = plan.find_rows(connection, dry_run)?;
        Ok(plan)
    }

    fn find_rows(&self, connection: &Connection, dry_run: bool) -> Result<Rows> {
        let deleted = self.deleted_query().map_or(Ok(Source::Nothing), |query| Source::counted(connection, query))?;
        let inserted = self.find_inserted(connection, deleted.count(), dry_run)?;
        let rows = Rows { deleted, inserted };
        if self.are_equal(connection, &rows)? {
            rows.drop(connection)?;
            return Ok(Rows::nothing());
        }
        Ok(rows)
    }

    /// Finds the rows to insert, if `going` rows are deleted.
    fn find_inserted(&self, connection: &Connection, going: u64, dry_run: bool) -> Result<Source> {
        let find = |query: String| {
            if dry_run { Source::counted(connection, query) } else { Source::staged(connection, &query) }
        };
        if let (Way::Exchange, Pair::Both { then, now }) = (self.way, &self.sides)
            && let Some(deleted) = deleted::since(connection, then, &now.relation, self.to)?
        {
            let found = deleted.query.map_or(Ok(Source::Nothing), find)?;
            if i128::from(found.count()) == i128::from(going) + i128::from(deleted.more_then) {
                return Ok(found);
            }
            // The catalog and its files do not agree: every row id is compared instead.
            found.drop(connection)?;
        }
        self.inserted_query().map_or(Ok(Source::Nothing), find)
    }

    /// The query for the rows to insert.
    fn inserted_query(&self) -> Option<String> {
        let to = self.to;
        let then = self.sides.then()?.relation.path();
        match (self.way, self.sides.now()) {
            (Way::Keep, _) => None,
            (Way::Exchange, Some(now)) => Some(format!(
                "SELECT * FROM {then} AT (VERSION => {to}) \
                 WHERE rowid NOT IN (SELECT rowid FROM {} WHERE snapshot_id <= {to})",
                now.relation.path()
            )),
            _ => Some(format!("SELECT * FROM {then} AT (VERSION => {to})")),
        }
    }

    /// The query for the rows to delete.
    fn deleted_query(&self) -> Option<String> {
        let written_since = self.written_since();
        let path = self.sides.now()?.relation.path();
        (self.way != Way::Keep).then(|| format!("SELECT * FROM {path}{written_since}"))
    }

    /// The condition for the rows to delete, if not all of them are.
    fn written_since(&self) -> String {
        match self.way {
            Way::Exchange => format!(" WHERE snapshot_id > {}", self.to),
            Way::Keep | Way::Replace | Way::Recreate | Way::Drop => String::new(),
        }
    }

    /// Whether the inserted rows equal the deleted ones, as after a second rollback to the same snapshot: the rows of
    /// the first one are versions of the snapshot's own.
    fn are_equal(&self, connection: &Connection, rows: &Rows) -> Result<bool> {
        let may_be = self.way != Way::Recreate || self.same_shape;
        if !may_be || rows.is_nothing() || rows.deleted.count() != rows.inserted.count() {
            return Ok(false);
        }
        rows.are_equal(connection)
    }

    /// The outcome for the table.
    pub(super) fn report(&self) -> Restored {
        let change = match self.way {
            _ if !self.is_change() => Change::Unchanged,
            Way::Recreate => Change::Recreated,
            Way::Keep | Way::Exchange | Way::Replace => Change::Restored,
            Way::Drop => Change::Dropped,
        };
        let table = self.sides.then().or(self.sides.now()).map(|it| it.relation.full_name());
        Restored {
            kind: Kind::Table,
            name: table.unwrap_or_default(),
            renamed_from: self.renaming().map(|(now, _)| now.full_name()),
            change,
            rows_deleted: self.rows.deleted.count(),
            rows_inserted: self.rows.inserted.count(),
        }
    }

    /// Whether anything changes.
    pub(super) fn is_change(&self) -> bool {
        !self.same_shape || !self.rows.is_nothing()
    }

    /// Whether the table keeps its id.
    pub(super) fn is_in_place(&self) -> bool {
        matches!(self.way, Way::Keep | Way::Exchange | Way::Replace)
    }

    /// The past table, unless it did not exist.
    pub(super) fn then(&self) -> Option<&Relation> {
        self.sides.then().map(|then| &then.relation)
    }

    /// The position of a feed that the restored table notes. One that keeps its id notes what has moved since, another
    /// one what it had.
    pub(super) fn note(&self, feed: &Past) -> Option<Note> {
        let then = self.then()?;
        let position = if self.is_in_place() { feed.moved.then(|| feed.position.unwrap_or(0)) } else { feed.position };
        position.map(|position| Note {
            feed: feed.feed.clone(),
            schema: then.schema.clone(),
            table: then.name.clone(),
            position,
        })
    }

    /// The current and the past name of the table, if they differ.
    fn renaming(&self) -> Option<(&Relation, &str)> {
        match &self.sides {
            Pair::Both { then, now } if then.relation.id == now.relation.id => {
                let name = then.relation.name.as_str();
                (now.relation.name != name).then_some((&now.relation, name))
            }
            Pair::Then(_) | Pair::Now(_) | Pair::Both { .. } => None,
        }
    }

    /// Drops the replaced object, unless it is kept.
    pub(super) fn make_room(&self, connection: &Connection) -> Result<()> {
        match self.sides.now() {
            Some(now) if !self.is_in_place() => {
                connection.execute(&format!("DROP TABLE {}", now.relation.path()), &[]).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Restores rows, keys and comments of a table, after it was renamed and the others were dropped. The parent module
    /// explains the order.
    pub(super) fn restore(&self, connection: &Connection) -> Result<()> {
        let Some(then) = self.sides.then() else { return Ok(()) };
        let path = then.relation.path();
        if self.way == Way::Recreate {
            connection.execute(&ddl::create_table(&path, &then.definitions), &[])?;
            alter(connection, &path, &Attributes::default(), &then.attributes)?;
            return self.insert(connection, &path);
        }
        self.delete(connection, &path)?;
        self.insert(connection, &path)?;
        let now = self.sides.now().map(|now| &now.attributes);
        alter(connection, &path, now.unwrap_or(&then.attributes), &then.attributes)
    }

    fn delete(&self, connection: &Connection, path: &str) -> Result<()> {
        let count = self.rows.deleted.count();
        if count == 0 {
            return Ok(());
        }
        check_rows("delete", connection.execute(&format!("DELETE FROM {path}{}", self.written_since()), &[])?, count)
    }

    fn insert(&self, connection: &Connection, path: &str) -> Result<()> {
        match &self.rows.inserted {
            Source::Staged { table, count } if *count > 0 => {
                let sql = format!("INSERT INTO {path} SELECT * FROM {table}");
                check_rows("insert", connection.execute(&sql, &[])?, *count)
            }
            _ => Ok(()),
        }
    }

    /// Drops the TEMP tables with its rows.
    pub(super) fn drop_staged(&self, connection: &Connection) -> Result<()> {
        self.rows.drop(connection)
    }
}

/// Renames tables to their past names, in two steps if several change: they may have exchanged names.
pub(super) fn rename(connection: &Connection, tables: &[TablePlan]) -> Result<()> {
    let staying = tables.iter().filter(|table| table.is_in_place());
    let renamings: Vec<_> = staying.filter_map(TablePlan::renaming).collect();
    let execute = |path: &str, name: &str| {
        connection.execute(&format!("ALTER TABLE {path} RENAME TO {}", identifier(name)), &[]).map(|_| ())
    };
    if let [(now, name)] = renamings.as_slice() {
        return execute(&now.path(), name);
    }
    let in_between = |now: &Relation| Relation { name: rows::unique_name(), ..now.clone() };
    let steps: Vec<_> = renamings.into_iter().map(|(now, name)| (now, in_between(now), name)).collect();
    steps.iter().try_for_each(|(now, between, _)| execute(&now.path(), &between.name))?;
    steps.iter().try_for_each(|(_, between, name)| execute(&between.path(), name))
}

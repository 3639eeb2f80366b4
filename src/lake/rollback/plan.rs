//! Steps 1 to 5 of a rollback: what it finds, chooses, copies and writes. The order is argued in the parent module.

use super::{
    Change, Restored, Rollback, ddl,
    rows::{Rows, Source},
};
use crate::{
    engine::{Connection, Value},
    error::{Error, Result},
    ids::SnapshotId,
    lake::{
        snapshots::{self, SnapshotRef},
        state::{self, Attributes, Relation, TableState},
    },
    quote::identifier,
};

/// A rollback that has been thought through but not begun.
pub(super) struct Plan {
    from: SnapshotId,
    to: SnapshotId,
    /// The table as it was.
    then: TableState,
    /// What gives way to it: the same table as it is, maybe under another name, or a later one of the same name.
    now: Option<TableState>,
    /// Whether both look the same but for their rows.
    same_shape: bool,
    way: Way,
}

/// What happens to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing: no file of the table changed.
    Keep,
    /// Those written since go, and those that went since come.
    Exchange,
    /// All go and all come: the table has a column that hides `rowid` or `snapshot_id`.
    Replace,
    /// They go and come with the table.
    Recreate,
}

/// The table that the request's name meant at its snapshot.
fn find_then(connection: &Connection, request: &Rollback<'_>, relations_now: &[Relation]) -> Result<Relation> {
    let relations = state::relations(connection, request.to)?;
    match state::find(&relations, request.schema, request.table) {
        Some(relation) if relation.is_view => {
            Err(Error::unsupported("it is a view at that snapshot, and only tables can be rolled back"))
        }
        Some(relation) => Ok(relation.clone()),
        None if state::find(relations_now, request.schema, request.table).is_some() => {
            Err(Error::not_found("it did not exist at that snapshot; drop it instead"))
        }
        None => Err(Error::not_found("it did not exist at that snapshot")),
    }
}

/// What gives way to the table `then`: what is left of it, or else what took its name.
///
/// # Errors
/// `FailedPrecondition` when the name belongs to something that is not the table's successor: it would be lost.
fn find_now<'a>(
    connection: &Connection,
    relations_now: &'a [Relation],
    then: &Relation,
    to: SnapshotId,
) -> Result<Option<&'a Relation>> {
    let same = relations_now.iter().find(|it| it.id == then.id && !it.is_view);
    let namesake = state::find(relations_now, &then.schema, &then.name).filter(|it| it.id != then.id);
    let Some(namesake) = namesake else { return Ok(same) };
    let name = namesake.full_name();
    if namesake.is_view {
        return Err(Error::precondition(format!("a view is called \"{name}\" now; drop it first")));
    }
    if let Some(same) = same {
        let now = same.full_name();
        return Err(Error::precondition(format!(
            "the table is called \"{now}\" now, and \"{name}\" is another one; rename or drop that first"
        )));
    }
    let relations_then = state::relations(connection, to)?;
    if let Some(before) = relations_then.iter().find(|it| it.id == namesake.id) {
        let before = before.full_name();
        return Err(Error::precondition(format!(
            "\"{name}\" is now the table that was called \"{before}\" at that snapshot; rename it first"
        )));
    }
    Ok(Some(namesake))
}

fn choose_way(connection: &Connection, then: &TableState, now: Option<&TableState>, to: SnapshotId) -> Result<Way> {
    let same = |now: &&TableState| now.relation.id == then.relation.id && now.columns == then.columns;
    let Some(now) = now.filter(same) else { return Ok(Way::Recreate) };
    if !state::files_changed(connection, now.relation.id, to)? {
        return Ok(Way::Keep);
    }
    Ok(if now.hides_row_versions() { Way::Replace } else { Way::Exchange })
}

/// A write that hits other rows than were staged must not be committed.
fn check_rows(verb: &str, done: u64, planned: u64) -> Result<()> {
    if done == planned {
        return Ok(());
    }
    Err(Error::internal(format!("{verb} rows: {done} instead of {planned}")))
}

// === impl Plan ===

impl Plan {
    pub(super) fn make(connection: &Connection, request: &Rollback<'_>) -> Result<Self> {
        // The head comes first: it fixes the state that the transaction sees.
        let from = snapshots::current(connection)?;
        let to = snapshots::resolve(connection, &SnapshotRef::Version(request.to))?;
        let relations_now = state::relations(connection, from)?;
        let then = find_then(connection, request, &relations_now)?;
        let now = find_now(connection, &relations_now, &then, to)?;
        let then = TableState::read(connection, &then, to)?;
        let now = now.map(|now| TableState::read(connection, now, from)).transpose()?;
        let same_shape = match &now {
            Some(now) => now.relation.full_name() == then.relation.full_name() && now.is_like(&then),
            None => false,
        };
        let way = choose_way(connection, &then, now.as_ref(), to)?;
        Ok(Self { from, to, then, now, same_shape, way })
    }

    /// Finds the rows that go and come; without `dry_run` those that are needed later are copied.
    pub(super) fn rows(&self, connection: &Connection, dry_run: bool) -> Result<Rows> {
        let (deleted, inserted) = (self.deleted_query(), self.inserted_query());
        let rows = Rows {
            deleted: match deleted {
                Some(query) if self.way == Way::Exchange && !dry_run => Source::staged(connection, &query)?,
                Some(query) => Source::counted(connection, query)?,
                None => Source::Nothing,
            },
            inserted: match inserted {
                Some(query) if dry_run => Source::counted(connection, query)?,
                Some(query) => Source::staged(connection, &query)?,
                None => Source::Nothing,
            },
        };
        if self.are_equal(connection, &rows)? {
            rows.drop(connection)?;
            return Ok(Rows::nothing());
        }
        Ok(rows)
    }

    /// The query for the rows that come.
    fn inserted_query(&self) -> Option<String> {
        let (then, to) = (self.then.relation.path(), self.to);
        match (self.way, &self.now) {
            (Way::Keep, _) => None,
            (Way::Exchange, Some(now)) => Some(format!(
                "SELECT * FROM {then} AT (VERSION => {to}) \
                 WHERE rowid NOT IN (SELECT rowid FROM {} WHERE snapshot_id <= {to})",
                now.relation.path()
            )),
            _ => Some(format!("SELECT * FROM {then} AT (VERSION => {to})")),
        }
    }

    /// The query for the rows that go, `rid` being the row id where it is needed.
    fn deleted_query(&self) -> Option<String> {
        let path = self.now.as_ref()?.relation.path();
        match self.way {
            Way::Keep => None,
            Way::Exchange => Some(format!("SELECT rowid AS rid FROM {path} WHERE snapshot_id > {}", self.to)),
            Way::Replace | Way::Recreate => Some(format!("SELECT 1 FROM {path}")),
        }
    }

    /// Whether the rows that come are those that go, as after a second rollback to the same snapshot: the first one's
    /// rows are versions of its own.
    fn are_equal(&self, connection: &Connection, rows: &Rows) -> Result<bool> {
        let Some(now) = self.now.as_ref().map(|now| now.relation.path()) else { return Ok(false) };
        if rows.is_nothing() || rows.deleted.count() != rows.inserted.count() {
            return Ok(false);
        }
        match self.way {
            Way::Exchange => {
                let deleted = format!("SELECT * FROM {now} WHERE snapshot_id > {}", self.to);
                rows.are_equal_to(connection, &deleted)
            }
            Way::Recreate if !self.same_shape => Ok(false),
            Way::Keep | Way::Replace | Way::Recreate => rows.are_equal_to(connection, &format!("SELECT * FROM {now}")),
        }
    }

    pub(super) fn report(&self, rows: &Rows) -> Restored {
        let change = match self.way {
            _ if self.same_shape && rows.is_nothing() => Change::Unchanged,
            Way::Recreate => Change::Recreated,
            Way::Keep | Way::Exchange | Way::Replace => Change::Restored,
        };
        Restored {
            snapshot_id: self.from,
            restored_from: self.to,
            table: self.then.relation.full_name(),
            renamed_from: self.renamed_from().map(Relation::full_name),
            change,
            rows_deleted: rows.deleted.count(),
            rows_inserted: rows.inserted.count(),
        }
    }

    /// What the table is called now, when that is not what it was called then.
    fn renamed_from(&self) -> Option<&Relation> {
        let then = &self.then.relation;
        let now = self.now.as_ref().map(|now| &now.relation);
        now.filter(|now| now.id == then.id && now.name != then.name)
    }

    /// The statements for the keys and comments that differ, under the name that the table had then.
    fn alterations(&self) -> Vec<String> {
        let none = Attributes::default();
        let kept = self.now.as_ref().filter(|_| self.way != Way::Recreate);
        let from = kept.map_or(&none, |now| &now.attributes);
        ddl::alter(&self.then.relation.path(), from, &self.then.attributes)
    }

    pub(super) fn apply(&self, connection: &Connection, rows: &Rows) -> Result<()> {
        if self.way == Way::Recreate {
            self.recreate(connection)?;
            self.alter(connection)?;
            return self.insert(connection, rows);
        }
        self.rename(connection)?;
        self.delete(connection, rows)?;
        self.insert(connection, rows)?;
        self.alter(connection)
    }

    fn rename(&self, connection: &Connection) -> Result<()> {
        let Some(now) = self.renamed_from() else { return Ok(()) };
        let sql = format!("ALTER TABLE {} RENAME TO {}", now.path(), identifier(&self.then.relation.name));
        connection.execute(&sql, &[]).map(|_| ())
    }

    fn recreate(&self, connection: &Connection) -> Result<()> {
        let then = &self.then.relation;
        if let Some(now) = &self.now {
            connection.execute(&format!("DROP TABLE {}", now.relation.path()), &[])?;
        }
        connection.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", then.schema_path()), &[])?;
        connection.execute(&ddl::create_table(&then.path(), &self.then.definitions), &[]).map(|_| ())
    }

    fn delete(&self, connection: &Connection, rows: &Rows) -> Result<()> {
        let path = self.then.relation.path();
        let sql = match &rows.deleted {
            Source::Staged { table, count } if *count > 0 => {
                format!("DELETE FROM {path} WHERE rowid IN (SELECT rid FROM {table})")
            }
            Source::Counted { count, .. } if *count > 0 => format!("DELETE FROM {path}"),
            _ => return Ok(()),
        };
        check_rows("delete", connection.execute(&sql, &[])?, rows.deleted.count())
    }

    fn insert(&self, connection: &Connection, rows: &Rows) -> Result<()> {
        match &rows.inserted {
            Source::Staged { table, count } if *count > 0 => {
                let sql = format!("INSERT INTO {} SELECT * FROM {table}", self.then.relation.path());
                check_rows("insert", connection.execute(&sql, &[])?, *count)
            }
            _ => Ok(()),
        }
    }

    fn alter(&self, connection: &Connection) -> Result<()> {
        self.alterations().iter().try_for_each(|sql| connection.execute(sql, &[]).map(|_| ()))
    }

    pub(super) fn sign(&self, connection: &Connection, request: &Rollback<'_>) -> Result<()> {
        let table = self.then.relation.full_name();
        let message =
            request.message.map_or_else(|| format!("roll back {table} to snapshot {}", self.to), str::to_owned);
        let info = serde_json::json!({"rollback_to": self.to, "from": self.from, "table": table});
        let params = [Value::varchar(request.author), Value::varchar(&message), Value::varchar(&info.to_string())];
        connection.execute("CALL lake.set_commit_message(?, ?, extra_info => ?)", &params).map(|_| ())
    }
}

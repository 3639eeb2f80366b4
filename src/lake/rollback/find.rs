//! Finds the objects of a request: which tables of the snapshot correspond to which current tables.

use super::request::{Rollback, Scope};
use crate::{
    engine::Connection,
    error::{Error, Result},
    ids::SnapshotId,
    lake::{
        pairs::{Pair, pairs},
        state::{self, Relation},
    },
};

/// Tables that are excluded when a schema or the lake is rolled back: registered entries are facts, whatever happens to
/// the data.
const REGISTRY: [(&str, &str); 2] = [("main", "experiments"), ("main", "simulation_runs")];
/// Schemas that are created when the server starts and are never dropped.
const PERMANENT: [&str; 4] = ["main", "raw", "silver", "gold"];

/// The objects that a rollback has to compare.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) tables: Vec<Pair<Relation>>,
    pub(super) views: Vec<Pair<Relation>>,
    /// Schemas that are missing.
    pub(super) missing: Vec<String>,
    /// Schemas that were created since.
    pub(super) surplus: Vec<String>,
}

/// The objects in a snapshot.
struct Contents {
    relations: Vec<Relation>,
    schemas: Vec<String>,
}

/// Finds the objects that the request names, with the head `from`.
///
/// # Errors
/// `NotFound` for objects that did not exist at the snapshot; `Unsupported` for a single view; `FailedPrecondition` if
/// another object that would be lost has the name of a table.
pub(super) fn find(connection: &Connection, request: &Rollback<'_>, from: SnapshotId) -> Result<Found> {
    let then = Contents::read(connection, request.to)?;
    let now = Contents::read(connection, from)?;
    let in_scope = match request.scope {
        Scope::Table { schema, name } => return find_table(&then, &now, schema, name),
        Scope::Schema(schema) => {
            check_schema(&then, &now, schema)?;
            Some(schema)
        }
        Scope::Lake => None,
    };
    let is_meant = |schema: &str| in_scope.is_none_or(|meant| schema.eq_ignore_ascii_case(meant));
    let (schemas_then, schemas_now) = (then.schemas.clone(), now.schemas.clone());
    let (views_then, tables_then) = then.split(&is_meant);
    let (views_now, tables_now) = now.split(&is_meant);
    let touched = state::touched(connection, request.to)?;
    let is_registry = |pair: &Pair<Relation>| REGISTRY.iter().any(|(schema, name)| pair.is_called(schema, name));
    let may_differ = |pair: &Pair<Relation>| !pair.is_same() || pair.now().is_some_and(|it| touched.contains(&it.id));
    let mut tables = pairs(tables_then, tables_now);
    tables.retain(|pair| !is_registry(pair) && may_differ(pair));
    let lacks = |among: &[String], schema: &String| !among.iter().any(|it| it.eq_ignore_ascii_case(schema));
    let missing = schemas_then.iter().filter(|it| is_meant(it) && lacks(&schemas_now, it)).cloned().collect();
    let is_permanent = |schema: &String| PERMANENT.iter().any(|it| it.eq_ignore_ascii_case(schema));
    let surplus = schemas_now.iter().filter(|it| is_meant(it) && lacks(&schemas_then, it) && !is_permanent(it));
    Ok(Found { tables, views: pairs(views_then, views_now), missing, surplus: surplus.cloned().collect() })
}

fn check_schema(then: &Contents, now: &Contents, schema: &str) -> Result<()> {
    let has = |contents: &Contents| contents.schemas.iter().any(|it| it.eq_ignore_ascii_case(schema));
    match (has(then), has(now)) {
        (true, _) => Ok(()),
        (false, true) => Err(Error::not_found("it does not exist at that snapshot; drop it instead")),
        (false, false) => Err(Error::not_found("it does not exist at that snapshot")),
    }
}

/// The table that the name referred to at the snapshot, and the object that it replaces.
fn find_table(then: &Contents, now: &Contents, schema: &str, name: &str) -> Result<Found> {
    let relation = match state::find(&then.relations, schema, name) {
        Some(relation) if relation.is_view => {
            return Err(Error::unsupported(
                "it is a view at that snapshot, and views are restored only with their schema or the lake",
            ));
        }
        Some(relation) => relation.clone(),
        None if state::find(&now.relations, schema, name).is_some() => {
            return Err(Error::not_found("it does not exist at that snapshot; drop it instead"));
        }
        None => return Err(Error::not_found("it does not exist at that snapshot")),
    };
    let missing = !now.schemas.iter().any(|it| it.eq_ignore_ascii_case(&relation.schema));
    let missing = missing.then(|| relation.schema.clone()).into_iter().collect();
    let pair = match successor(&then.relations, &now.relations, &relation)? {
        Some(now) => Pair::Both { then: relation, now },
        None => Pair::Then(relation),
    };
    Ok(Found { tables: vec![pair], missing, ..Found::default() })
}

/// The object that the table `then` replaces: its current state, or else the object that took its name.
///
/// # Errors
/// `FailedPrecondition` if the name belongs to an object that is not the table's successor: it would be lost.
fn successor(relations_then: &[Relation], relations_now: &[Relation], then: &Relation) -> Result<Option<Relation>> {
    let same = relations_now.iter().find(|it| it.id == then.id && !it.is_view);
    let namesake = state::find(relations_now, &then.schema, &then.name).filter(|it| it.id != then.id);
    let Some(namesake) = namesake else { return Ok(same.cloned()) };
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
    if let Some(before) = relations_then.iter().find(|it| it.id == namesake.id) {
        let before = before.full_name();
        return Err(Error::precondition(format!(
            "\"{name}\" is now the table that was called \"{before}\" at that snapshot; rename it first"
        )));
    }
    Ok(Some(namesake.clone()))
}

// === impl Contents ===

impl Contents {
    fn read(connection: &Connection, at: SnapshotId) -> Result<Self> {
        Ok(Self { relations: state::relations(connection, at)?, schemas: state::schemas(connection, at)? })
    }

    /// The views and tables of the selected schemas.
    fn split(self, is_meant: &dyn Fn(&str) -> bool) -> (Vec<Relation>, Vec<Relation>) {
        let meant = self.relations.into_iter().filter(|relation| is_meant(&relation.schema));
        meant.partition(|relation| relation.is_view)
    }
}

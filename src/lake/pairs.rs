//! Matching the tables of two snapshots.

use std::collections::HashMap;

use super::state::{Relation, TableId};

/// An object in two snapshots.
#[derive(Clone, Debug)]
pub(super) enum Pair<T> {
    /// It exists in the first snapshot only.
    Then(T),
    /// It exists in the second snapshot only.
    Now(T),
    Both {
        then: T,
        now: T,
    },
}

/// Pairs the tables (or views) of two snapshots: first by id, regardless of their names, then by name, for those that were
/// replaced. The others exist on one side only. Ordered by name.
pub(super) fn pairs(then: Vec<Relation>, now: Vec<Relation>) -> Vec<Pair<Relation>> {
    let mut now_by_id: HashMap<TableId, Relation> = now.into_iter().map(|relation| (relation.id, relation)).collect();
    let (mut pairs, mut gone) = (Vec::new(), Vec::new());
    for then in then {
        match now_by_id.remove(&then.id) {
            Some(now) => pairs.push(Pair::Both { then, now }),
            None => gone.push(then),
        }
    }
    let mut now_by_name: HashMap<_, _> = now_by_id.into_values().map(|relation| (key(&relation), relation)).collect();
    for then in gone {
        match now_by_name.remove(&key(&then)) {
            Some(now) => pairs.push(Pair::Both { then, now }),
            None => pairs.push(Pair::Then(then)),
        }
    }
    pairs.extend(now_by_name.into_values().map(Pair::Now));
    pairs.sort_by_key(Pair::name);
    pairs
}

/// The name in the form that DuckDB compares.
fn key(relation: &Relation) -> (String, String) {
    (relation.schema.to_ascii_lowercase(), relation.name.to_ascii_lowercase())
}

// === impl Pair ===

impl<T> Pair<T> {
    pub(super) fn then(&self) -> Option<&T> {
        match self {
            Self::Then(then) | Self::Both { then, .. } => Some(then),
            Self::Now(_) => None,
        }
    }

    pub(super) fn now(&self) -> Option<&T> {
        match self {
            Self::Now(now) | Self::Both { now, .. } => Some(now),
            Self::Then(_) => None,
        }
    }
}

impl Pair<Relation> {
    /// The name for people: now, or else then.
    pub(super) fn name(&self) -> String {
        self.now().or(self.then()).map(Relation::full_name).unwrap_or_default()
    }

    /// The name that it had then, when it has another now.
    pub(super) fn renamed_from(&self) -> Option<String> {
        match self {
            Self::Both { then, now } if then.full_name() != now.full_name() => Some(then.full_name()),
            Self::Then(_) | Self::Now(_) | Self::Both { .. } => None,
        }
    }

    /// Whether both sides are the same table.
    pub(super) fn is_same(&self) -> bool {
        matches!(self, Self::Both { then, now } if then.id == now.id)
    }

    /// Whether it has or had this name.
    pub(super) fn is_called(&self, schema: &str, name: &str) -> bool {
        [self.then(), self.now()].into_iter().flatten().any(|it| it.is_called(schema, name))
    }
}

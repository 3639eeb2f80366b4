//! The columns of both sides, as one list.

use std::collections::HashSet;

use super::side::Side;
use crate::{
    lake::{
        pairs::Pair,
        state::{Column, Definition},
    },
    proto::diff_result::schema_change::Change,
    quote::identifier,
};

/// The columns before those of the table.
pub(super) const OWN: [&str; 2] = ["change", "rowid"];

/// A column of the difference.
#[derive(Clone, Debug)]
pub(super) struct Matched<'a> {
    /// Its name in `to`, or else in `from`; with a number if another column has that name.
    pub(super) name: String,
    pub(super) then: Option<&'a Definition>,
    pub(super) now: Option<&'a Definition>,
    /// How the values of both sides are made comparable.
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// They have the same type.
    Plain,
    /// The older type was widened to this one.
    Widened(String),
    /// Parts of a nested type were added, dropped or renamed: no cast keeps them all.
    Json,
}

/// A difference other than in rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaChange {
    /// The kind of change.
    pub change: Change,
    /// The column's name at `to`, else at `from`; absent for changes of the table itself.
    pub column: Option<String>,
    /// The old state: a name, a type, or a definition.
    pub from: Option<String>,
    /// The new state.
    pub to: Option<String>,
}

/// The columns of both sides: those of `to` in their order, then those that only `from` has. If both sides are the
/// `same` table, columns are matched by id, otherwise by name and type.
pub(super) fn matched(sides: &Pair<Side>, same: bool) -> Vec<Matched<'_>> {
    let mut rest: Vec<_> = sides.then().into_iter().flat_map(|side| side.state.top_level()).collect();
    let now_is_newer = matches!(sides, Pair::Both { then, now } if now.at > then.at);
    let mut taken: HashSet<String> = OWN.map(str::to_owned).into();
    let mut matched = Vec::new();
    for (column, definition) in sides.now().into_iter().flat_map(|side| side.state.top_level()) {
        let is_it = |(old, old_definition): &(&Column, &Definition)| {
            let name_and_type = |it: &Definition| (it.name.to_ascii_lowercase(), it.data_type.clone());
            if same { old.id == column.id } else { name_and_type(old_definition) == name_and_type(definition) }
        };
        let then = rest.iter().position(is_it).map(|at| rest.remove(at).1);
        let kind = match then {
            Some(then) if then.data_type != definition.data_type && column.is_nested() => Kind::Json,
            // Plain types can only be widened.
            Some(then) if then.data_type != definition.data_type => {
                Kind::Widened(if now_is_newer { definition } else { then }.data_type.clone())
            }
            _ => Kind::Plain,
        };
        matched.push(Matched { name: free(&mut taken, &column.name), then, now: Some(definition), kind });
    }
    matched.extend(rest.into_iter().map(|(column, definition)| Matched {
        name: free(&mut taken, &column.name),
        then: Some(definition),
        now: None,
        kind: Kind::Plain,
    }));
    matched
}

/// A name that no column has yet, made unique in the way DuckDB does.
fn free(taken: &mut HashSet<String>, name: &str) -> String {
    let numbered = (1..).map(|number| format!("{name}_{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    // The iterator is infinite.
    names.find(|name| taken.insert(name.to_lowercase())).unwrap_or_default()
}

/// The differences between two tables other than in rows; empty if there is only one table.
pub(super) fn schema_changes(columns: &[Matched<'_>], sides: &Pair<Side>) -> Vec<SchemaChange> {
    let Pair::Both { then, now } = sides else { return Vec::new() };
    let mut changes: Vec<_> = columns.iter().flat_map(Matched::changes).collect();
    let (before, after) = (&then.state.attributes, &now.state.attributes);
    let attributes = [
        (Change::PartitionKeys, before.partition_keys != after.partition_keys),
        (Change::SortKeys, before.sort_keys != after.sort_keys),
        (Change::Comments, before.comments != after.comments),
    ];
    let differing = attributes.into_iter().filter(|(_, differs)| *differs);
    changes.extend(differing.map(|(change, _)| SchemaChange { change, column: None, from: None, to: None }));
    changes
}

// === impl Matched ===

impl Matched<'_> {
    /// The SQL expression of its value on the side that `definition` is of, if any.
    pub(super) fn value(&self, definition: Option<&Definition>) -> String {
        let Some(definition) = definition else {
            let data_type = self.then.or(self.now).map_or("INTEGER", |other| other.data_type.as_str());
            return format!("CAST(NULL AS {data_type})");
        };
        let column = identifier(&definition.name);
        match &self.kind {
            Kind::Plain => column,
            Kind::Widened(data_type) => format!("CAST({column} AS {data_type})"),
            Kind::Json => format!("to_json({column})"),
        }
    }

    fn changes(&self) -> Vec<SchemaChange> {
        let name = self.now.or(self.then).map(|it| it.name.clone());
        let change =
            |change, from: Option<String>, to: Option<String>| SchemaChange { change, column: name.clone(), from, to };
        let (then, now) = match (self.then, self.now) {
            (Some(then), Some(now)) => (then, now),
            (Some(then), None) => return vec![change(Change::Dropped, Some(then.data_type.clone()), None)],
            (None, now) => return vec![change(Change::Added, None, now.map(|it| it.data_type.clone()))],
        };
        let pairs = [
            (Change::Renamed, then.name.clone(), now.name.clone()),
            (Change::Retyped, then.data_type.clone(), now.data_type.clone()),
            (Change::Altered, constraints(then), constraints(now)),
        ];
        let differing = pairs.into_iter().filter(|(_, from, to)| from != to);
        differing.map(|(what, from, to)| change(what, Some(from), Some(to))).collect()
    }
}

fn constraints(definition: &Definition) -> String {
    let not_null = definition.not_null.then(|| "NOT NULL".to_owned());
    let default = definition.default_sql.as_ref().map(|sql| format!("DEFAULT {sql}"));
    not_null.into_iter().chain(default).collect::<Vec<_>>().join(" ")
}

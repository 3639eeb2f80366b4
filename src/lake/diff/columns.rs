//! The columns of both sides, as one list.

use std::collections::HashSet;

use super::side::Side;
use crate::{
    lake::{
        pairs::Pair,
        state::{Column, Definition},
    },
    quote::identifier,
};

/// The columns that stand before those of the table.
pub(super) const OWN: [&str; 2] = ["change", "rowid"];

/// A column of the difference.
#[derive(Clone, Debug)]
pub(super) struct Matched<'a> {
    /// Its name: that of `to`, else that of `from`; with a number when another column has it.
    pub(super) name: String,
    pub(super) then: Option<&'a Definition>,
    pub(super) now: Option<&'a Definition>,
    /// How both sides' values become comparable.
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// They are of one type.
    Plain,
    /// The older type became this wider one.
    Widened(String),
    /// Parts of a nested type came, went or changed their names: no cast keeps them all.
    Json,
}

/// Something that differs besides rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaChange {
    /// What was done: `added`, `dropped`, `renamed`, `retyped`, `altered` (NOT NULL or the default) to a column;
    /// `partition_keys`, `sort_keys` or `comments` of the table.
    pub change: &'static str,
    /// The column's name at `to`, else at `from`; absent for what belongs to the table.
    pub column: Option<String>,
    /// What it was: a name, a type, or a definition.
    pub from: Option<String>,
    /// What it is.
    pub to: Option<String>,
}

/// The columns of both sides: those of `to` in their order, then those that only `from` has. With `same` table they are
/// matched by id, else by name and type.
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
            // Plain types only ever become wider.
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

/// A name that no column has yet: DuckDB's way to tell columns of one name apart.
fn free(taken: &mut HashSet<String>, name: &str) -> String {
    let numbered = (1..).map(|number| format!("{name}_{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    // The names never end.
    names.find(|name| taken.insert(name.to_lowercase())).unwrap_or_default()
}

/// What differs between two tables besides their rows; nothing where there is one table only.
pub(super) fn schema_changes(columns: &[Matched<'_>], sides: &Pair<Side>) -> Vec<SchemaChange> {
    let Pair::Both { then, now } = sides else { return Vec::new() };
    let mut changes: Vec<_> = columns.iter().flat_map(Matched::changes).collect();
    let (before, after) = (&then.state.attributes, &now.state.attributes);
    let attributes = [
        ("partition_keys", before.partition_keys != after.partition_keys),
        ("sort_keys", before.sort_keys != after.sort_keys),
        ("comments", before.comments != after.comments),
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
            (Some(then), None) => return vec![change("dropped", Some(then.data_type.clone()), None)],
            (None, now) => return vec![change("added", None, now.map(|it| it.data_type.clone()))],
        };
        let pairs = [
            ("renamed", then.name.clone(), now.name.clone()),
            ("retyped", then.data_type.clone(), now.data_type.clone()),
            ("altered", constraints(then), constraints(now)),
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

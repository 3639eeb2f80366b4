//! Views: those that differ are dropped before the tables, and are created again once everything that they read exists.

use serde::Deserialize;

use super::{outcome::Restored, remake::Text};
use crate::{
    engine::{Connection, Value},
    error::{Context, Result},
    ids::SnapshotId,
    lake::{
        CATALOG, METADATA,
        pairs::Pair,
        state::{Relation, visible},
    },
    proto::rollback_result::{Kind, table::Change},
    quote::{identifier, literal},
};

/// DuckLake's placeholder for its own name in the definition of a view.
const CATALOG_PLACEHOLDER: &str = "{DUCKLAKE_CATALOG}";

/// The change of one view: it is dropped, created, or both.
#[derive(Debug)]
pub(super) struct ViewPlan {
    sides: Pair<View>,
}

/// A view in a snapshot.
#[derive(Clone, Debug)]
struct View {
    relation: Relation,
    definition: Definition,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Definition {
    sql: String,
    /// The column names for CREATE VIEW; empty if the query names them.
    column_aliases: String,
    comment: Option<String>,
}

/// Plans the changes of the views that differ.
pub(super) fn plan(
    connection: &Connection,
    pairs: &[Pair<Relation>],
    from: SnapshotId,
    to: SnapshotId,
) -> Result<Vec<ViewPlan>> {
    let mut plans = Vec::new();
    for pair in pairs {
        let sides = match pair {
            Pair::Then(then) => Pair::Then(View::read(connection, then, to)?),
            Pair::Now(now) => Pair::Now(View::read(connection, now, from)?),
            Pair::Both { then, now } => {
                Pair::Both { then: View::read(connection, then, to)?, now: View::read(connection, now, from)? }
            }
        };
        let is_equal = match &sides {
            Pair::Both { then, now } => pair.renamed_from().is_none() && then.definition == now.definition,
            Pair::Then(_) | Pair::Now(_) => false,
        };
        plans.extend((!is_equal).then_some(ViewPlan { sides }));
    }
    Ok(plans)
}

/// Drops the current versions of the views.
pub(super) fn drop(connection: &Connection, views: &[ViewPlan]) -> Result<()> {
    let now = views.iter().filter_map(|view| view.sides.now());
    now.map(|view| format!("DROP VIEW {}", view.relation.path()))
        .try_for_each(|sql| connection.execute(&sql, &[]).map(|_| ()))
}

// === impl ViewPlan ===

impl ViewPlan {
    pub(super) fn report(&self) -> Restored {
        let (name, change) = match &self.sides {
            Pair::Now(now) => (now.relation.full_name(), Change::Dropped),
            Pair::Then(then) | Pair::Both { then, .. } => (then.relation.full_name(), Change::Recreated),
        };
        let renamed_from = match &self.sides {
            Pair::Both { then, now } if then.relation.full_name() != now.relation.full_name() => {
                Some(now.relation.full_name())
            }
            Pair::Then(_) | Pair::Now(_) | Pair::Both { .. } => None,
        };
        Restored { kind: Kind::View, name, renamed_from, change, rows_deleted: 0, rows_inserted: 0 }
    }

    /// The definition to restore.
    pub(super) fn text(&self) -> Option<Text> {
        self.sides.then().map(View::text)
    }
}

// === impl View ===

impl View {
    fn read(connection: &Connection, relation: &Relation, at: SnapshotId) -> Result<Self> {
        let sql = format!(
            "SELECT v.sql, coalesce(v.column_aliases, '') AS column_aliases, \
             (SELECT t.value FROM {METADATA}.ducklake_tag t \
              WHERE t.object_id = v.view_id AND t.key = 'comment' AND {}) AS comment \
             FROM {METADATA}.ducklake_view v WHERE v.view_id = ? AND {}",
            visible("t", at),
            visible("v", at)
        );
        let definition = connection
            .record(&sql, &[Value::bigint(relation.id.0)])
            .context(|| format!("read the view \"{}\"", relation.full_name()))?;
        Ok(Self { relation: relation.clone(), definition })
    }

    fn text(&self) -> Text {
        let Definition { sql, column_aliases, comment } = &self.definition;
        let path = self.relation.path();
        let aliases = if column_aliases.is_empty() { String::new() } else { format!(" ({column_aliases})") };
        let sql = sql.replace(CATALOG_PLACEHOLDER, &identifier(CATALOG));
        let create = format!("CREATE VIEW {path}{aliases} AS {sql}");
        let comment = comment.iter().map(|comment| format!("COMMENT ON VIEW {path} IS {}", literal(comment)));
        Text {
            what: format!("view \"{}\"", self.relation.full_name()),
            // Unqualified names are resolved in the schema of the view, or in the default schema.
            search_path: vec![self.relation.schema_path(), format!("{CATALOG}.main")],
            statements: [create].into_iter().chain(comment).collect(),
        }
    }
}

//! The query for the rows that differ.

use super::{columns::Matched, side::Side};
use crate::{
    lake::{pairs::Pair, state::Definition},
    quote::{identifier, literal},
};

/// The query for the rows that differ: `change`, `rowid`, and the columns of both sides.
///
/// Rows are first paired by their ids, if both sides are the `same` table: equal pairs are no change. Of the others,
/// deleted and inserted rows with equal values cancel out; a rollback or a rewrite produces these. Equal means equal as
/// value and as text: SQL treats `INTERVAL 1 MONTH` as equal to `INTERVAL 30 DAY`, and 0.0 to -0.0.
pub(super) fn query(columns: &[Matched<'_>], sides: &Pair<Side>, same: bool) -> String {
    let (then, now) = match sides {
        Pair::Then(then) => return one_sided("delete", columns, then),
        Pair::Now(now) => return one_sided("insert", columns, now),
        Pair::Both { then, now } => (then, now),
    };
    let by_id = same && !then.state.hides_row_versions() && !now.state.hides_row_versions();
    let (only_then, only_now) = if by_id { written_since(then, now) } else { (String::new(), String::new()) };
    let old = rows_of(then, columns, |column| column.then, &only_then);
    let new = rows_of(now, columns, |column| column.now, &only_now);
    let pairs = if by_id {
        "SELECT coalesce(o.id, n.id) AS id, o.r AS old, n.r AS new FROM old_rows o FULL JOIN new_rows n ON o.id = n.id"
    } else {
        "SELECT id, r AS old, NULL AS new FROM old_rows UNION ALL SELECT id, NULL, r FROM new_rows"
    };
    format!(
        "WITH old_rows AS ({old}),
new_rows AS ({new}),
pairs AS ({pairs}),
differing AS (
  FROM pairs WHERE old IS DISTINCT FROM new OR old::VARCHAR IS DISTINCT FROM new::VARCHAR),
moved AS (SELECT *, coalesce(old, new) AS r FROM differing WHERE old IS NULL OR new IS NULL),
net AS (
  FROM differing WHERE old IS NOT NULL AND new IS NOT NULL
  UNION ALL
  SELECT id, old, new FROM moved
  WINDOW same_rows AS (PARTITION BY r, r::VARCHAR)
  QUALIFY system.main.row_number() OVER (PARTITION BY r, r::VARCHAR, old IS NULL ORDER BY id)
    > system.main.least(system.main.count(old) OVER same_rows, system.main.count(new) OVER same_rows))
SELECT change, id AS rowid, r.* FROM (
  SELECT id, system.main.unnest(CASE
    WHEN old IS NULL THEN [{{'change': 'insert', 'r': new}}]
    WHEN new IS NULL THEN [{{'change': 'delete', 'r': old}}]
    ELSE [{{'change': 'update_preimage', 'r': old}}, {{'change': 'update_postimage', 'r': new}}] END, max_depth := 2)
  FROM net)"
    )
}

/// All rows of the only side.
fn one_sided(change: &str, columns: &[Matched<'_>], side: &Side) -> String {
    let values = columns.iter().map(|column| {
        let value = column.value(column.then.or(column.now));
        format!(", {value} AS {}", identifier(&column.name))
    });
    let (id, values) = (side.row_id(), values.collect::<String>());
    format!("SELECT '{change}' AS change, {id} AS rowid{values}\nFROM {}", side.table())
}

/// The conditions for the rows that exist in different versions on the two sides: rows on the newer side that were
/// written up to the older side's snapshot are common to both.
fn written_since(then: &Side, now: &Side) -> (String, String) {
    let (older, newer) = if then.at <= now.at { (then, now) } else { (now, then) };
    let (table, at) = (newer.table(), older.at);
    let gone = format!(" WHERE rowid NOT IN (SELECT rowid FROM {table} WHERE snapshot_id <= {at})");
    let come = format!(" WHERE snapshot_id > {at}");
    if then.at <= now.at { (gone, come) } else { (come, gone) }
}

/// The query for the rows of one side, each as one value `r`.
fn rows_of<'a>(
    side: &Side,
    columns: &[Matched<'a>],
    of: fn(&Matched<'a>) -> Option<&'a Definition>,
    condition: &str,
) -> String {
    let field = |column: &Matched<'a>| format!("{}: {}", literal(&column.name), column.value(of(column)));
    let fields: Vec<_> = columns.iter().map(field).collect();
    format!("SELECT {} AS id, {{{}}} AS r FROM {}{condition}", side.row_id(), fields.join(", "), side.table())
}

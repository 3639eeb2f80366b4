//! The state of the lake at a snapshot according to DuckLake's own tables: tables with columns, keys and comments.
//!
//! The rows of these tables contain the range of snapshots in which they are valid. Every query here specifies its
//! snapshot, so that a concurrent commit is not visible.

use std::collections::HashSet;

use serde::Deserialize;

use crate::{
    engine::{Connection, Value},
    error::Result,
    ids::SnapshotId,
    lake::{CATALOG, METADATA},
    quote::identifier,
};

/// DuckLake's id of a table. It survives renames; a table that is created again has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct TableId(pub i64);

/// A table or view in a snapshot.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Relation {
    pub(super) id: TableId,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) is_view: bool,
}

/// Everything a snapshot contains about a table except its rows.
#[derive(Clone, Debug)]
pub(super) struct TableState {
    pub(super) relation: Relation,
    pub(super) columns: Vec<Column>,
    pub(super) definitions: Vec<Definition>,
    pub(super) attributes: Attributes,
}

/// A column or, with a parent, a part of one. Two snapshots have the same columns if all of this is equal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Column {
    /// Survives renames; a column that is created again has a new one.
    pub(super) id: i64,
    pub(super) parent: Option<i64>,
    position: i64,
    pub(super) name: String,
    data_type: String,
    nulls_allowed: bool,
    default_value: Option<String>,
    default_kind: Option<String>,
}

/// The attributes that can be changed without touching columns or rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) partition_keys: Vec<PartitionKey>,
    pub(super) sort_keys: Vec<SortKey>,
    pub(super) comments: Vec<Comment>,
}

/// One part of the partition key of a table's files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct PartitionKey {
    pub(super) column_name: String,
    pub(super) transform: String,
}

/// One part of the sort key of a table's files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct SortKey {
    pub(super) expression: String,
    pub(super) sort_direction: String,
    pub(super) null_order: String,
}

/// The comment on a column or, without one, on the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Comment {
    pub(super) column_name: Option<String>,
    pub(super) text: String,
}

/// A column in the form that `CREATE TABLE` needs: complete types, and defaults as expressions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) data_type: String,
    pub(super) not_null: bool,
    pub(super) default_sql: Option<String>,
}

/// The tables and views in snapshot `at`.
pub(super) fn relations(connection: &Connection, at: SnapshotId) -> Result<Vec<Relation>> {
    let (in_schema, in_table, in_view) = (visible("s", at), visible("t", at), visible("v", at));
    let sql = format!(
        "SELECT t.table_id AS id, s.schema_name AS schema, t.table_name AS name, false AS is_view \
         FROM {METADATA}.ducklake_table t JOIN {METADATA}.ducklake_schema s USING (schema_id) \
         WHERE {in_table} AND {in_schema} \
         UNION ALL \
         SELECT v.view_id, s.schema_name, v.view_name, true \
         FROM {METADATA}.ducklake_view v JOIN {METADATA}.ducklake_schema s USING (schema_id) \
         WHERE {in_view} AND {in_schema}"
    );
    connection.records(&sql, &[])
}

/// The schemas in snapshot `at`.
pub(super) fn schemas(connection: &Connection, at: SnapshotId) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Row {
        name: String,
    }
    let sql = format!(
        "SELECT s.schema_name AS name FROM {METADATA}.ducklake_schema s WHERE {} ORDER BY s.schema_name",
        visible("s", at)
    );
    let rows: Vec<Row> = connection.records(&sql, &[])?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// The relation that this name refers to in SQL.
pub(super) fn find<'a>(relations: &'a [Relation], schema: &str, name: &str) -> Option<&'a Relation> {
    relations.iter().find(|it| it.is_called(schema, name))
}

/// The tables that may have changed in any way, rows or not, after snapshot `since`.
pub(super) fn touched(connection: &Connection, since: SnapshotId) -> Result<HashSet<TableId>> {
    #[derive(Deserialize)]
    struct Found {
        id: TableId,
    }
    let changed = format!("begin_snapshot > {since} OR end_snapshot > {since}");
    let with_table_id =
        ["table", "column", "column_tag", "partition_info", "sort_info"].map(|name| ("table_id", name, String::new()));
    // Merged files contain rows of several snapshots.
    let files = ["data_file", "delete_file"].map(|name| ("table_id", name, format!(" OR partial_max > {since}")));
    let tags = [("object_id", "tag", String::new())];
    let parts = with_table_id.iter().chain(&files).chain(&tags);
    let parts = parts
        .map(|(id, name, more)| format!("SELECT {id} AS id FROM {METADATA}.ducklake_{name} WHERE {changed}{more}"));
    let found: Vec<Found> = connection.records(&parts.collect::<Vec<_>>().join(" UNION "), &[])?;
    Ok(found.into_iter().map(|found| found.id).collect())
}

/// Whether columns, keys or comments of the table changed after snapshot `since`.
pub(super) fn shape_changed(connection: &Connection, id: TableId, since: SnapshotId) -> Result<bool> {
    #[derive(Deserialize)]
    struct Found {
        changed: bool,
    }
    let by_table = ["column", "column_tag", "partition_info", "sort_info"].map(|name| ("table_id", name));
    let parts = by_table.into_iter().chain([("object_id", "tag")]);
    let parts = parts.map(|(column, name)| {
        format!("SELECT begin_snapshot, end_snapshot FROM {METADATA}.ducklake_{name} WHERE {column} = {}", id.0)
    });
    let sql = format!(
        "SELECT system.main.count(*) > 0 AS changed FROM ({}) WHERE begin_snapshot > {since} OR end_snapshot > {since}",
        parts.collect::<Vec<_>>().join(" UNION ALL ")
    );
    connection.record(&sql, &[]).map(|found: Found| found.changed)
}

/// Whether files of the table were added or removed after snapshot `since`. If not, its rows are those of that
/// snapshot: the lake keeps no rows outside files (`sql/00_attach.sql` disables inlining).
pub(super) fn files_changed(connection: &Connection, id: TableId, since: SnapshotId) -> Result<bool> {
    #[derive(Deserialize)]
    struct Found {
        changed: bool,
    }
    let columns = "table_id, begin_snapshot, end_snapshot, partial_max";
    let sql = format!(
        "SELECT system.main.count(*) > 0 AS changed FROM (SELECT {columns} FROM {METADATA}.ducklake_data_file \
         UNION ALL SELECT {columns} FROM {METADATA}.ducklake_delete_file) \
         WHERE table_id = {} AND (begin_snapshot > {since} OR end_snapshot > {since} OR partial_max > {since})",
        id.0
    );
    connection.record(&sql, &[]).map(|found: Found| found.changed)
}

/// The SQL condition that the row with alias `alias` of one of DuckLake's tables is valid at snapshot `at`.
pub(super) fn visible(alias: &str, at: SnapshotId) -> String {
    format!("{at} >= {alias}.begin_snapshot AND ({alias}.end_snapshot IS NULL OR {at} < {alias}.end_snapshot)")
}

// === impl Relation ===

impl Relation {
    /// The name in SQL.
    pub(super) fn path(&self) -> String {
        format!("{CATALOG}.{}.{}", identifier(&self.schema), identifier(&self.name))
    }

    /// The name of its schema in SQL.
    pub(super) fn schema_path(&self) -> String {
        format!("{CATALOG}.{}", identifier(&self.schema))
    }

    /// Whether this name refers to it in SQL: DuckDB ignores the case of ASCII letters.
    pub(super) fn is_called(&self, schema: &str, name: &str) -> bool {
        self.schema.eq_ignore_ascii_case(schema) && self.name.eq_ignore_ascii_case(name)
    }

    /// The name for messages.
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

// === impl Column ===

impl Column {
    /// Whether it has parts.
    pub(super) fn is_nested(&self) -> bool {
        matches!(self.data_type.as_str(), "struct" | "list" | "map")
    }
}

// === impl TableState ===

impl TableState {
    /// Reads the state of `relation` at snapshot `at`.
    pub(super) fn read(connection: &Connection, relation: &Relation, at: SnapshotId) -> Result<Self> {
        let id = relation.id;
        let attributes = Attributes {
            partition_keys: partition_keys(connection, id, at)?,
            sort_keys: sort_keys(connection, id, at)?,
            comments: comments(connection, id, at)?,
        };
        let columns = columns(connection, id, at)?;
        let definitions = definitions(connection, relation, at)?;
        Ok(Self { relation: relation.clone(), columns, definitions, attributes })
    }

    /// Whether a table created from this state would differ from `other` in its name and rows only.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.definitions == other.definitions && self.attributes == other.attributes
    }

    /// The columns without their parts, each with its definition.
    pub(super) fn top_level(&self) -> impl Iterator<Item = (&Column, &Definition)> {
        let find = |name: &str| self.definitions.iter().find(|it| it.name == name);
        let columns = self.columns.iter().filter(|column| column.parent.is_none());
        columns.filter_map(move |column| Some((column, find(&column.name)?)))
    }

    /// Whether a column hides DuckLake's virtual columns, which identify row versions.
    pub(super) fn hides_row_versions(&self) -> bool {
        self.has_column("rowid") || self.has_column("snapshot_id")
    }

    /// Whether a column has this name. Such a column hides DuckLake's virtual column of the same name.
    pub(super) fn has_column(&self, name: &str) -> bool {
        self.top_level().any(|(column, _)| column.name.eq_ignore_ascii_case(name))
    }
}

fn definitions(connection: &Connection, relation: &Relation, at: SnapshotId) -> Result<Vec<Definition>> {
    let path = relation.path();
    let sql = format!(
        "SELECT column_name AS name, column_type AS data_type, \"null\" = 'NO' AS not_null, \"default\" AS default_sql \
         FROM (DESCRIBE SELECT * FROM {path} AT (VERSION => {at}))"
    );
    connection.records(&sql, &[])
}

fn columns(connection: &Connection, id: TableId, at: SnapshotId) -> Result<Vec<Column>> {
    let visible = visible("c", at);
    // SQLite has no BOOLEAN.
    let sql = format!(
        "SELECT column_id AS id, parent_column AS parent, column_order AS position, column_name AS name, \
         column_type AS data_type, nulls_allowed::BOOLEAN AS nulls_allowed, default_value, default_value_type AS default_kind \
         FROM {METADATA}.ducklake_column c WHERE table_id = ? AND {visible} \
         ORDER BY column_order, column_id"
    );
    connection.records(&sql, &[Value::bigint(id.0)])
}

fn partition_keys(connection: &Connection, id: TableId, at: SnapshotId) -> Result<Vec<PartitionKey>> {
    let sql = format!(
        "SELECT c.column_name, k.transform FROM {METADATA}.ducklake_partition_info p \
         JOIN {METADATA}.ducklake_partition_column k ON k.partition_id = p.partition_id \
         JOIN {METADATA}.ducklake_column c ON c.table_id = p.table_id AND c.column_id = k.column_id \
         WHERE p.table_id = ? AND {} AND {} ORDER BY k.partition_key_index",
        visible("p", at),
        visible("c", at)
    );
    connection.records(&sql, &[Value::bigint(id.0)])
}

fn sort_keys(connection: &Connection, id: TableId, at: SnapshotId) -> Result<Vec<SortKey>> {
    let visible = visible("i", at);
    let sql = format!(
        "SELECT e.expression, e.sort_direction, e.null_order FROM {METADATA}.ducklake_sort_info i \
         JOIN {METADATA}.ducklake_sort_expression e ON e.sort_id = i.sort_id \
         WHERE i.table_id = ? AND {visible} ORDER BY e.sort_key_index"
    );
    connection.records(&sql, &[Value::bigint(id.0)])
}

fn comments(connection: &Connection, id: TableId, at: SnapshotId) -> Result<Vec<Comment>> {
    // A removed comment remains as a row with a NULL comment.
    let sql = format!(
        "SELECT NULL AS column_name, t.value AS text FROM {METADATA}.ducklake_tag t \
         WHERE t.object_id = ? AND t.key = 'comment' AND t.value IS NOT NULL AND {} \
         UNION ALL \
         SELECT c.column_name, t.value FROM {METADATA}.ducklake_column_tag t \
         JOIN {METADATA}.ducklake_column c ON c.table_id = t.table_id AND c.column_id = t.column_id \
         WHERE t.table_id = ? AND t.key = 'comment' AND t.value IS NOT NULL AND {} AND {} \
         ORDER BY ALL",
        visible("t", at),
        visible("t", at),
        visible("c", at)
    );
    connection.records(&sql, &[Value::bigint(id.0), Value::bigint(id.0)])
}

//! Macros: those that differ are dropped before the tables, and are created again once everything that they read
//! exists.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{outcome::Restored, remake::Text, request::Scope};
use crate::{
    engine::Connection,
    error::{Error, Result},
    ids::SnapshotId,
    lake::{
        CATALOG, METADATA,
        pairs::Pair,
        state::{self, visible},
    },
    proto::rollback_result::{Kind, table::Change},
    quote::{identifier, literal},
};

/// DuckLake's name for an unspecified type.
const UNKNOWN: &str = "unknown";

/// The change of one macro: it is dropped, created, or both.
#[derive(Debug)]
pub(super) struct MacroPlan {
    sides: Pair<Macro>,
    /// How it is created, if it is.
    text: Option<Text>,
}

/// A macro in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Macro {
    schema: String,
    name: String,
    is_table: bool,
    /// One for each number of parameters.
    forms: Vec<Form>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Form {
    /// An expression, or a query.
    body: String,
    /// `None` if it has no parameters.
    parameters: Option<Vec<Parameter>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Parameter {
    name: String,
    data_type: String,
    default_value: String,
    /// Unknown if there is no default.
    default_type: String,
}

/// Plans the changes of the macros that differ; the schemas `missing` will be created. A rollback of a table does not
/// affect macros.
///
/// # Errors
/// `FailedPrecondition` for a macro that cannot be created from what DuckLake stores of it.
pub(super) fn plan(
    connection: &Connection,
    scope: Scope<'_>,
    from: SnapshotId,
    to: SnapshotId,
    missing: &[String],
) -> Result<Vec<MacroPlan>> {
    let in_scope = match scope {
        Scope::Table { .. } => return Ok(Vec::new()),
        Scope::Schema(schema) => format!("lower(s.schema_name) = lower({})", literal(schema)),
        Scope::Lake => "true".to_owned(),
    };
    let (mut now, mut pairs) = (read(connection, &in_scope, from)?, Vec::new());
    for (key, then) in read(connection, &in_scope, to)? {
        match now.remove(&key) {
            Some(now) if now == then => {}
            Some(now) => pairs.push(Pair::Both { then, now }),
            None => pairs.push(Pair::Then(then)),
        }
    }
    pairs.extend(now.into_values().map(Pair::Now));
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    // A macro's definition does not specify the schemas of its names: they are the caller's. Others may have been
    // dropped.
    let now = state::schemas(connection, from)?;
    let then = state::schemas(connection, to)?.into_iter().filter(|it| now.contains(it) || missing.contains(it));
    let search_path: Vec<_> = then.map(|schema| schema_path(&schema)).collect();
    let plan = |sides: Pair<Macro>| {
        let text = sides.then().map(|then| then.text(&search_path)).transpose()?;
        Ok(MacroPlan { sides, text })
    };
    pairs.into_iter().map(plan).collect()
}

/// Drops the current versions of the macros.
pub(super) fn drop(connection: &Connection, macros: &[MacroPlan]) -> Result<()> {
    let mut now = macros.iter().filter_map(|it| it.sides.now());
    now.try_for_each(|it| {
        let kind = if it.is_table { "MACRO TABLE" } else { "MACRO" };
        connection.execute(&format!("DROP {kind} {}", it.path()), &[]).map(|_| ())
    })
}

/// The macros in snapshot `at`, by their identity.
fn read(connection: &Connection, in_scope: &str, at: SnapshotId) -> Result<BTreeMap<(String, String, bool), Macro>> {
    let sql = format!(
        "SELECT s.schema_name AS schema, m.macro_name AS name, i.type = 'table' AS is_table, \
         system.main.list({{body: i.sql, parameters: \
          (SELECT system.main.list({{name: p.parameter_name, data_type: p.parameter_type, \
                         default_value: p.default_value, default_type: p.default_value_type}} ORDER BY p.column_id) \
           FROM {METADATA}.ducklake_macro_parameters p \
           WHERE p.macro_id = i.macro_id AND p.impl_id = i.impl_id)}} ORDER BY i.impl_id) AS forms \
         FROM {METADATA}.ducklake_macro m JOIN {METADATA}.ducklake_macro_impl i USING (macro_id) \
         JOIN {METADATA}.ducklake_schema s USING (schema_id) \
         WHERE i.dialect = 'duckdb' AND {in_scope} AND {} AND {} GROUP BY m.macro_id, s.schema_name, m.macro_name, i.type",
        visible("m", at),
        visible("s", at)
    );
    let macros: Vec<Macro> = connection.records(&sql, &[])?;
    let key = |it: &Macro| (it.schema.to_ascii_lowercase(), it.name.to_ascii_lowercase(), it.is_table);
    Ok(macros.into_iter().map(|it| (key(&it), it)).collect())
}

fn schema_path(schema: &str) -> String {
    format!("{CATALOG}.{}", identifier(schema))
}

/// The SQL name of a type that DuckLake calls `name`; `None` if none was specified.
///
/// # Errors
/// `FailedPrecondition` for nested types, whose parts DuckLake does not store.
fn sql_type(name: &str) -> Result<Option<&str>> {
    Ok(Some(match name {
        UNKNOWN => return Ok(None),
        "list" | "struct" | "map" => {
            return Err(Error::precondition(format!("DuckLake does not store the parts of its parameter's {name}")));
        }
        "int8" => "TINYINT",
        "int16" => "SMALLINT",
        "int32" => "INTEGER",
        "int64" => "BIGINT",
        "int128" => "HUGEINT",
        "uint8" => "UTINYINT",
        "uint16" => "USMALLINT",
        "uint32" => "UINTEGER",
        "uint64" => "UBIGINT",
        "uint128" => "UHUGEINT",
        "float32" => "FLOAT",
        "float64" => "DOUBLE",
        same => same,
    }))
}

// === impl MacroPlan ===

impl MacroPlan {
    pub(super) fn report(&self) -> Restored {
        let (it, change) = match &self.sides {
            Pair::Now(now) => (now, Change::Dropped),
            Pair::Then(then) | Pair::Both { then, .. } => (then, Change::Recreated),
        };
        let name = it.full_name();
        Restored { kind: Kind::Macro, name, renamed_from: None, change, rows_deleted: 0, rows_inserted: 0 }
    }

    /// The definition to restore.
    pub(super) fn text(&self) -> Option<Text> {
        self.text.clone()
    }
}

// === impl Macro ===

impl Macro {
    /// The name in SQL.
    fn path(&self) -> String {
        format!("{}.{}", schema_path(&self.schema), identifier(&self.name))
    }

    /// The name for messages.
    fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    fn text(&self, search_path: &[String]) -> Result<Text> {
        let what = format!("macro \"{}\"", self.full_name());
        let forms = self.forms.iter().map(|form| form.sql(self.is_table)).collect::<Result<Vec<_>>>();
        let forms = forms.map_err(|err| err.context(format_args!("make the {what}")))?;
        let search_path = [schema_path(&self.schema)].into_iter().chain(search_path.iter().cloned());
        Ok(Text {
            what,
            search_path: search_path.collect(),
            statements: vec![format!("CREATE MACRO {}{}", self.path(), forms.join(", "))],
        })
    }
}

// === impl Form ===

impl Form {
    /// `(a, b := 1) AS a + b`.
    fn sql(&self, is_table: bool) -> Result<String> {
        let parameters = self.parameters.iter().flatten().map(Parameter::sql).collect::<Result<Vec<_>>>()?.join(", ");
        let body = &self.body;
        Ok(if is_table { format!("({parameters}) AS TABLE ({body})") } else { format!("({parameters}) AS {body}") })
    }
}

// === impl Parameter ===

impl Parameter {
    fn sql(&self) -> Result<String> {
        let mut sql = identifier(&self.name);
        if let Some(data_type) = sql_type(&self.data_type)? {
            sql += &format!(" {data_type}");
        }
        if let Some(default_type) = sql_type(&self.default_type)? {
            sql += &format!(" := CAST({} AS {default_type})", literal(&self.default_value));
        }
        Ok(sql)
    }
}

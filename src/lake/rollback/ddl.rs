//! The SQL that gives a table its columns, keys and comments.

use crate::{
    lake::state::{Attributes, Comment, Definition, PartitionKey, SortKey},
    quote::{identifier, literal},
};

/// The statement that creates a table. It includes NOT NULL and DEFAULT because DuckLake rejects SET NOT NULL on a
/// table of the same transaction.
pub(super) fn create_table(path: &str, definitions: &[Definition]) -> String {
    let columns: Vec<_> = definitions.iter().map(column).collect();
    format!("CREATE TABLE {path} ({})", columns.join(", "))
}

/// The statements that turn the attributes `from` into `to`; none when they are equal.
pub(super) fn alter(path: &str, from: &Attributes, to: &Attributes) -> Vec<String> {
    let mut statements = Vec::new();
    if from.partition_keys != to.partition_keys {
        let keys: Vec<_> = to.partition_keys.iter().map(partition_key).collect();
        statements.push(set_or_reset(path, "PARTITIONED BY", &keys));
    }
    if from.sort_keys != to.sort_keys {
        let keys: Vec<_> = to.sort_keys.iter().map(sort_key).collect();
        statements.push(set_or_reset(path, "SORTED BY", &keys));
    }
    let had = |list: &[Comment], comment: &Comment| list.iter().any(|it| it.column_name == comment.column_name);
    let gone = from.comments.iter().filter(|comment| !had(&to.comments, comment));
    statements.extend(gone.map(|gone| comment_on(path, gone.column_name.as_deref(), "NULL")));
    let differing = to.comments.iter().filter(|comment| !from.comments.contains(comment));
    statements.extend(differing.map(|new| comment_on(path, new.column_name.as_deref(), &literal(&new.text))));
    statements
}

fn column(definition: &Definition) -> String {
    let name = identifier(&definition.name);
    let not_null = if definition.not_null { " NOT NULL" } else { "" };
    let default = definition.default_sql.as_ref().map(|sql| format!(" DEFAULT {sql}")).unwrap_or_default();
    format!("{name} {}{not_null}{default}", definition.data_type)
}

fn set_or_reset(path: &str, what: &str, keys: &[String]) -> String {
    if keys.is_empty() {
        return format!("ALTER TABLE {path} RESET {what}");
    }
    format!("ALTER TABLE {path} SET {what} ({})", keys.join(", "))
}

/// `identity` and `bucket(8)` are DuckLake's notation for `c` and `bucket(8, c)`; the others are names of functions.
fn partition_key(key: &PartitionKey) -> String {
    let column = identifier(&key.column_name);
    match key.transform.strip_suffix(')') {
        Some(bucket) => format!("{bucket}, {column})"),
        None if key.transform == "identity" => column,
        None => format!("{}({column})", key.transform),
    }
}

fn sort_key(key: &SortKey) -> String {
    format!("{} {} {}", key.expression, key.sort_direction, key.null_order.replace('_', " "))
}

fn comment_on(path: &str, column: Option<&str>, text: &str) -> String {
    match column {
        Some(column) => format!("COMMENT ON COLUMN {path}.{} IS {text}", identifier(column)),
        None => format!("COMMENT ON TABLE {path} IS {text}"),
    }
}

//! `merganser diff`.

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure,
    action::{Call, named, print_rows, without_nulls},
    output,
};

/// Compare the tables, columns and rows of two snapshots
///
/// Changes that were undone in between are not shown. Snapshots are specified by version, tag or timestamp.
#[derive(Debug, Args)]
pub struct Diff {
    /// The table, as schema.name [default: all tables]
    table: Option<String>,
    /// The earlier snapshot [default: the one before --to]
    #[arg(long, value_name = "SNAPSHOT", allow_hyphen_values = true)]
    from: Option<String>,
    /// The later snapshot [default: the newest]
    #[arg(long, value_name = "SNAPSHOT", allow_hyphen_values = true)]
    to: Option<String>,
    /// Print the queries for the rows that differ, one per table, for merganser sql
    #[arg(long, conflicts_with = "json")]
    sql: bool,
    #[command(flatten)]
    call: Call,
}

// === impl Diff ===

impl Diff {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let body = json!({ "table": self.table, "from": named(self.from), "to": named(self.to) });
        let Some(result) = self.call.run("diff", without_nulls(body)).await? else { return Ok(()) };
        let tables = result["tables"].as_array().map(Vec::as_slice).unwrap_or_default();
        if self.sql {
            for table in tables {
                output::print(table["sql"].as_str().unwrap_or_default())?;
            }
            return Ok(());
        }
        let columns = ["table", "change", "rows_inserted", "rows_deleted", "rows_updated", "schema_changes"];
        print_rows(&Value::Array(tables.iter().map(row).collect()), &columns)?;
        output::print(format_args!("from snapshot {} to snapshot {}", result["from"], result["to"]))?;
        Ok(())
    }
}

fn row(table: &Value) -> Value {
    let changes: Vec<_> = table["schema_changes"].as_array().into_iter().flatten().map(schema_change).collect();
    let before = table["renamed_from"].as_str().map(|before| format!(" (was {before})")).unwrap_or_default();
    let mut row = table.clone();
    row["table"] = json!(format!("{}{before}", table["table"].as_str().unwrap_or_default()));
    row["schema_changes"] = if changes.is_empty() { Value::Null } else { json!(changes.join(", ")) };
    row
}

/// `i retyped from "INTEGER" to "BIGINT"`, `n added (INTEGER)`
fn schema_change(change: &Value) -> String {
    let [what, column, from, to] = ["change", "column", "from", "to"].map(|field| change[field].as_str());
    let column = column.map(|column| format!("{column} ")).unwrap_or_default();
    let how = match (from, to) {
        (Some(from), Some(to)) => format!(" from \"{from}\" to \"{to}\""),
        (Some(only), None) | (None, Some(only)) => format!(" ({only})"),
        (None, None) => String::new(),
    };
    format!("{column}{}{how}", what.unwrap_or_default())
}

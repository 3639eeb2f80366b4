//! `merganser diff`.

use clap::Args;

use super::{
    call::Call,
    failure::Failure,
    output,
    snapshot::named,
    table::{cell, print_table},
};
use crate::{
    actions,
    proto::{
        DiffRequest,
        diff_result::{SchemaChange, Table},
    },
};

/// Compare the tables, columns and rows of two snapshots
///
/// Shows the net difference: changes that were undone in between are not shown.
#[derive(Debug, Args)]
pub struct Diff {
    /// The table, as schema.name [default: all tables]
    table: Option<String>,
    /// The first snapshot: a version, a tag or a timestamp. May be newer than --to [default: the one before --to]
    #[arg(long, value_name = "SNAPSHOT", allow_hyphen_values = true)]
    from: Option<String>,
    /// The second snapshot: a version, a tag or a timestamp [default: the newest]
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
        let request =
            DiffRequest { table: self.table, from: named(self.from), to: named(self.to), cancel_on_disconnect: false };
        let Some(result) = self.call.run::<actions::Diff>(request).await? else { return Ok(()) };
        if self.sql {
            for table in &result.tables {
                output::print(&table.sql)?;
            }
            return Ok(());
        }
        let columns = ["table", "change", "rows_inserted", "rows_deleted", "rows_updated", "schema_changes"];
        print_table(columns, result.tables.iter().map(row))?;
        output::print(format_args!("from snapshot {} to snapshot {}", result.from, result.to))?;
        Ok(())
    }
}

fn row(table: &Table) -> [String; 6] {
    let changes: Vec<_> = table.schema_changes.iter().map(schema_change).collect();
    let before = table.renamed_from.as_ref().map(|before| format!(" (was {before})")).unwrap_or_default();
    [
        format!("{}{before}", table.table),
        table.change().as_str_name().to_owned(),
        table.rows_inserted.to_string(),
        table.rows_deleted.to_string(),
        table.rows_updated.to_string(),
        cell((!changes.is_empty()).then(|| changes.join(", "))),
    ]
}

/// `i retyped from "INTEGER" to "BIGINT"`, `n added (INTEGER)`
fn schema_change(found: &SchemaChange) -> String {
    let column = found.column.as_ref().map(|column| format!("{column} ")).unwrap_or_default();
    let how = match (&found.from, &found.to) {
        (Some(from), Some(to)) => format!(" from \"{from}\" to \"{to}\""),
        (Some(only), None) | (None, Some(only)) => format!(" ({only})"),
        (None, None) => String::new(),
    };
    format!("{column}{}{how}", found.change().as_str_name())
}

//! `merganser rollback`.

use clap::Args;

use super::{call::Call, failure::Failure, output, snapshot::SnapshotArgs, table::print_table};
use crate::{
    actions,
    proto::{RollbackRequest, rollback_result::Table},
};

/// Roll a table, a schema or the lake back to an earlier snapshot
///
/// Commits the earlier state as a new snapshot; all other snapshots remain readable.
#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    to: SnapshotArgs,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    /// The commit message
    #[arg(long)]
    message: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// The table, as schema.name
    table: Option<String>,
    /// All tables and views of this schema; newer ones are dropped
    #[arg(long)]
    schema: Option<String>,
    /// All schemas of the lake
    #[arg(long)]
    lake: bool,
}

// === impl Rollback ===

impl Rollback {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = RollbackRequest {
            table: self.scope.table,
            schema: self.scope.schema,
            lake: self.scope.lake,
            to: Some(self.to.selector()),
            dry_run: self.dry_run,
            message: self.message,
            ..RollbackRequest::default()
        };
        let Some(result) = self.call.run::<actions::Rollback>(request).await? else { return Ok(()) };
        let columns = ["kind", "table", "change", "rows_deleted", "rows_inserted"];
        print_table(columns, result.tables.iter().map(row))?;
        let unchanged = if result.unchanged { "nothing to do: already at the " } else { "" };
        let (from, snapshot) = (result.restored_from, result.snapshot_id);
        output::print(format_args!("{unchanged}state of snapshot {from}; the newest snapshot is {snapshot}"))?;
        Ok(())
    }
}

fn row(table: &Table) -> [String; 5] {
    [
        table.kind().as_str_name().to_owned(),
        table.table.clone(),
        table.change().as_str_name().to_owned(),
        table.rows_deleted.to_string(),
        table.rows_inserted.to_string(),
    ]
}

//! `merganser snapshots`.

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure,
    action::{Call, named, print_rows, without_nulls},
};

/// List snapshots and their changes, newest first
///
/// Snapshots are specified by version, tag or timestamp.
#[derive(Debug, Args)]
pub struct Snapshots {
    /// Only snapshots that changed this table, as schema.name, also under earlier names
    #[arg(long)]
    table: Option<String>,
    /// Maximum number of snapshots [default: 50]
    #[arg(long)]
    limit: Option<u64>,
    /// Only snapshots before this snapshot or time
    #[arg(long, value_name = "SNAPSHOT")]
    before: Option<String>,
    /// Only snapshots after this snapshot or time
    #[arg(long, value_name = "SNAPSHOT")]
    after: Option<String>,
    #[command(flatten)]
    call: Call,
}

// === impl Snapshots ===

impl Snapshots {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let body = json!({
            "table": self.table,
            "limit": self.limit,
            "before": named(self.before),
            "after": named(self.after),
        });
        if let Some(result) = self.call.run("snapshots", without_nulls(body)).await? {
            let rows = result["snapshots"].as_array().into_iter().flatten().map(row).collect();
            print_rows(&Value::Array(rows), &["snapshot", "time", "author", "tags", "message", "changes"])?;
        }
        Ok(())
    }
}

fn row(snapshot: &Value) -> Value {
    let changes: Vec<_> = snapshot["changes"].as_array().into_iter().flatten().map(change).collect();
    let tags: Vec<_> = snapshot["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    json!({
        "snapshot": snapshot["snapshot_id"],
        "time": snapshot["time"],
        "author": snapshot["author"],
        "tags": tags.join(" "),
        "message": snapshot["message"],
        "changes": changes.join(", "),
    })
}

fn change(change: &Value) -> String {
    let [what, name, before] = ["change", "name", "renamed_from"].map(|field| change[field].as_str());
    let before = before.map(|before| format!(" (was {before})")).unwrap_or_default();
    format!("{} {}{before}", what.unwrap_or_default(), name.unwrap_or_default())
}

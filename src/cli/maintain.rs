//! `merganser maintain`.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    Failure,
    action::{Call, print_rows, without_nulls},
    output,
};

/// Merge and rewrite files, expire snapshots and remove unused files
///
/// The default steps are rewrite, merge and cleanup, and expire if --expire-days is given. The content of retained snapshots
/// does not change. Use --dry-run to preview.
#[derive(Debug, Args)]
pub struct Maintain {
    /// The steps to run
    #[arg(value_enum, value_name = "STEP")]
    steps: Vec<Step>,
    /// Merge and rewrite the files of this table only, as schema.name
    #[arg(long)]
    table: Option<String>,
    /// Expire older snapshots, except tagged ones and the newest
    #[arg(long, value_name = "DAYS")]
    expire_days: Option<f64>,
    /// Keep this many of the newest snapshots [default: 1]
    #[arg(long, value_name = "SNAPSHOTS")]
    keep: Option<u64>,
    /// Rewrite files with at least this share of deleted rows [default: 0.3]
    #[arg(long, value_name = "SHARE")]
    rewrite_share: Option<f64>,
    /// Remove files that have been unused for this long [default: 24]
    #[arg(long, value_name = "HOURS")]
    grace_hours: Option<f64>,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Step {
    /// Merge small files into large ones
    Merge,
    /// Rewrite files with many deleted rows without them
    Rewrite,
    /// Expire old snapshots
    Expire,
    /// Remove files that are scheduled for deletion and not referenced by a backup
    Cleanup,
    /// Remove files that neither the catalog nor a backup references
    Orphans,
}

// === impl Maintain ===

impl Maintain {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let steps: Vec<_> = self.steps.iter().filter_map(ValueEnum::to_possible_value).collect();
        let steps: Vec<_> = steps.iter().map(|step| step.get_name().to_owned()).collect();
        let body = json!({
            "steps": steps,
            "table": self.table,
            "expire_days": self.expire_days,
            "keep": self.keep,
            "rewrite_share": self.rewrite_share,
            "grace_hours": self.grace_hours,
            "dry_run": self.dry_run,
        });
        if let Some(result) = self.call.run("maintain", without_nulls(body)).await? {
            let rows = result["done"].as_array().into_iter().flatten().map(row).collect();
            print_rows(
                &Value::Array(rows),
                &["step", "table", "files", "files_made", "snapshots", "kept", "kept_for"],
            )?;
            if result["done"].as_array().into_iter().flatten().any(|done| done["kept_for"].is_string()) {
                output::note(format_args!("some files are kept because a backup references them: see backup --keep"));
            }
            if self.dry_run {
                output::note(format_args!("nothing was changed (--dry-run)"));
            }
        }
        Ok(())
    }
}

fn row(done: &Value) -> Value {
    let expired = done["snapshots"].as_array().map_or(0, Vec::len);
    json!({
        "step": done["step"],
        "table": done["table"],
        "files": done["files"],
        "files_made": done["files_made"],
        "snapshots": expired,
        "kept": done["files_kept"],
        "kept_for": done["kept_for"],
    })
}

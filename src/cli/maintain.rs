//! `merganser maintain`.

use clap::Args;

use super::{
    call::Call,
    failure::Failure,
    output,
    table::{cell, print_table},
    words::words,
};
use crate::{
    actions,
    proto::{MaintainRequest, maintain_result::Done},
};

/// Merge and rewrite files, expire snapshots and remove unused files
///
/// Without steps, rewrite, merge and cleanup run, and expire if --expire-days is given. With steps, only these run. The order
/// is always rewrite, merge, expire, cleanup, orphans. The content of retained snapshots does not change. Use --dry-run to
/// preview.
#[derive(Debug, Args)]
pub struct Maintain {
    /// The steps to run, and no others; expire requires --expire-days
    #[arg(value_name = "STEP", value_parser = words("MaintainRequest.Step"))]
    steps: Vec<i32>,
    /// Merge and rewrite the files of this table only, as schema.name
    #[arg(long)]
    table: Option<String>,
    /// Expire snapshots older than this, except tagged ones and the newest; required by the step expire
    #[arg(long, value_name = "DAYS")]
    expire_days: Option<f64>,
    /// Never expire the newest N snapshots [default: 1]
    #[arg(long, value_name = "N")]
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

// === impl Maintain ===

impl Maintain {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = MaintainRequest {
            steps: self.steps,
            table: self.table,
            expire_days: self.expire_days,
            keep: self.keep,
            rewrite_share: self.rewrite_share,
            grace_hours: self.grace_hours,
            dry_run: self.dry_run,
            ..MaintainRequest::default()
        };
        let Some(result) = self.call.run::<actions::Maintain>(request).await? else { return Ok(()) };
        let columns = ["step", "table", "files", "files_made", "snapshots", "kept", "kept_for"];
        print_table(columns, result.done.iter().map(row))?;
        if result.done.iter().any(|done| done.kept_for.is_some()) {
            output::note(format_args!("some files are kept because a backup references them: see backup --keep"));
        }
        if result.dry_run {
            output::note(format_args!("nothing was changed (--dry-run)"));
        }
        Ok(())
    }
}

fn row(done: &Done) -> [String; 7] {
    [
        done.step().as_str_name().to_owned(),
        cell(done.table.as_ref()),
        done.files.to_string(),
        done.files_made.to_string(),
        done.snapshots.len().to_string(),
        done.files_kept.to_string(),
        cell(done.kept_for.as_ref()),
    ]
}

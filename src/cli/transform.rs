//! `merganser transform`.

use clap::Args;

use super::{
    call::Call,
    failure::Failure,
    table::{cell, print_table},
};
use crate::{
    actions,
    proto::{TransformRequest, transform_result::Model},
};

/// Run the SQL models
///
/// Runs models in the order of their dependencies, each in a transaction, and checks their rows. If a check fails, the table
/// is not changed.
#[derive(Debug, Args)]
pub struct Transform {
    /// Models (silver.x) or layers (silver) to run [default: all]
    select: Vec<String>,
    /// Rebuild tables instead of applying differences
    #[arg(long)]
    full_refresh: bool,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    call: Call,
}

// === impl Transform ===

impl Transform {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = TransformRequest {
            select: self.select,
            full_refresh: self.full_refresh,
            dry_run: self.dry_run,
            ..TransformRequest::default()
        };
        let Some(result) = self.call.run::<actions::Transform>(request).await? else { return Ok(()) };
        let columns = ["model", "change", "rows", "rows_inserted", "rows_deleted", "checks_passed", "snapshot_id"];
        print_table(columns, result.models.iter().map(row))?;
        Ok(())
    }
}

fn row(model: &Model) -> [String; 7] {
    [
        model.model.clone(),
        model.change().as_str_name().to_owned(),
        model.rows.to_string(),
        model.rows_inserted.to_string(),
        model.rows_deleted.to_string(),
        model.checks_passed.to_string(),
        cell(model.snapshot_id),
    ]
}

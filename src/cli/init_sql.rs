//! `merganser init-sql`.

use clap::Args;
use serde_json::json;

use super::{Failure, action::Call, output};

/// Print SQL that attaches the lake read-only in the DuckDB shell
///
/// Use it with: duckdb -init FILE. Secrets are omitted.
#[derive(Debug, Args)]
pub struct InitSql {
    #[command(flatten)]
    call: Call,
}

// === impl InitSql ===

impl InitSql {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        if let Some(result) = self.call.run("init_sql", json!({})).await? {
            output::print(result["sql"].as_str().unwrap_or_default().trim_end())?;
        }
        Ok(())
    }
}

//! `merganser init-sql`.

use clap::Args;

use super::{call::Call, failure::Failure, output};
use crate::{actions, proto::InitSqlRequest};

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
        if let Some(result) = self.call.run::<actions::InitSql>(InitSqlRequest {}).await? {
            output::print(result.sql.trim_end())?;
        }
        Ok(())
    }
}

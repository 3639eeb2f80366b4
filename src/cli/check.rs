//! `merganser check`.

use clap::Args;

use super::{Failure, output};
use crate::{
    config::{self, env::ProcessEnvironment},
    engine::DUCKDB_VERSION,
    error::Error,
    lake::{inventory, snapshots},
    server::{Opened, open},
};

/// Examine configuration, extensions, catalog and storage without serving
///
/// Opens everything that `serve` would, says what it found and closes it again. Takes the same settings.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    flags: config::Flags,
}

// === impl Check ===

impl Check {
    /// Examines.
    pub async fn run(self) -> Result<(), Failure> {
        let settings = config::load(&self.flags, &ProcessEnvironment)?;
        output::print("configuration  ok")?;
        let opening = settings.clone();
        let opened = tokio::task::spawn_blocking(move || open(&opening)).await;
        let Opened { engine, storage, models } =
            opened.map_err(|err| Error::internal("open the lake").with_source(err))??;
        output::print(format_args!("DuckDB         ok, {DUCKDB_VERSION} with ducklake"))?;
        output::print(format_args!("storage        ok, {}", storage.uri("")))?;
        output::print(format_args!("models         ok, {} models", models.len()))?;
        let (snapshot_id, tables) = engine
            .run(|connection| Ok((snapshots::current(connection)?, inventory::tables(connection, false)?.len())))
            .await?;
        output::print(format_args!("catalog        ok, snapshot {snapshot_id}, {tables} tables and views"))?;
        engine.close(settings.grace).await;
        Ok(())
    }
}

//! `merganser check`.

use clap::Args;

use super::{Failure, output};
use crate::{
    config::{self, Settings, env::ProcessEnvironment},
    engine::DUCKDB_VERSION,
    lake::{listing, snapshots},
    server::{Opened, Tls, open, resolve},
};

/// Check configuration, TLS files, credentials, extensions, catalog and storage without serving
///
/// Opens everything that `serve` opens, reports the results and closes it. Takes the same settings.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    flags: config::Flags,
}

// === impl Check ===

impl Check {
    /// Runs the command.
    pub async fn run(self) -> Result<(), Failure> {
        let settings = config::load(&self.flags, &ProcessEnvironment)?;
        output::print("configuration  ok")?;
        check_access(&settings).await?;
        let Opened { engine, pins, storage, models, lock } = open(&settings).await?;
        output::print(format_args!("DuckDB         ok, {DUCKDB_VERSION} with ducklake"))?;
        output::print(format_args!("storage        ok, {}", storage.uri("")))?;
        output::print(format_args!("models         ok, {} models", models.len()))?;
        let (snapshot_id, tables) = engine
            .run(|connection| {
                Ok((
                    snapshots::current(connection)?,
                    listing::tables(connection, &listing::Filter::default(), false)?.len(),
                ))
            })
            .await?;
        output::print(format_args!("catalog        ok, snapshot {snapshot_id}, {tables} tables and views"))?;
        engine.close(settings.grace).await;
        let closed = engine.closed();
        drop((engine, pins));
        closed.await;
        drop(lock);
        Ok(())
    }
}

/// Checks the address, the credentials and TLS.
async fn check_access(settings: &Settings) -> Result<(), Failure> {
    resolve(settings).await?;
    output::print(format_args!("address        ok, {}", settings.listen))?;
    let credentials = &settings.credentials;
    match (credentials.users(), credentials.tokens()) {
        (0, 0) => output::print("credentials    none: all clients that reach the address have full access")?,
        (users, tokens) => output::print(format_args!("credentials    ok, users: {users}, tokens: {tokens}"))?,
    }
    match (Tls::load(settings)?, &settings.tls_client_ca) {
        (None, _) => output::print("TLS            none"),
        (Some(_), None) => output::print("TLS            ok"),
        (Some(_), Some(_)) => output::print("TLS            ok, clients must show a certificate"),
    }?;
    Ok(())
}

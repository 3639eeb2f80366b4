//! `merganser check`.

use clap::Args;

use super::{failure::Failure, output};
use crate::{
    config::{self, Settings, env::ProcessEnvironment},
    engine::DUCKDB_VERSION,
    error::Error,
    lake::{listing, lock, repair, snapshots},
    server::{Opened, Tls, open, place, resolve},
};

/// Check configuration, TLS files, credentials, extensions, catalog and storage without serving
///
/// Opens everything that `serve` opens, reports the results and closes it. Takes the same settings. Creates a lake that
/// does not exist. Cannot run beside a server whose catalog is a DuckDB file.
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    flags: config::Flags,
    /// Repair the catalog: remove views and macros in schemas that do not exist (their definitions are printed), and
    /// duplicate entries of renamed tables. Other damage is not repaired. Stop all servers first
    #[arg(long)]
    repair: bool,
}

// === impl Check ===

impl Check {
    /// Runs the command.
    pub async fn run(self) -> Result<(), Failure> {
        let settings = config::load(&self.flags, &ProcessEnvironment)?;
        output::print("configuration  ok")?;
        check_access(&settings).await?;
        examine_catalog(&settings, self.repair).await?;
        let Opened { lake, pins, storage, models, lock } = open(&settings).await?;
        let engine = lake.engine().clone();
        drop(lake);
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

/// Looks for damage in the catalog, and removes it if told to.
async fn examine_catalog(settings: &Settings, repairs: bool) -> Result<(), Failure> {
    let place = place(settings).await?;
    let damages = if repairs {
        let _lock = lock::own(&place.lake.catalog)?;
        repair::repair(&place.engine, &place.lake.catalog).await?
    } else {
        repair::examine(&place.engine, &place.lake.catalog).await?
    };
    for damage in &damages {
        let did = if repairs { "repaired" } else { "damaged" };
        output::print(format_args!("catalog        {did}, {}", damage.what))?;
        if let Some(definition) = &damage.definition {
            output::print(format_args!("               to make it again: {definition}"))?;
        }
    }
    if repairs || damages.is_empty() {
        return Ok(());
    }
    let remedy = if damages.iter().any(|damage| damage.repairable) {
        "stop the servers and run merganser check --repair, or restore a backup with merganser restore-catalog"
    } else {
        "restore a backup with merganser restore-catalog, or make the tables again from an older snapshot"
    };
    Err(Error::precondition(format!("the catalog is damaged: {remedy}")).into())
}

/// Examines where the server would listen, and for whom.
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

//! `merganser migrate-catalog`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{failure::Failure, output};
use crate::{
    engine,
    error::Error,
    lake::{catalog::Catalog, migrate},
};

/// The number of connections; statements run sequentially.
const CONNECTIONS: usize = 4;

/// Copy the catalog of a lake to another database, while no server runs
///
/// Catalogs are a path (a DuckDB file), sqlite:PATH or postgres://USER@HOST/DATABASE. All snapshots and tags are copied and
/// verified; data files and the source catalog are not changed. The destination must be empty. Command lines are visible to
/// other users: pass the password of PostgreSQL in PGPASSWORD or ~/.pgpass.
#[derive(Debug, Args)]
pub struct MigrateCatalog {
    /// The source catalog
    #[arg(long, value_name = "URI")]
    from: String,
    /// The destination
    #[arg(long, value_name = "URI")]
    to: String,
    /// Directory of the DuckDB extensions [default: found next to the program]
    #[arg(long, value_name = "DIR")]
    extensions: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

// === impl MigrateCatalog ===

impl MigrateCatalog {
    /// Runs the command.
    pub async fn run(self) -> Result<(), Failure> {
        let from = Catalog::parse(&self.from).map_err(|err| err.context("--from"))?;
        let to = Catalog::parse(&self.to).map_err(|err| err.context("--to"))?;
        let staging = tempfile::Builder::new().prefix("merganser-").tempdir().map_err(Error::from)?;
        let settings = engine::Settings {
            extensions: self.extensions,
            extensions_fallback: staging.path().join("extensions"),
            staging: staging.path().to_path_buf(),
            memory_limit_bytes: None,
            threads: None,
            collect_results: true,
            max_connections: CONNECTIONS,
        };
        let contents = migrate::migrate(&settings, &from, &to, staging.path()).await?;
        let (snapshot, snapshots) = (contents.snapshot_id, contents.snapshots);
        let rows: u64 = contents.tables.values().map(|table| table.rows).sum();
        let name = to.name();
        if self.json {
            let copied = json!({ "to": name, "snapshot_id": snapshot, "snapshots": snapshots, "rows": rows });
            return Ok(output::print(copied)?);
        }
        output::print(format_args!("copied snapshot {snapshot}, {snapshots} snapshots in {rows} rows, to {name}"))?;
        output::print(format_args!(
            "to serve it: merganser serve --catalog {} --storage {}",
            catalog_argument(&to),
            storage_argument(&contents.data_path)
        ))?;
        Ok(())
    }
}

/// The catalog in the suggested command line, without user and password.
fn catalog_argument(catalog: &Catalog) -> String {
    match catalog {
        Catalog::DuckdbFile(_) | Catalog::Sqlite(_) => catalog.name(),
        Catalog::Postgres(_) => format!("{} (with user and password)", catalog.name()),
    }
}

/// The storage of the lake's files, for the suggested command line.
fn storage_argument(data_path: &str) -> &str {
    let data_path = data_path.trim_end_matches('/');
    data_path.strip_suffix("/lake").unwrap_or(data_path)
}

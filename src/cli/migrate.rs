//! `merganser migrate-catalog`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Failure, output};
use crate::{
    engine,
    error::Error,
    lake::{catalog::Catalog, migrate},
};

/// Statements run one after the other.
const CONNECTIONS: usize = 4;

/// Copy a lake's catalog to another kind of database, while no server runs
///
/// From and to are a path (a DuckDB file), sqlite:PATH or postgres://USER@HOST/DATABASE. All snapshots and tags come along
/// and are compared; the lake's files stay where they are, and the old catalog as it is. The new place must be empty. A
/// command line is seen by others: leave PostgreSQL's password to PGPASSWORD or ~/.pgpass.
#[derive(Debug, Args)]
pub struct MigrateCatalog {
    /// The catalog that is there
    #[arg(long, value_name = "URI")]
    from: String,
    /// Where it shall be
    #[arg(long, value_name = "URI")]
    to: String,
    /// Directory with the DuckDB extensions [default: found beside the program]
    #[arg(long, value_name = "DIR")]
    extensions: Option<PathBuf>,
    /// Print what was copied as JSON
    #[arg(long)]
    json: bool,
}

// === impl MigrateCatalog ===

impl MigrateCatalog {
    /// Copies.
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
            "serve it: merganser serve --catalog {} --storage {}",
            next(&to),
            store(&contents.data_path)
        ))?;
        Ok(())
    }
}

/// How the catalog is named on the next command line; users and passwords are not repeated.
fn next(catalog: &Catalog) -> String {
    match catalog {
        Catalog::DuckdbFile(_) | Catalog::Sqlite(_) => catalog.name(),
        Catalog::Postgres(_) => format!("{} (with the user and password that you gave)", catalog.name()),
    }
}

/// The storage in which the lake's files lie.
fn store(data_path: &str) -> &str {
    let data_path = data_path.trim_end_matches('/');
    data_path.strip_suffix("/lake").unwrap_or(data_path)
}

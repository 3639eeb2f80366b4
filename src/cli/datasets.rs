//! `merganser datasets` and `prune`.

use clap::Args;

use super::{
    call::Call,
    failure::Failure,
    output,
    table::{cell, print_table},
};
use crate::{
    actions,
    proto::{
        DatasetsRequest, PruneRequest,
        datasets_result::{File, Landing},
    },
};

/// List the datasets and their landings, newest first
///
/// A landing holds the unchanged files of one ingest.
#[derive(Debug, Args)]
pub struct Datasets {
    /// Only this dataset
    dataset: Option<String>,
    /// All landings, not only the latest of each dataset
    #[arg(long, short)]
    all: bool,
    /// The files of each landing
    #[arg(long)]
    files: bool,
    #[command(flatten)]
    call: Call,
}

/// Remove landings that are older than the latest of their dataset
///
/// Tables and assets stay. Landings that wait for files stay, incomplete ones of the last day, and those with files that
/// were not ingested.
#[derive(Debug, Args)]
pub struct Prune {
    /// Only these datasets [default: all]
    datasets: Vec<String>,
    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Return the first call's result if the key was already used
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

// === impl Datasets ===

impl Datasets {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = DatasetsRequest { dataset: self.dataset, all: self.all };
        let Some(result) = self.call.run::<actions::Datasets>(request).await? else { return Ok(()) };
        if self.files {
            print_table(["dataset", "landing", "file", "bytes", "sha256"], result.landings.iter().flat_map(files))?;
        } else {
            let columns = ["dataset", "landing", "state", "latest", "files", "bytes", "source", "uri"];
            print_table(columns, result.landings.into_iter().map(row))?;
        }
        Ok(())
    }
}

fn row(landing: Landing) -> [String; 8] {
    let state = landing.state().as_str_name().to_owned();
    let (latest, files, bytes) =
        (landing.latest.to_string(), landing.files.len().to_string(), landing.bytes.to_string());
    [landing.dataset, landing.landing, state, latest, files, bytes, cell(landing.source), landing.uri]
}

fn files(landing: &Landing) -> impl Iterator<Item = [String; 5]> {
    let row = |file: &File| {
        let File { path, bytes, sha256 } = file.clone();
        [landing.dataset.clone(), landing.landing.clone(), path, bytes.to_string(), cell(sha256)]
    };
    landing.files.iter().map(row)
}

// === impl Prune ===

impl Prune {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = PruneRequest {
            datasets: self.datasets,
            dry_run: self.dry_run,
            idempotency_key: self.idempotency_key,
            cancel_on_disconnect: false,
        };
        let Some(result) = self.call.run::<actions::Prune>(request).await? else { return Ok(()) };
        let bytes: u64 = result.removed.iter().map(|landing| landing.bytes).sum();
        let (count, outcome) = (result.removed.len(), if result.dry_run { "would be removed" } else { "were removed" });
        let rows = result.removed.into_iter().map(|landing| {
            [landing.dataset, landing.landing, landing.files.to_string(), landing.bytes.to_string(), landing.uri]
        });
        print_table(["dataset", "landing", "files", "bytes", "uri"], rows)?;
        output::print(format_args!("{count} landings with {bytes} bytes {outcome}"))?;
        Ok(())
    }
}

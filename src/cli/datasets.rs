//! `merganser datasets`.

use clap::Args;

use super::{
    call::Call,
    failure::Failure,
    table::{cell, print_table},
};
use crate::{
    actions,
    proto::{
        DatasetsRequest,
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

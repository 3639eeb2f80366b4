//! `merganser prune`.

use clap::Args;

use super::{call::Call, failure::Failure, output, table::print_table};
use crate::{actions, proto::PruneRequest};

/// Remove landings and exports that are older than the latest of their name
///
/// Tables and assets stay. Landings that wait for files stay, those with files that were not ingested, and landings and
/// exports of the last day that are incomplete.
#[derive(Debug, Args)]
pub struct Prune {
    /// Only the landings of these datasets [default: all, and all exports]
    datasets: Vec<String>,
    /// Only the exports with this name, as schema.name; may be repeated [default: all, and all landings]
    #[arg(long = "export", value_name = "NAME")]
    exports: Vec<String>,
    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Return the first call's result if the key was already used
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

// === impl Prune ===

impl Prune {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = PruneRequest {
            datasets: self.datasets,
            exports: self.exports,
            dry_run: self.dry_run,
            idempotency_key: self.idempotency_key,
            cancel_on_disconnect: false,
        };
        let Some(result) = self.call.run::<actions::Prune>(request).await? else { return Ok(()) };
        let landings = result.removed.iter().map(|landing| landing.bytes);
        let bytes: u64 = landings.chain(result.removed_exports.iter().map(|export| export.bytes)).sum();
        let outcome = if result.dry_run { "would be removed" } else { "were removed" };
        let (landings, exports) = (result.removed.len(), result.removed_exports.len());
        let removed = result.removed.into_iter();
        let removed = removed.map(|it| ["landing".to_owned(), it.dataset, it.landing, it.bytes.to_string(), it.uri]);
        let removed_exports = result.removed_exports.into_iter();
        let removed_exports =
            removed_exports.map(|it| ["export".to_owned(), it.name, it.export, it.bytes.to_string(), it.uri]);
        print_table(["kind", "name", "time", "bytes", "uri"], removed.chain(removed_exports))?;
        output::print(format_args!("{landings} landings and {exports} exports with {bytes} bytes {outcome}"))?;
        Ok(())
    }
}

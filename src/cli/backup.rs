//! `merganser backup`, `backups` and `restore`; `restore-catalog`, which needs no server.

use clap::Args;
use serde_json::json;

use super::{
    call::Call,
    failure::Failure,
    output,
    table::{cell, print_table},
};
use crate::{
    actions,
    backup::{Selector, parse_timestamp, restore},
    config::{self, env::ProcessEnvironment},
    proto::{BackupRequest, BackupsRequest, RestoreRequest, backups_result},
    server::place,
};

/// Back up the catalog to the store
///
/// Takes a verified copy of the catalog with all snapshots, while writers run. Data files are immutable and not copied;
/// maintenance keeps files that a backup references.
#[derive(Debug, Args)]
pub struct Backup {
    /// Keep this many of the newest backups; without --older-than-days, remove all others
    #[arg(long, value_name = "BACKUPS")]
    keep: Option<u64>,
    /// Remove older backups, except the latest
    #[arg(long, value_name = "DAYS")]
    older_than_days: Option<f64>,
    /// Return the first call's result if the key was already used
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

/// List the backups of the catalog, newest first
#[derive(Debug, Args)]
pub struct Backups {
    /// Verify the checksums of all backups
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    call: Call,
}

/// Restore a backup of the catalog
///
/// Restores to a new catalog with --to, or replaces the catalog of the served lake with --force: the server then ends all
/// sessions and opens the lake again. The backup is verified first: its checksum, snapshots and rows, and whether its data
/// files exist. To restore without a server, use merganser restore-catalog.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    which: WhichBackup,
    /// The new catalog, in the form of --catalog of serve; paths are on the server's machine
    #[arg(long, value_name = "URI")]
    to: Option<String>,
    /// Accept missing data files (--dry-run lists them) and, without --to, replace the catalog of the served lake
    #[arg(long)]
    force: bool,
    /// Only verify the backup and list missing data files
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct WhichBackup {
    /// The backup's name [default: the latest]
    backup: Option<String>,
    /// The newest backup taken at or before this time, such as "2026-01-31 12:00:00", in UTC unless it has an offset
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// Restore a backup of the catalog while no server runs
///
/// Restores a backup from the storage after the catalog was lost, or replaces an existing catalog with --force. Takes the
/// same settings as serve. An existing catalog file is renamed; a catalog in PostgreSQL is backed up first.
#[derive(Debug, Args)]
pub struct RestoreCatalog {
    #[command(flatten)]
    which: WhichBackup,
    /// Accept missing data files, and replace an existing catalog
    #[arg(long)]
    force: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: config::Flags,
}

// === impl Backup ===

impl Backup {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = BackupRequest {
            keep: self.keep,
            older_than_days: self.older_than_days,
            idempotency_key: self.idempotency_key,
            cancel_on_disconnect: false,
        };
        let Some(result) = self.call.run::<actions::Backup>(request).await? else { return Ok(()) };
        let (snapshot, snapshots, bytes) = (result.snapshot_id, result.snapshots, result.bytes);
        let (backup, path) = (result.backup, result.path);
        output::print(format_args!(
            "backup {backup}: snapshot {snapshot}, {snapshots} snapshots, {bytes} bytes, in {path}"
        ))?;
        for removed in result.removed {
            output::print(format_args!("removed {removed}"))?;
        }
        Ok(())
    }
}

// === impl Backups ===

impl Backups {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = BackupsRequest { verify: self.verify };
        let Some(result) = self.call.run::<actions::Backups>(request).await? else { return Ok(()) };
        let columns = ["backup", "state", "latest", "snapshot_id", "snapshots", "bytes", "author", "catalog", "fault"];
        print_table(columns, result.backups.into_iter().map(row))?;
        Ok(())
    }
}

fn row(backup: backups_result::Backup) -> [String; 9] {
    let state = backup.state().as_str_name().to_owned();
    [
        backup.backup,
        state,
        backup.latest.to_string(),
        cell(backup.snapshot_id),
        cell(backup.snapshots),
        cell(backup.bytes),
        cell(backup.author),
        cell(backup.catalog),
        cell(backup.fault),
    ]
}

// === impl Restore ===

impl Restore {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let request = RestoreRequest {
            backup: self.which.backup,
            at: self.which.at,
            to: self.to,
            force: self.force,
            dry_run: self.dry_run,
            ..RestoreRequest::default()
        };
        let Some(result) = self.call.run::<actions::Restore>(request).await? else { return Ok(()) };
        for file in &result.missing {
            output::note(format_args!("missing: {file}"));
        }
        let outcome = match result.to {
            _ if result.dry_run => "is valid; nothing was changed (--dry-run)".to_owned(),
            Some(to) => format!("was restored to {to}"),
            None => "replaces the catalog; the server opens the lake again".to_owned(),
        };
        let (backup, snapshot) = (result.backup, result.snapshot_id);
        output::print(format_args!("backup {backup} with snapshot {snapshot} {outcome}"))?;
        Ok(())
    }
}

// === impl RestoreCatalog ===

impl RestoreCatalog {
    /// Runs the command.
    pub async fn run(self) -> Result<(), Failure> {
        let settings = config::load(&self.flags, &ProcessEnvironment)?;
        let which = match (self.which.backup, self.which.at) {
            (Some(name), _) => Selector::Name(name),
            (None, Some(time)) => Selector::At(parse_timestamp(&time)?),
            (None, None) => Selector::Latest,
        };
        let place = place(&settings).await?;
        let restored = restore(&place.engine, &place.lake, &which, self.force).await?;
        if self.json {
            let (record, missing) = (&restored.candidate.record, restored.candidate.missing.len());
            return Ok(output::print(json!({
                "backup": record.name,
                "snapshot_id": record.contents.snapshot_id,
                "missing_files": missing,
                "to": place.lake.catalog.name(),
                "before": restored.before,
            }))?);
        }
        for file in &restored.candidate.missing {
            output::note(format_args!("missing: {}", file.path));
        }
        if let Some(before) = restored.before {
            output::print(format_args!("kept the previous catalog as {}", before.display()))?;
        }
        let record = &restored.candidate.record;
        let (backup, snapshot, catalog) = (&record.name, record.contents.snapshot_id, place.lake.catalog.name());
        Ok(output::print(format_args!("backup {backup} with snapshot {snapshot} was restored to {catalog}"))?)
    }
}

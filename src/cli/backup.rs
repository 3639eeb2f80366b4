//! `merganser backup`, `backups` and `restore`, and `restore-catalog`, which needs no server.

use clap::Args;
use serde_json::{Value, json};

use super::{
    Failure,
    action::{Call, print_rows, without_nulls},
    output,
};
use crate::{
    backup::{Selector, parse_timestamp, restore},
    config::{self, env::ProcessEnvironment},
    server::place,
};

/// Copy the catalog into the store, verified, beside writers
///
/// The copy is one file that holds every snapshot; the lake's data files are not copied, they never change. What a backup
/// needs goes when snapshots expire and are cleaned up.
#[derive(Debug, Args)]
pub struct Backup {
    /// Afterwards keep the newest so many; without --older-than-days all others go
    #[arg(long, value_name = "BACKUPS")]
    keep: Option<u64>,
    /// Afterwards remove backups that are older; the latest stays
    #[arg(long, value_name = "DAYS")]
    older_than_days: Option<f64>,
    /// A repeated call with the same key gets the outcome of the first
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

/// List the backups of the catalog, the newest first
#[derive(Debug, Args)]
pub struct Backups {
    /// Read every one and compare it with its checksum
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    call: Call,
}

/// Bring a backup of the catalog back
///
/// To another place with --to, or with --force into that of the lake that is served: then all sessions end, and the server
/// opens the lake anew. Verified first: checksum, snapshots, rows, and that the files are there. Without a server:
/// merganser restore-catalog.
#[derive(Debug, Args)]
pub struct Restore {
    #[command(flatten)]
    which: WhichBackup,
    /// A new catalog, in the forms of serve's --catalog; paths are the server's
    #[arg(long, value_name = "URI")]
    to: Option<String>,
    /// Take the place of the lake, where --to names no other; do not mind missing files
    #[arg(long)]
    force: bool,
    /// Verify the backup and change nothing
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
    /// The newest backup that was taken at or before this moment, such as "2026-01-31 12:00:00"; in UTC
    #[arg(long, value_name = "MOMENT")]
    at: Option<String>,
}

/// Bring a backup of the catalog back while no server runs
///
/// Makes a backup in the storage the catalog again, after that was lost, or in the place of one with --force; takes the
/// same settings as serve. A catalog that is a file stays beside the new one, what is in PostgreSQL is backed up first.
#[derive(Debug, Args)]
pub struct RestoreCatalog {
    #[command(flatten)]
    which: WhichBackup,
    /// Take the place of a catalog that is there; do not mind missing files
    #[arg(long)]
    force: bool,
    /// Print what was restored as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: config::Flags,
}

// === impl Backup ===

impl Backup {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let body = json!({
            "keep": self.keep,
            "older_than_days": self.older_than_days,
            "idempotency_key": self.idempotency_key,
        });
        if let Some(result) = self.call.run("backup", without_nulls(body)).await? {
            let text = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
            let (backup, path) = (text("backup"), text("path"));
            let (snapshot, snapshots, bytes) = (&result["snapshot_id"], &result["snapshots"], &result["bytes"]);
            output::print(format_args!(
                "backup {backup}: snapshot {snapshot}, {snapshots} snapshots, {bytes} bytes, in {path}"
            ))?;
            for removed in result["removed"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                output::print(format_args!("removed {removed}"))?;
            }
        }
        Ok(())
    }
}

// === impl Backups ===

impl Backups {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        if let Some(result) = self.call.run("backups", json!({ "verify": self.verify })).await? {
            let columns =
                ["backup", "state", "latest", "snapshot_id", "snapshots", "bytes", "author", "catalog", "fault"];
            print_rows(&result["backups"], &columns)?;
        }
        Ok(())
    }
}

// === impl Restore ===

impl Restore {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let body = json!({
            "backup": self.which.backup,
            "at": self.which.at,
            "to": self.to,
            "force": self.force,
            "dry_run": self.dry_run,
        });
        if let Some(result) = self.call.run("restore", without_nulls(body)).await? {
            let (backup, snapshot) = (result["backup"].as_str().unwrap_or_default(), &result["snapshot_id"]);
            for file in result["missing"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                output::note(format_args!("missing: {file}"));
            }
            let what = match result["to"].as_str() {
                _ if self.dry_run => "is sound; nothing was changed: --dry-run".to_owned(),
                Some(to) => format!("was brought to {to}"),
                None => "takes the place of the lake; the server opens it anew".to_owned(),
            };
            output::print(format_args!("backup {backup} with snapshot {snapshot} {what}"))?;
        }
        Ok(())
    }
}

// === impl RestoreCatalog ===

impl RestoreCatalog {
    /// Restores.
    pub async fn run(self) -> Result<(), Failure> {
        let settings = config::load(&self.flags, &ProcessEnvironment)?;
        let which = match (self.which.backup, self.which.at) {
            (Some(name), _) => Selector::Name(name),
            (None, Some(moment)) => Selector::At(parse_timestamp(&moment)?),
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
            output::print(format_args!("kept what was there as {}", before.display()))?;
        }
        let record = &restored.candidate.record;
        let (backup, snapshot, catalog) = (&record.name, record.contents.snapshot_id, place.lake.catalog.name());
        Ok(output::print(format_args!("backup {backup} with snapshot {snapshot} is the catalog at {catalog}"))?)
    }
}

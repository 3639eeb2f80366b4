//! Commands that call an action: flags are sent as a JSON body, events are shown as a progress bar or as JSON lines.

use std::path::Path;

use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};
use futures::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::{Failure, connect::Connect, output};
use crate::error::{Error, Result};

/// Which server to call, and how to print its events.
#[derive(Debug, Args)]
pub(super) struct Call {
    /// Print events as JSON lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

// === impl Call ===

impl Call {
    /// Calls `action` and returns its result, unless it was printed as JSON.
    pub(super) async fn run(&self, action: &str, body: Value) -> Result<Option<Value>, Failure> {
        let client = self.connect.client().await?;
        let mut events = client.action(action, &without_nulls(body)).await?;
        let bar = if self.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let mut result = None;
        while let Some(event) = events.try_next().await? {
            if self.json {
                output::print(&event)?;
            } else {
                show(&bar, &event);
            }
            result = event.get("result").cloned().or(result);
        }
        bar.finish_and_clear();
        Ok(result.filter(|_| !self.json))
    }
}

fn show(bar: &ProgressBar, event: &Value) {
    let style = match event["total"].as_u64() {
        Some(total) => {
            bar.set_length(total);
            ProgressStyle::with_template("{msg:<24} {bar:32} {pos}/{len} {prefix}")
        }
        None => ProgressStyle::with_template("{msg:<24} {spinner} {pos} {prefix}"),
    };
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(event["phase"].as_str().unwrap_or_default().to_owned());
    bar.set_prefix(event["unit"].as_str().unwrap_or_default().to_owned());
    bar.set_position(event["done"].as_u64().unwrap_or_default());
}

/// Omits fields that are null.
pub(super) fn without_nulls(body: Value) -> Value {
    match body {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// The field of a request that specifies a snapshot by name.
pub(super) fn named(snapshot: Option<String>) -> Option<Value> {
    snapshot.map(|name| json!({ "name": name }))
}

/// Prints rows that are JSON objects as a table without borders: these columns, in this order.
pub(super) fn print_rows(rows: &Value, columns: &[&str]) -> Result<()> {
    output::print(format_rows(rows, columns))
}

fn format_rows(rows: &Value, columns: &[&str]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(columns);
    for row in rows.as_array().into_iter().flatten() {
        table.add_row(columns.iter().map(|column| text(&row[*column])));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

/// The effect on existing rows.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// Keep existing rows
    Append,
    /// Replace all existing rows
    Replace,
    /// Update existing rows with the same key
    Merge,
}

/// Ingest files into the lake
///
/// Reads a Parquet, CSV or JSON file, a folder of them, or a COCO folder with annotations and images. The files are kept as
/// a landing, media files become assets, and all rows are committed in one snapshot.
#[derive(Debug, Args)]
pub struct Ingest {
    /// The data: a path on the server's machine, or file:///path
    source: String,
    /// The name of the data set [default: the last part of the path]
    #[arg(long)]
    dataset: Option<String>,
    /// The table, as schema.name [default: raw.<dataset>]
    #[arg(long)]
    table: Option<String>,
    /// The split of rows without one
    #[arg(long)]
    split: Option<String>,
    /// The effect on existing rows
    #[arg(long, value_enum, default_value_t = Mode::Append)]
    mode: Mode,
    /// A column that identifies a row, for --mode merge; may be repeated
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
    /// Read at most this many rows
    #[arg(long, value_name = "ROWS")]
    max_rows: Option<u64>,
    /// Keep media bytes in the table
    #[arg(long)]
    keep_media: bool,
    /// A repeated call with the same key gets the outcome of the first
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

// === impl Ingest ===

impl Ingest {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let dataset = self.dataset.clone().unwrap_or_else(|| dataset_of(&self.source));
        let mode = self.mode.to_possible_value().map(|mode| mode.get_name().to_owned());
        let body = json!({
            "source": uri(&self.source)?,
            "dataset": dataset,
            "table": self.table,
            "split": self.split,
            "mode": mode,
            "key": self.key,
            "max_rows": self.max_rows,
            "media": if self.keep_media { "keep" } else { "extract" },
            "idempotency_key": self.idempotency_key,
        });
        if let Some(result) = self.call.run("ingest", body).await? {
            print_rows(&result["tables"], &["table", "rows_read", "rows_added"])?;
            let (files, assets) = (&result["files"], &result["assets"]);
            let (landing, snapshot) = (text(&result["landing"]), &result["snapshot_id"]);
            output::print(format_args!("{files} files landed in {landing}, {assets} assets, snapshot {snapshot}"))?;
        }
        Ok(())
    }
}

/// Converts a path to a URI, unless it is one.
fn uri(source: &str) -> Result<String> {
    if source.contains("://") {
        return Ok(source.to_owned());
    }
    let path = std::path::absolute(source)?;
    let uri = url::Url::from_file_path(&path)
        .map_err(|()| Error::invalid(format!("\"{source}\" is not an absolute path")))?;
    Ok(uri.into())
}

/// The last part of a path as the name of a data set: in lower case, with underscores for other characters.
fn dataset_of(source: &str) -> String {
    let stem = Path::new(source).file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Run the models of the medallion
///
/// Runs models in the order of their dependencies, each in a transaction, and checks their rows. If a check fails, the table
/// is not changed.
#[derive(Debug, Args)]
pub struct Transform {
    /// Models (silver.x) or layers (silver) to run [default: all]
    select: Vec<String>,
    /// Rebuild tables instead of applying differences
    #[arg(long)]
    full_refresh: bool,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    call: Call,
}

// === impl Transform ===

impl Transform {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let body = json!({ "select": self.select, "full_refresh": self.full_refresh, "dry_run": self.dry_run });
        if let Some(result) = self.call.run("transform", body).await? {
            let columns = ["model", "change", "rows", "rows_inserted", "rows_deleted", "checks_passed", "snapshot_id"];
            print_rows(&result["models"], &columns)?;
        }
        Ok(())
    }
}

/// Roll a table, a schema or the lake back to an earlier snapshot
///
/// Commits the earlier state as a new snapshot; all other snapshots remain readable.
#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    to: SnapshotArgs,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    /// The commit message
    #[arg(long)]
    message: Option<String>,
    #[command(flatten)]
    call: Call,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// The table, as schema.name
    table: Option<String>,
    /// All tables and views of this schema; newer ones are dropped
    #[arg(long)]
    schema: Option<String>,
    /// All schemas of the lake
    #[arg(long)]
    lake: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SnapshotArgs {
    /// The version of the snapshot
    #[arg(long)]
    version: Option<i64>,
    /// The newest snapshot at or before this time
    #[arg(long)]
    timestamp: Option<String>,
    /// The snapshot with this tag
    #[arg(long)]
    tag: Option<String>,
}

// === impl Rollback ===

impl Rollback {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let to = json!({ "version": self.to.version, "timestamp": self.to.timestamp, "tag": self.to.tag });
        let body = json!({
            "table": self.scope.table,
            "schema": self.scope.schema,
            "lake": self.scope.lake,
            "to": without_nulls(to),
            "dry_run": self.dry_run,
            "message": self.message,
        });
        if let Some(result) = self.call.run("rollback", body).await? {
            print_rows(&result["tables"], &["kind", "table", "change", "rows_deleted", "rows_inserted"])?;
            let (from, snapshot) = (&result["restored_from"], &result["snapshot_id"]);
            let unchanged = if result["unchanged"] == true { "nothing to do: already at the " } else { "" };
            output::print(format_args!("{unchanged}state of snapshot {from}; the newest snapshot is {snapshot}"))?;
        }
        Ok(())
    }
}

/// Tag a snapshot, or list the tags
///
/// Lists all tags if no name is given.
#[derive(Debug, Args)]
pub struct Tag {
    /// The tag
    name: Option<String>,
    /// The snapshot to tag [default: the newest]
    #[arg(long)]
    version: Option<i64>,
    /// Delete the tag, but not the snapshot
    #[arg(long, conflicts_with_all = ["version", "replace"])]
    delete: bool,
    /// Move the tag if it exists
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    call: Call,
}

// === impl Tag ===

impl Tag {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let body =
            json!({ "name": self.name, "version": self.version, "delete": self.delete, "replace": self.replace });
        if let Some(result) = self.call.run("tag", body).await? {
            print_rows(&result["tags"], &["name", "version", "author", "created"])?;
        }
        Ok(())
    }
}

/// List running and recent jobs
#[derive(Debug, Args)]
pub struct Jobs {
    #[command(flatten)]
    call: Call,
}

// === impl Jobs ===

impl Jobs {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        if let Some(result) = self.call.run("jobs", json!({})).await? {
            let columns = ["job_id", "action", "author", "state", "phase", "started", "message"];
            print_rows(&result["jobs"], &columns)?;
        }
        Ok(())
    }
}

/// Follow or cancel a job
#[derive(Debug, Args)]
pub struct Job {
    /// Scope to do
    #[arg(value_enum)]
    what: JobCommand,
    /// The job's id
    id: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum JobCommand {
    /// Follow the job until it ends
    Attach,
    /// Cancel the job and undo its uncommitted work
    Cancel,
}

// === impl Job ===

impl Job {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let action = match self.what {
            JobCommand::Attach => "job.attach",
            JobCommand::Cancel => "job.cancel",
        };
        if let Some(result) = self.call.run(action, json!({ "job_id": self.id })).await? {
            output::print(result)?;
        }
        Ok(())
    }
}

/// List the actions of a server, with their parameters
#[derive(Debug, Args)]
pub struct ListActions {
    #[command(flatten)]
    connect: Connect,
}

// === impl ListActions ===

impl ListActions {
    /// Asks the server.
    pub async fn run(self) -> Result<(), Failure> {
        for action in self.connect.client().await?.actions().await? {
            output::print(format_args!("{}\n  {}\n", action.name, action.description))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_under_their_header() {
        let rows = json!([{ "name": "grün", "rows": 12, "ignored": 1 }, { "name": "a b", "rows": null }]);
        assert_eq!(format_rows(&rows, &["name", "rows"]), "name  rows\ngrün  12\na b   –");
        assert_eq!(format_rows(&json!([]), &["name", "rows"]), "name  rows");
    }
}

//! The commands that call one action each: flags to a JSON body, events to a progress bar or to JSON lines.

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
    /// Print every event as a line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connect: Connect,
}

// === impl Call ===

impl Call {
    /// Calls `action` and gives its result.
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

/// Fields that were not given are left out.
pub(super) fn without_nulls(body: Value) -> Value {
    match body {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// The field of a request for the snapshot that somebody named.
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

/// What happens to the rows that are there.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// They stay
    Append,
    /// They go
    Replace,
    /// Those with the same key are updated
    Merge,
}

/// Read files into the lake
///
/// Takes a Parquet, CSV or JSON file, a folder of them, or a COCO folder: annotation JSON and pictures. The files are kept
/// as a landing, media become assets, and all rows come with one snapshot.
#[derive(Debug, Args)]
pub struct Ingest {
    /// Where the data is: a path on the server's machine, or file:///path
    source: String,
    /// The data set's name [default: the last part of the path]
    #[arg(long)]
    dataset: Option<String>,
    /// The table, as schema.name [default: raw.<dataset>]
    #[arg(long)]
    table: Option<String>,
    /// The split of rows that name none
    #[arg(long)]
    split: Option<String>,
    /// What happens to the rows that are there
    #[arg(long, value_enum, default_value_t = Mode::Append)]
    mode: Mode,
    /// A column that identifies a row, for --mode merge; may be repeated
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
    /// Read at most this many rows
    #[arg(long, value_name = "ROWS")]
    max_rows: Option<u64>,
    /// Leave media bytes in the table
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

/// A path as a URI; what is one already stays.
fn uri(source: &str) -> Result<String> {
    if source.contains("://") {
        return Ok(source.to_owned());
    }
    let path = std::path::absolute(source)?;
    let uri = url::Url::from_file_path(&path).map_err(|()| Error::invalid(format!("\"{source}\" is no path")))?;
    Ok(uri.into())
}

/// The last part of a path as a data set's name: lower case, other characters to underscores.
fn dataset_of(source: &str) -> String {
    let stem = Path::new(source).file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Run the medallion's models
///
/// Runs them in the order of their dependencies, one transaction each, and checks their rows. A failed check leaves the
/// old table in place.
#[derive(Debug, Args)]
pub struct Transform {
    /// Models (silver.x) or layers (silver) to run [default: all]
    select: Vec<String>,
    /// Build the tables anew instead of applying the difference
    #[arg(long)]
    full_refresh: bool,
    /// Say what would change and change nothing
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

/// Bring a table, a schema or the lake back to an earlier state
///
/// Makes a new snapshot in which everything is as it was; earlier snapshots stay readable.
#[derive(Debug, Args)]
pub struct Rollback {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    to: Target,
    /// Say what would change and change nothing
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
struct What {
    /// The table, as schema.name
    table: Option<String>,
    /// All tables and views of this schema: what was made since goes
    #[arg(long)]
    schema: Option<String>,
    /// All schemas
    #[arg(long)]
    lake: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The snapshot to go back to
    #[arg(long)]
    version: Option<i64>,
    /// The newest snapshot at or before this moment
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
            "table": self.what.table,
            "schema": self.what.schema,
            "lake": self.what.lake,
            "to": without_nulls(to),
            "dry_run": self.dry_run,
            "message": self.message,
        });
        if let Some(result) = self.call.run("rollback", body).await? {
            print_rows(&result["tables"], &["kind", "table", "change", "rows_deleted", "rows_inserted"])?;
            let (from, snapshot) = (&result["restored_from"], &result["snapshot_id"]);
            let unchanged = if result["unchanged"] == true { "nothing to do: it is the " } else { "" };
            output::print(format_args!("{unchanged}state of snapshot {from}; the newest snapshot is {snapshot}"))?;
        }
        Ok(())
    }
}

/// Name a snapshot, or list the names
///
/// Without a name, lists the tags.
#[derive(Debug, Args)]
pub struct Tag {
    /// The tag
    name: Option<String>,
    /// The snapshot to name [default: the newest]
    #[arg(long)]
    version: Option<i64>,
    /// Remove the tag; the snapshot stays
    #[arg(long, conflicts_with_all = ["version", "replace"])]
    delete: bool,
    /// Move the tag when it stands on another snapshot
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

/// List the jobs that run and the latest that ended
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

/// Follow a job to its end, or stop it
#[derive(Debug, Args)]
pub struct Job {
    /// What to do
    #[arg(value_enum)]
    what: JobCommand,
    /// The job's id
    id: String,
    #[command(flatten)]
    call: Call,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum JobCommand {
    /// Follow the job
    Attach,
    /// Stop the job; what it had not committed is undone
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

/// List the actions of a server with what they do and take
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

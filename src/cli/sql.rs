//! `merganser sql`.

use std::io::{self, Read, Write};

use arrow::{array::RecordBatch, csv, datatypes::Schema, json, util::pretty};
use clap::{Args, ValueEnum};
use futures::TryStreamExt;

use super::{connect::Connect, failure::Failure, output};
use crate::{
    client::Rows,
    error::{Error, Result},
};

/// Run SQL on a server
///
/// Runs statements sequentially in one session and prints their results. `-` reads a statement from stdin.
#[derive(Debug, Args)]
pub struct Sql {
    /// Statements to run
    #[arg(required = true, value_name = "STATEMENT")]
    statements: Vec<String>,
    /// Output format of rows
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Maximum number of rows printed as a table
    #[arg(long, default_value_t = 1_000, value_name = "ROWS")]
    max_rows: usize,
    /// Query a snapshot: a version, a tag or a timestamp such as "2026-01-31 12:00:00", in UTC unless it has an offset
    #[arg(long, value_name = "SNAPSHOT", allow_hyphen_values = true)]
    at: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An aligned table.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object per row.
    Json,
}

// === impl Sql ===

impl Sql {
    /// Runs the command.
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connect.client().await?.at(self.at);
        let format = if self.json { Format::Json } else { self.format };
        for statement in &self.statements {
            let rows = match statement.as_str() {
                "-" => client.execute(&stdin()?).await?,
                sql => client.execute(sql).await?,
            };
            match format {
                Format::Table => print_table(rows, self.max_rows).await?,
                Format::Csv => print_csv(rows).await?,
                Format::Json => print_json(rows).await?,
            }
        }
        Ok(())
    }
}

fn stdin() -> Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

async fn print_table(mut rows: Rows, max_rows: usize) -> Result<()> {
    let mut shown = Vec::<RecordBatch>::new();
    let mut count = 0;
    let mut more = false;
    while let Some(batch) = rows.batches.try_next().await? {
        let room = max_rows - count;
        more = batch.num_rows() > room;
        count += batch.num_rows().min(room);
        shown.push(batch.slice(0, batch.num_rows().min(room)));
        if more {
            break;
        }
    }
    if count > 0 || !is_silent(&rows.schema) {
        let table = pretty::pretty_format_batches_with_schema(rows.schema, &shown);
        output::print(table.map_err(|err| Error::internal(err.to_string()))?)?;
    }
    if more {
        output::note(format_args!("({count} rows shown, more are available: see --max-rows)"));
    }
    Ok(())
}

/// Whether an empty result only acknowledges a statement: DuckDB returns such a column without rows.
fn is_silent(schema: &Schema) -> bool {
    let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    matches!(names.as_slice(), [] | ["Success" | "Count"])
}

async fn print_csv(mut rows: Rows) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().with_header(true).build(io::stdout().lock());
    let empty = RecordBatch::new_empty(rows.schema);
    let failed = |err: arrow::error::ArrowError| Error::internal(err.to_string());
    writer.write(&empty).map_err(failed)?;
    while let Some(batch) = rows.batches.try_next().await? {
        writer.write(&batch).map_err(write_failed)?;
    }
    Ok(())
}

async fn print_json(mut rows: Rows) -> Result<()> {
    let mut writer = json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, json::writer::LineDelimited>(io::stdout().lock());
    while let Some(batch) = rows.batches.try_next().await? {
        writer.write(&batch).map_err(write_failed)?;
    }
    writer.finish().map_err(write_failed)?;
    io::stdout().flush().map_err(output::write_failed)
}

fn write_failed(err: arrow::error::ArrowError) -> Error {
    match err {
        arrow::error::ArrowError::IoError(_, err) => output::write_failed(err),
        other => Error::internal(other.to_string()),
    }
}

//! CSV and JSON files as rows.
//!
//! ```text
//! files ─ inspect ─▶ columns and their types ─ feed ─▶ a temporary table of texts ─ Staged::query ─▶ load
//! ```
//!
//! Each file is read twice, to its end. First to find its dialect, its columns and the types that have all of its values,
//! so that no value is lost to a guess from a sample; then to send its records, which DuckDB converts. A record that cannot
//! be read fails the ingest, with file and line, or is collected as a reject.

mod column;
mod csv;
mod dialect;
mod feed;
mod inspected;
mod json;
mod options;
mod record;
mod scalar;
mod shape;
mod source;
mod staged;
mod values;

use std::{path::Path, sync::Arc};

use tokio::runtime::Handle;

use self::{column::Column, csv::Csv, feed::Feed, inspected::Inspected, json::Json, source::TextFile, staged::Staged};
pub use self::{
    options::{Options, Sign},
    source::encoding,
};
use super::{
    coco_rows,
    format::Format,
    load::{self, Extra, Loaded, Mode},
    rows::Rows,
    source::{DataFile, Files},
    work::Work,
};
use crate::{
    engine::{Connection, inflow},
    error::{Error, Result},
    jobs::Progress,
    lake::commit::Transaction,
    quote::literal,
};

/// Files of either format.
#[derive(Debug)]
enum Text {
    Csv(Csv),
    Json(Json),
}

/// Loads the files as one table, or as those of COCO, and the rejects as another if they are asked for.
///
/// # Errors
/// `InvalidArgument`, with file and line, for a record or value that cannot be read.
pub async fn load(work: &Work<'_>, files: &Files) -> Result<Loaded> {
    let (request, signature, landing) = (work.request.clone(), work.signature(), work.landing.time().to_owned());
    let (table, committer, progress) = (work.table.clone(), Arc::clone(work.lake.committer()), work.progress.clone());
    let splits = files.data.iter().map(|file| (file.name.clone(), file.split.clone())).collect();
    let loading = move |connection: &Connection, staged: Staged<'_>| {
        let staged = staged.with_splits(splits);
        progress.phase("load table", "tables", Some(1));
        let loaded = load::commit(connection, &committer, &signature, |transaction| {
            let query = staged.query();
            let rows =
                Rows { query: &query, table: &table, request: &request, landing: &landing, media: &[], parquet: &[] };
            load_tables(transaction, &staged, &rows)
        });
        loaded.map_err(|err| err.context(format_args!("load {table}")))
    };
    stage(work, files, loading).await
}

/// Writes the rows to the Parquet file `target`, with the name of the file of each in a column `file_column`.
///
/// # Errors
/// As [`load`].
pub async fn convert(work: &Work<'_>, files: &Files, file_column: &'static str, target: &Path) -> Result<()> {
    let target = literal(&target.display().to_string());
    let copying = move |connection: &Connection, staged: Staged<'_>| {
        let staged = staged.with_files(file_column);
        let query = staged.query();
        connection.execute(&format!("COPY ({query}) TO {target} (FORMAT parquet)"), &[])?;
        Ok(())
    };
    stage(work, files, copying).await
}

/// Stages the rows, and gives them to `then`.
async fn stage<T: Send + 'static>(
    work: &Work<'_>,
    files: &Files,
    then: impl FnOnce(&Connection, Staged<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let Inspected { format: text, rejects } = inspect(work, files).await?;
    let text = Arc::new(text);
    let schema = feed::schema(text.width());
    let (sender, inflow) = inflow(&schema)?;
    work.progress.phase("read rows", "rows", None);
    let sending = {
        let (text, options) = (Arc::clone(&text), work.request.reader.clone());
        let mut rows = Feed::new(schema, sender, Handle::current(), work.progress.clone(), work.request.max_rows);
        tokio::task::spawn_blocking(move || {
            let sent = text.feed(&options, &mut rows);
            rows.finish(sent);
        })
    };
    let (request, table) = (work.request.clone(), work.table.clone());
    let lease = work.lake.engine().lease().await?;
    let staging = move |connection: &Connection| {
        let staged = Staged::new(connection, inflow, text.columns(), &rejects)?;
        then(connection, staged.typed(&request, &table)?)
    };
    // Whether the rows were committed decides whether their files may be removed.
    let outcome = lease.worker().run_until(work.progress.cancelled(), staging).await;
    sending.await.map_err(|err| Error::internal("read rows").with_source(err))?;
    outcome
}

fn load_tables(
    transaction: &mut Transaction<'_>,
    staged: &Staged<'_>,
    rows: &Rows<'_>,
) -> Result<Vec<load::TableOutcome>> {
    let Rows { request, table, .. } = *rows;
    let mut tables = coco_rows::load(transaction, rows)?;
    if request.reader.rejects {
        let mode = match &request.mode {
            mode @ (Mode::Replace | Mode::Difference) => mode.clone(),
            Mode::Append | Mode::Merge { .. } => Mode::Append,
        };
        tables.push(load::load(
            transaction,
            &table.with_suffix("rejects"),
            &staged.rejects(),
            &mode,
            Extra::default(),
        )?);
    }
    Ok(tables)
}

async fn inspect(work: &Work<'_>, files: &Files) -> Result<Inspected<Text>> {
    work.progress.phase("inspect files", "files", Some(files.data.len() as u64));
    let (format, options, progress) = (files.format, work.request.reader.clone(), work.progress.clone());
    let text_file = |file: &DataFile| Ok(TextFile { path: file.path()?.to_owned(), name: file.name.clone() });
    let files = files.data.iter().map(text_file).collect::<Result<Vec<_>>>()?;
    let inspecting = tokio::task::spawn_blocking(move || Text::inspect(files, format, &options, &progress));
    inspecting.await.map_err(|err| Error::internal("inspect files").with_source(err))?
}

// === impl Text ===

impl Text {
    fn inspect(
        files: Vec<TextFile>,
        format: Format,
        options: &Options,
        progress: &Progress,
    ) -> Result<Inspected<Self>> {
        if format == Format::Csv {
            let Inspected { format, rejects } = Csv::inspect(files, options, progress)?;
            return Ok(Inspected { format: Self::Csv(format), rejects });
        }
        options.check_json()?;
        let Inspected { format, rejects } = Json::inspect(files, options, progress)?;
        Ok(Inspected { format: Self::Json(format), rejects })
    }

    fn columns(&self) -> Vec<Column> {
        match self {
            Self::Csv(csv) => csv.columns(),
            Self::Json(json) => json.columns(),
        }
    }

    /// The number of texts in a staged row.
    fn width(&self) -> usize {
        match self {
            Self::Csv(csv) => csv.width(),
            Self::Json(_) => 1,
        }
    }

    fn feed(&self, options: &Options, feed: &mut Feed) -> Result<()> {
        match self {
            Self::Csv(csv) => csv.feed(options, feed),
            Self::Json(json) => json.feed(options, feed),
        }
    }
}

//! `merganser ingest`.

use std::path::Path;

use clap::Args;

use super::{call::Call, failure::Failure, output, table::print_table, words::words};
use crate::{
    actions,
    error::{Error, Result},
    proto::{IngestRequest, ingest_request::Media},
};

/// Ingest files into the lake
///
/// Reads a Parquet, CSV or JSON file, a folder of them, or a COCO folder with annotations and images. The files are kept as
/// a landing, media files become assets, and all rows are committed in one snapshot.
#[derive(Debug, Args)]
pub struct Ingest {
    /// The file or folder, on the server's machine: file:///PATH or a path; a relative path is resolved against the working
    /// directory of this command
    source: String,
    /// The name of the dataset [default: the name of the file or folder, without its extension, in lower case, with _ for
    /// characters other than letters and digits]
    #[arg(long)]
    dataset: Option<String>,
    /// The table, as schema.name [default: raw.<dataset>]
    #[arg(long)]
    table: Option<String>,
    /// For a COCO folder: the value of the column split [default: train, val or test, if in the name of the annotation
    /// file]
    #[arg(long)]
    split: Option<String>,
    /// The effect on existing rows
    #[arg(long, value_parser = words("IngestRequest.Mode"), default_value = "append")]
    mode: i32,
    /// A column that identifies a row, for --mode merge; may be repeated
    #[arg(long, value_name = "COLUMN")]
    key: Vec<String>,
    /// Read at most this many rows
    #[arg(long, value_name = "ROWS")]
    max_rows: Option<u64>,
    /// Keep media bytes in the table
    #[arg(long)]
    keep_media: bool,
    /// Return the first call's result if the key was already used
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    call: Call,
}

// === impl Ingest ===

impl Ingest {
    /// Calls the action.
    pub async fn run(self) -> Result<(), Failure> {
        let media = if self.keep_media { Media::Keep } else { Media::Extract };
        let request = IngestRequest {
            dataset: self.dataset.unwrap_or_else(|| dataset_of(&self.source)),
            source: uri(&self.source)?,
            table: self.table,
            config: None,
            split: self.split,
            mode: self.mode,
            key: self.key,
            max_rows: self.max_rows,
            media: media.into(),
            idempotency_key: self.idempotency_key,
            cancel_on_disconnect: false,
        };
        let Some(result) = self.call.run::<actions::Ingest>(request).await? else { return Ok(()) };
        let rows = result.tables.into_iter();
        let rows = rows.map(|table| [table.table, table.rows_read.to_string(), table.rows_added.to_string()]);
        print_table(["table", "rows_read", "rows_added"], rows)?;
        let (files, landing, assets, snapshot) = (result.files, result.landing, result.assets, result.snapshot_id);
        output::print(format_args!("{files} files landed in {landing}, {assets} assets, snapshot {snapshot}"))?;
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

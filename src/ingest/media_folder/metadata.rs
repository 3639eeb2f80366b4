//! The rows of a folder: those of its metadata files, or one for each medium.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Write},
};

use serde::Deserialize;
use serde_json::json;

use super::{
    super::{
        format::{Format, format_of, is_metadata},
        media_rows::FILE,
        source::{DataFile, Files},
        text,
        work::Work,
    },
    files::MediaFiles,
};
use crate::{
    error::{Error, Result},
    quote::literal,
};

/// The rows as a query.
#[derive(Debug)]
pub(super) struct Metadata {
    /// Gives the columns, and [`FILE`], which tells the metadata file of each row.
    pub query: String,
    /// The columns, without that one.
    pub columns: Vec<String>,
    /// The name of each metadata file in the source, by the value of [`FILE`]; none if there are no metadata files.
    pub files: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Column {
    column_name: String,
}

/// The rows of `files`.
///
/// # Errors
/// `InvalidArgument` for metadata files that cannot be read, or are of several formats; errors of DuckDB.
pub(super) async fn rows(work: &Work<'_>, files: &Files, media: &MediaFiles<'_>) -> Result<Metadata> {
    let metadata: Vec<_> = files.data.iter().filter(|file| is_metadata(file.name.as_ref())).cloned().collect();
    let formats: Vec<_> = metadata.iter().filter_map(|file| format_of(file.name.as_ref())).collect();
    if formats.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Error::invalid("the metadata files have several formats; convert them to one"));
    }
    let named = |file: &DataFile| (file.name.clone(), file.name.clone());
    let (query, files) = match formats.first() {
        None => (listed(work, media)?, HashMap::new()),
        Some(Format::Parquet) => {
            let named = |file: &DataFile| (work.landing.engine_path(&file.name), file.name.clone());
            let places: HashMap<_, _> = metadata.iter().map(named).collect();
            let paths: Vec<_> = metadata.iter().map(|file| literal(&work.landing.engine_path(&file.name))).collect();
            let paths = paths.join(", ");
            (format!("FROM read_parquet([{paths}], union_by_name = true, filename = {})", literal(FILE)), places)
        }
        Some(format) => {
            let target = work.spool.join("metadata.parquet");
            let places = metadata.iter().map(named).collect();
            text::convert(work, &Files { format: *format, data: metadata, ..files.clone() }, FILE, &target).await?;
            (format!("FROM read_parquet({})", literal(&target.display().to_string())), places)
        }
    };
    let limit = work.request.max_rows.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
    let query = format!("{query}{limit}");
    let sql = format!("SELECT column_name FROM (DESCRIBE {query})");
    let columns: Vec<Column> = work.lake.engine().run(move |connection| connection.records(&sql, &[])).await?;
    let columns = columns.into_iter().map(|column| column.column_name).filter(|name| name != FILE);
    Ok(Metadata { query, columns: columns.collect(), files })
}

/// One row a medium, with its label if there are labels.
fn listed(work: &Work<'_>, media: &MediaFiles<'_>) -> Result<String> {
    let path = work.spool.join("files.ndjson");
    let mut out = BufWriter::new(File::create(&path)?);
    let rows = media.labelled();
    for (name, label) in &rows {
        writeln!(out, "{}", json!({ FILE: "", "file_name": name, "label": label }))?;
    }
    out.flush()?;
    let label = if rows.iter().any(|(_, label)| label.is_some()) { ", label: 'VARCHAR'" } else { "" };
    Ok(format!(
        "FROM read_json({}, format = 'newline_delimited', columns = {{{FILE}: 'VARCHAR', file_name: 'VARCHAR'{label}}})",
        literal(&path.display().to_string())
    ))
}

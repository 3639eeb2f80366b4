//! Parquet files as one table. Media columns (`STRUCT(bytes BLOB, path VARCHAR)`, as in data sets of hubs)
//! are stored as assets, and the table contains their URIs.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::Int64Type,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    assets::Assets,
    load::{self, Loaded, SPLIT},
    work::Work,
};
use crate::{
    error::{Error, Result},
    lake::commit::Transaction,
    quote::{identifier, literal},
};

/// The type of a media column, as DuckDB writes it.
const MEDIA_TYPE: &str = "STRUCT(bytes BLOB, \"path\" VARCHAR)";

#[derive(Deserialize)]
struct Column {
    column_name: String,
    column_type: String,
}

/// The columns by which the URIs are joined.
const FILE: &str = "merganser_file";
const ROW: &str = "file_row_number";

/// The paths of Parquet files for DuckDB, by the split that their rows get unless they have one.
pub(super) type Paths = BTreeMap<Option<String>, Vec<String>>;

/// Loads the files as one table.
pub async fn load(work: &Work<'_>, files: Paths, assets: &mut Assets) -> Result<Loaded> {
    let mut reader = Reader { files, adds_split: false };
    let columns = columns(work, &reader.sql(false)).await?;
    reader.adds_split = !columns.iter().any(|column| column.column_name.eq_ignore_ascii_case(SPLIT))
        && reader.files.keys().any(Option::is_some);
    let is_media = |column: &&Column| work.request.extract_media && is_media(&column.column_type);
    let media: Vec<_> = columns.iter().filter(is_media).map(|column| column.column_name.clone()).collect();
    let has_media = !media.is_empty();
    if has_media && let Some(taken) = columns.iter().find(|column| [FILE, ROW].contains(&column.column_name.as_str())) {
        return Err(Error::invalid(format!(
            "a file with media columns cannot have a column \"{}\"; rename it, or set \"media\": \"keep\"",
            taken.column_name
        )));
    }
    let reader = reader.sql(has_media);
    let mut stored = Vec::new();
    for (index, column) in media.into_iter().enumerate() {
        let uris = work.spool.join(format!("uris_{index}.ndjson"));
        store(work, &reader, &column, &uris, assets).await?;
        stored.push((column, uris));
    }
    work.progress.phase("load table", "tables", Some(1));
    let query = query(&reader, &stored, work.request.max_rows);
    let (mode, table) = (work.request.mode.clone(), work.table.clone());
    let load = move |transaction: &mut Transaction<'_>| Ok(vec![load::load(transaction, &table, &query, &mode, None)?]);
    work.commit(load).await.map_err(|err| err.context(format_args!("load {}", work.table)))
}

/// The files of an ingest.
struct Reader {
    files: Paths,
    /// Whether the rows get a column with the split of their file.
    adds_split: bool,
}

// === impl Reader ===

impl Reader {
    /// What reads the files, in a FROM clause; with `places`, each row has its file and its number in it.
    fn sql(&self, places: bool) -> String {
        if !self.adds_split {
            return read_parquet(self.files.values().flatten(), places);
        }
        let parts = self.files.iter().map(|(split, files)| {
            let split = split.as_deref().map_or_else(|| "NULL::VARCHAR".to_owned(), literal);
            format!("SELECT *, {split} AS {SPLIT} FROM {}", read_parquet(files, places))
        });
        format!("({})", parts.collect::<Vec<_>>().join(" UNION ALL BY NAME "))
    }
}

fn read_parquet<'f>(files: impl IntoIterator<Item = &'f String>, places: bool) -> String {
    let files: Vec<_> = files.into_iter().map(|file| literal(file)).collect();
    let files = files.join(", ");
    let places = if places { format!(", filename = {}, file_row_number = true", literal(FILE)) } else { String::new() };
    format!("read_parquet([{files}], union_by_name = true{places})")
}

fn query(reader: &str, stored: &[(String, PathBuf)], max_rows: Option<u64>) -> String {
    let mut joins = String::new();
    let mut uris = Vec::new();
    for (index, (column, file)) in stored.iter().enumerate() {
        let file = literal(&file.display().to_string());
        joins.push_str(&format!(
            " LEFT JOIN read_json({file}, format = 'newline_delimited', \
             columns = {{file: 'VARCHAR', row: 'BIGINT', uri: 'VARCHAR'}}) stored_{index} \
             ON stored_{index}.file = rows.{FILE} AND stored_{index}.row = rows.{ROW}"
        ));
        uris.push(format!("stored_{index}.uri AS {}", identifier(column)));
    }
    let replaced = if uris.is_empty() { String::new() } else { format!(" REPLACE ({})", uris.join(", ")) };
    let placed = if stored.is_empty() { String::new() } else { format!(" EXCLUDE ({FILE}, {ROW})") };
    let limit = max_rows.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
    format!("SELECT rows.*{placed}{replaced} FROM {reader} rows{joins}{limit}")
}

async fn columns(work: &Work<'_>, reader: &str) -> Result<Vec<Column>> {
    let sql = format!("SELECT column_name, column_type FROM (DESCRIBE FROM {reader})");
    work.lake.engine().run(move |connection| connection.records(&sql, &[])).await
}

fn is_media(column_type: &str) -> bool {
    column_type.replace('"', "") == MEDIA_TYPE.replace('"', "")
}

/// Stores the blobs of `column` as assets, and writes file, row and URI of each to a file.
async fn store(work: &Work<'_>, reader: &str, column: &str, uris: &Path, assets: &mut Assets) -> Result<()> {
    work.progress.phase(format!("store assets of {column}"), "assets", None);
    let name = identifier(column);
    let limit = work.request.max_rows.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
    let sql = format!("SELECT {FILE}, {ROW}, {name}.bytes, {name}.path FROM {reader}{limit}");
    let lease = work.lake.engine().lease().await?;
    // At most one batch is buffered while another is stored: blobs are large.
    let (sender, mut batches) = mpsc::channel::<Result<RecordBatch>>(1);
    let _guard = lease.worker().spawn(move |connection| {
        let sent = connection.prepare(&sql).and_then(|statement| {
            let mut rows = statement.execute(&[])?;
            while let Some(batch) = rows.next_batch()? {
                if sender.blocking_send(Ok(batch)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        if let Err(err) = sent {
            let _ = sender.blocking_send(Err(err));
        }
    });
    let mut out = BufWriter::new(File::create(uris)?);
    while let Some(batch) = work.progress.unless_cancelled(async { Ok(batches.recv().await) }).await? {
        store_batch(work, column, &batch?, &mut out, assets).await?;
    }
    Ok(out.flush()?)
}

async fn store_batch(
    work: &Work<'_>,
    column: &str,
    batch: &RecordBatch,
    out: &mut BufWriter<File>,
    assets: &mut Assets,
) -> Result<()> {
    let columns = (
        batch.column(0).as_string_opt::<i32>(),
        batch.column(1).as_primitive_opt::<Int64Type>(),
        batch.column(2).as_binary_opt::<i32>(),
        batch.column(3).as_string_opt::<i32>(),
    );
    let (Some(files), Some(rows), Some(blobs), Some(paths)) = columns else {
        return Err(Error::internal("media columns have an unexpected type"));
    };
    for index in 0..batch.num_rows() {
        work.progress.check()?;
        let (file, row) = (files.value(index), rows.value(index));
        let path = paths.is_valid(index).then(|| paths.value(index));
        // Without bytes, the path is the URI of the media.
        let uri = if blobs.is_valid(index) {
            let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = Bytes::copy_from_slice(blobs.value(index));
            Some(assets.put(column, path, &format!("{stem}-{row:06}"), bytes).await?)
        } else {
            path.map(str::to_owned)
        };
        writeln!(out, "{}", json!({ "file": file, "row": row, "uri": uri }))?;
        work.progress.advance(1);
    }
    Ok(())
}

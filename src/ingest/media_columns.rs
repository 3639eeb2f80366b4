//! Parquet files as rows. Media columns are stored as assets, and the table contains their URIs, with side columns
//! for what is known about each medium: `<column>_width`, `_height`, `_format`, `_duration`, `_bytes` and `_sha256`.
//!
//! Media columns are `STRUCT(bytes BLOB, path VARCHAR)`, as in data sets of hubs, lists of those, and BLOBs that the request
//! names. A list becomes a list of URIs, and its side columns are lists too.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use serde::Deserialize;

use super::{
    assets::Assets,
    coco_rows,
    load::{Loaded, SPLIT},
    media_rows::{self, FILE, ROW},
    media_side::{self, SIDE},
    rows::Rows,
    source::Content,
    work::Work,
};
use crate::{
    error::{Error, Result},
    lake::commit::Transaction,
    quote::{identifier, literal},
};

/// A column of the source.
#[derive(Clone, Debug, Deserialize)]
struct Column {
    column_name: String,
    column_type: String,
}

/// How a column contains media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Struct,
    List,
    Blob,
}

/// A media column.
#[derive(Clone, Debug)]
struct MediaColumn {
    name: String,
    form: Form,
    /// The file with what is known about the stored media.
    stored: PathBuf,
}

/// Parquet files, by the split that their rows get unless they have one.
pub(super) type Tables = BTreeMap<Option<String>, Vec<Table>>;

/// A Parquet file.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// What DuckDB opens.
    pub pattern: String,
    /// What DuckDB calls it then: the same without escapes.
    pub name: String,
    /// Where its media are read.
    pub content: Content,
}

/// Loads the files: as one table, or as those of COCO.
pub async fn load(work: &Work<'_>, files: Tables, assets: &Assets) -> Result<Loaded> {
    let mut reader = Reader { files, adds_split: false };
    let columns = columns(work, &reader.sql(false)).await?;
    reader.adds_split = !columns.iter().any(|column| column.column_name.eq_ignore_ascii_case(SPLIT))
        && reader.files.keys().any(Option::is_some);
    let media = media(work, &columns)?;
    check_names(&columns, &media)?;
    let parquet: Vec<_> = reader.files.values().flatten().map(|file| file.pattern.clone()).collect();
    for column in &media {
        work.progress.phase(format!("store assets of {}", column.name), "assets", None);
        store(work, column, &reader.files, assets).await?;
    }
    let reader = reader.sql(!media.is_empty());
    work.progress.phase("load table", "tables", Some(1));
    let query = query(&reader, &media, work.request.max_rows);
    let (request, table, landing) = (work.request.clone(), work.table.clone(), work.landing.time().to_owned());
    let names: Vec<_> = media.into_iter().map(|column| column.name).collect();
    let load = move |transaction: &mut Transaction<'_>| {
        let rows = Rows {
            query: &query,
            table: &table,
            request: &request,
            landing: &landing,
            media: &names,
            parquet: &parquet,
        };
        coco_rows::load(transaction, &rows)
    };
    work.commit(load).await.map_err(|err| err.context(format_args!("load {}", work.table)))
}

/// Stores the media of a column in all files.
async fn store(work: &Work<'_>, column: &MediaColumn, files: &Tables, assets: &Assets) -> Result<()> {
    let mut out = BufWriter::new(File::create(&column.stored)?);
    let (mut max_rows, mut is_found) = (work.request.max_rows.unwrap_or(u64::MAX), false);
    for file in files.values().flatten() {
        if max_rows == 0 {
            break;
        }
        let fetched = work.spool.join("media.parquet");
        let here = match &file.content {
            Content::Here(path) => path,
            Content::Landed { path, .. } => {
                work.landing.fetch(path, &fetched).await?;
                &fetched
            }
        };
        let source = media_rows::Source { here, name: &file.name, column: &column.name, max_rows };
        let read = media_rows::store(work, source, assets, &mut out).await?;
        (max_rows, is_found) = (max_rows - read.rows, is_found || read.has_column);
    }
    if !is_found && max_rows > 0 {
        let name = &column.name;
        return Err(Error::invalid(format!("read media: no file has a column \"{name}\"; give it a name of its own")));
    }
    Ok(out.flush()?)
}

/// The media columns among `columns`.
fn media(work: &Work<'_>, columns: &[Column]) -> Result<Vec<MediaColumn>> {
    let named = &work.request.media_columns;
    let is_named = |column: &Column| named.iter().any(|name| name.eq_ignore_ascii_case(&column.column_name));
    let is_there = |name: &&String| !columns.iter().any(|column| column.column_name.eq_ignore_ascii_case(name));
    if let Some(absent) = named.iter().find(is_there) {
        return Err(Error::invalid(format!("\"media_columns\": the source has no column \"{absent}\"")));
    }
    let mut media = Vec::new();
    for column in columns.iter().filter(|_| work.request.extract_media) {
        let form = Form::of(&column.column_type);
        let is_named = is_named(column);
        let form = match form {
            Some(Form::Blob) if !is_named => None,
            None if is_named => {
                return Err(Error::invalid(format!(
                    "\"media_columns\": the column \"{}\" is {}, which cannot contain media",
                    column.column_name, column.column_type
                )));
            }
            form => form,
        };
        if let Some(form) = form {
            let stored = work.spool.join(format!("media_{}.ndjson", media.len()));
            media.push(MediaColumn { name: column.column_name.clone(), form, stored });
        }
    }
    Ok(media)
}

/// Fails if a column has a name that is needed.
fn check_names(columns: &[Column], media: &[MediaColumn]) -> Result<()> {
    let side = media.iter().flat_map(|medium| media_side::of(&medium.name));
    let taken: Vec<_> = side.chain([FILE, ROW].map(str::to_owned)).filter(|_| !media.is_empty()).collect();
    let is_taken = |column: &&Column| taken.iter().any(|name| name.eq_ignore_ascii_case(&column.column_name));
    match columns.iter().find(is_taken) {
        None => Ok(()),
        Some(column) => Err(Error::invalid(format!(
            "a file with media columns cannot have a column \"{}\"; rename it, or set \"media\": \"keep\"",
            column.column_name
        ))),
    }
}

// === impl Form ===

impl Form {
    /// That of a column with this type, as DuckDB writes it.
    fn of(column_type: &str) -> Option<Self> {
        let plain = column_type.replace('"', "");
        let is_struct =
            |text: &str| ["STRUCT(bytes BLOB, path VARCHAR)", "STRUCT(path VARCHAR, bytes BLOB)"].contains(&text);
        match plain.strip_suffix("[]") {
            Some(element) if is_struct(element) => Some(Self::List),
            None if is_struct(&plain) => Some(Self::Struct),
            None if plain == "BLOB" => Some(Self::Blob),
            _ => None,
        }
    }
}

// === impl MediaColumn ===

impl MediaColumn {
    /// The stored media in a FROM clause: one row for each of the source.
    fn stored(&self) -> String {
        let reader = media_rows::stored(&self.stored);
        if self.form != Form::List {
            return reader;
        }
        // Of an empty list, a line without a medium is stored.
        let listed = |name: &str| {
            format!("coalesce(system.main.list({name} ORDER BY number) FILTER (number > 0), []) AS {name}")
        };
        let side = SIDE.map(|(name, _)| listed(name)).join(", ");
        format!("(SELECT file, \"row\", {}, {side} FROM {reader} GROUP BY ALL)", listed("uri"))
    }
}

/// The files of an ingest.
struct Reader {
    files: Tables,
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

fn read_parquet<'f>(files: impl IntoIterator<Item = &'f Table>, places: bool) -> String {
    let files: Vec<_> = files.into_iter().map(|file| literal(&file.pattern)).collect();
    let files = files.join(", ");
    let places = if places { format!(", filename = {}, file_row_number = true", literal(FILE)) } else { String::new() };
    format!("read_parquet([{files}], union_by_name = true{places})")
}

fn query(reader: &str, media: &[MediaColumn], max_rows: Option<u64>) -> String {
    let limit = max_rows.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
    // Before the joins, which do not keep the order: the first rows are those whose media were stored.
    let rows = format!("(FROM {reader}{limit}) rows");
    if media.is_empty() {
        return format!("FROM {rows}");
    }
    let (mut joins, mut uris, mut sides) = (String::new(), Vec::new(), Vec::new());
    for (index, column) in media.iter().enumerate() {
        joins.push_str(&format!(
            " LEFT JOIN {} stored_{index} ON stored_{index}.file = rows.{FILE} AND stored_{index}.\"row\" = rows.{ROW}",
            column.stored()
        ));
        uris.push(format!("stored_{index}.uri AS {}", identifier(&column.name)));
        for (side, _) in SIDE {
            let name = identifier(&format!("{}_{side}", column.name));
            sides.push(format!("stored_{index}.{side} AS {name}"));
        }
    }
    format!(
        "SELECT rows.* EXCLUDE ({FILE}, {ROW}) REPLACE ({}), {} FROM {rows}{joins}",
        uris.join(", "),
        sides.join(", ")
    )
}

async fn columns(work: &Work<'_>, reader: &str) -> Result<Vec<Column>> {
    let sql = format!("SELECT column_name, column_type FROM (DESCRIBE FROM {reader})");
    work.lake.engine().run(move |connection| connection.records(&sql, &[])).await
}

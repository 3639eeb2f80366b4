//! The rows of a publication: what is known about them, and the Parquet files that they become.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use serde::Deserialize;
use serde_json::json;

use super::{
    embed::Embedding,
    features::Features,
    media::{self, MediaFiles},
    provenance::{FORMAT_VERSION, Provenance, Published, Split},
    request::{Media, MediaKind, Request},
    state::Wanted,
};
use crate::{
    context::Principal,
    engine::{Connection, Engine},
    error::{Error, Result},
    export::{self, About, Column, Compression, ExportedFile, Format, Rows, Selection, ShardSettings},
    hub::{NewContent, NewFile},
    ingest::media_side,
    jobs::Progress,
    quote::{identifier, literal},
};

/// The split of rows without a column for it.
const TRAIN: &str = "train";
/// The types of columns with URIs, and with lists of them.
const TEXT: &str = "VARCHAR";
const LISTED: &str = "VARCHAR[]";

/// What is known about the rows.
#[derive(Clone, Debug)]
pub struct Source {
    /// Snapshot, lineage, columns.
    pub about: About,
    /// What is published.
    pub published: Published,
    /// The query of all rows.
    query: String,
    /// Whether it is a table, whose rows depend on its changes alone.
    is_table: bool,
    /// The columns with media, unless their URIs stay.
    media: BTreeMap<String, MediaKind>,
    /// The names of the splits.
    splits: Vec<String>,
}

// === impl Source ===

impl Source {
    /// Reads what is known about the rows of a request.
    ///
    /// # Errors
    /// `NotFound` for an unknown table; `InvalidArgument` for columns that are not there or cannot be published.
    pub async fn read(engine: &Engine, request: &Request, author: &Principal) -> Result<Self> {
        let (request, user) = (request.clone(), author.name().to_owned());
        let lease = engine.lease_for(author).await?;
        let work = move |connection: &Connection| connection.as_user(&user, || Self::of(connection, &request));
        lease.worker().run(work).await
    }

    fn of(connection: &Connection, request: &Request) -> Result<Self> {
        let (mut about, query) = export::begin(connection, &Selection::new(request.rows.clone(), Format::Parquet))?;
        // The rows are those of the snapshot that changed their tables last, whatever happened to others since.
        let changed: Option<Vec<_>> = about.lineage.iter().map(|read| read.snapshot_id).collect();
        if let Some(last) = changed.into_iter().flatten().max() {
            about.snapshot_time = export::time_of(connection, last)?;
            about.snapshot_id = last;
        }
        let media = match request.media {
            Media::Embed | Media::Upload => media_of(connection, &query, &about.columns, request)?,
            Media::Uri => BTreeMap::new(),
        };
        check_classes(&about.columns, request)?;
        let splits = match &request.split_column {
            Some(column) => splits_of(connection, &query, &about.columns, column)?,
            None => vec![TRAIN.to_owned()],
        };
        let is_table = match &request.rows {
            Rows::Table(table) => export::is_table(connection, table)?,
            Rows::Query(_) => false,
        };
        Ok(Self { about, published: published(request), query, is_table, media, splits })
    }

    /// The columns with media that become files.
    pub fn uploaded(&self, request: &Request) -> BTreeSet<String> {
        match request.media {
            Media::Upload => self.media.keys().cloned().collect(),
            Media::Embed | Media::Uri => BTreeSet::new(),
        }
    }

    /// The columns with lists of media whose bytes become part of the rows.
    fn embedded_lists(&self, request: &Request) -> BTreeSet<String> {
        let lists = self.media.keys().filter(|column| request.media == Media::Embed && self.is(column, LISTED));
        lists.cloned().collect()
    }

    fn is(&self, column: &str, data_type: &str) -> bool {
        self.about.columns.iter().any(|found| found.name == column && found.data_type == data_type)
    }

    /// Whether the same lineage means the same rows.
    pub fn is_reproducible(&self) -> bool {
        self.is_table && self.about.lineage.iter().all(|read| read.snapshot_id.is_some())
    }

    /// The query of a split.
    fn query_of(&self, request: &Request, split: &str) -> String {
        let mut query = match &request.split_column {
            None => self.query.clone(),
            Some(column) => {
                let column = identifier(column);
                let (all, split) = (&self.query, literal(split));
                format!("SELECT * EXCLUDE ({column}) FROM ({all}\n) WHERE {column} = {split}")
            }
        };
        let labels = request.class_labels.iter().map(|(column, classes)| {
            let number = number_of(column, classes, self.is(column, TEXT));
            format!("({number})::BIGINT AS {}", identifier(column))
        });
        let labels: Vec<_> = labels.collect();
        if !labels.is_empty() {
            query = format!("SELECT * REPLACE ({}) FROM ({query}\n)", labels.join(", "));
        }
        if self.media.is_empty() {
            return query;
        }
        // The media tell what their side columns say, and an ingest makes those again.
        let side = self.media.keys().flat_map(|column| media_side::of(column));
        let side = side.filter(|side| self.about.columns.iter().any(|column| column.name == *side));
        let side: Vec<_> = side.map(|side| identifier(&side)).collect();
        let embedded = self.media.keys().filter(|column| request.media == Media::Embed && !self.is(column, LISTED));
        let embedded: Vec<_> = embedded.collect();
        match (embedded.is_empty(), side.is_empty()) {
            (true, true) => query,
            (true, false) => format!("SELECT * EXCLUDE ({}) FROM ({query}\n)", side.join(", ")),
            (false, _) => with_bytes(&query, &embedded, side),
        }
    }
}

/// `query` with the bytes of media in place of their URIs, in the form of `datasets`, and without the columns `side`. What is
/// on the web stays there.
fn with_bytes(query: &str, columns: &[&String], side: Vec<String>) -> String {
    let mut left_out = side;
    let (mut reads, mut replaced) = (Vec::new(), Vec::new());
    for (number, column) in columns.iter().enumerate() {
        let (uri, bytes) = (identifier(column), format!("merganser_bytes_{number}"));
        let is_on_the_web = format!("regexp_matches({uri}, '^(https?|hf)://')");
        reads.push(format!("read_object(CASE WHEN {is_on_the_web} THEN NULL ELSE {uri} END) AS {bytes}"));
        replaced.push(format!(
            "CASE WHEN {uri} IS NOT NULL THEN {{'bytes': {bytes}, 'path': CASE WHEN {is_on_the_web} THEN {uri} \
             ELSE regexp_extract({uri}, '[^/]*$') END}} END AS {uri}"
        ));
        left_out.push(bytes);
    }
    format!(
        "SELECT * EXCLUDE ({}) REPLACE ({}) FROM (SELECT *, {} FROM ({query}\n))",
        left_out.join(", "),
        replaced.join(", "),
        reads.join(", ")
    )
}

/// The number of a class: the value itself, or the place of its name.
fn number_of(column: &str, classes: &[String], is_name: bool) -> String {
    let (text, column) = (literal(column), identifier(column));
    let number = if is_name {
        let names: Vec<_> = classes.iter().map(|name| literal(name)).collect();
        format!("list_position([{}], {column}) - 1", names.join(", "))
    } else {
        // -1 stands for no class.
        format!("CASE WHEN {column} BETWEEN -1 AND {} THEN {column} END", classes.len().saturating_sub(1))
    };
    format!(
        "CASE WHEN {column} IS NOT NULL THEN coalesce({number}, \
         error(format('\"class_labels\": the column {{}} has the value {{}}, which is no class', {text}, {column}))) END"
    )
}

/// The columns of media: those that the request names, and those that an ingest has made, with their side columns.
fn media_of(
    connection: &Connection,
    query: &str,
    columns: &[Column],
    request: &Request,
) -> Result<BTreeMap<String, MediaKind>> {
    #[derive(Deserialize)]
    struct Kind {
        kind: String,
    }
    let find = |name: &str| columns.iter().find(|column| column.name == name);
    let mut media = BTreeMap::new();
    for (name, kind) in &request.media_columns {
        check_column(columns, "media_columns", name, &[TEXT, LISTED])?;
        media.insert(name.clone(), *kind);
    }
    for Column { name, data_type } in columns {
        let format = format!("{name}_format");
        let has_side = find(&format).is_some() && find(&format!("{name}_sha256")).is_some();
        let is_made = has_side && [TEXT, LISTED].contains(&data_type.as_str());
        if !is_made || media.contains_key(name) {
            continue;
        }
        let format = identifier(&format);
        let format = if data_type == LISTED { format!("unnest({format})") } else { format };
        let sql = format!(
            "SELECT DISTINCT split_part(format, '/', 1) AS kind FROM (SELECT {format} AS format FROM ({query}\n)) \
             WHERE format IS NOT NULL LIMIT 2"
        );
        let kinds: Vec<Kind> = connection.records(&sql, &[])?;
        if let [Kind { kind }] = kinds.as_slice()
            && let Some(kind) = MediaKind::named(kind)
        {
            media.insert(name.clone(), kind);
        }
    }
    Ok(media)
}

fn check_classes(columns: &[Column], request: &Request) -> Result<()> {
    const TYPES: [&str; 9] =
        ["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", TEXT];
    for (name, classes) in &request.class_labels {
        check_column(columns, "class_labels", name, &TYPES)?;
        if classes.is_empty() {
            return Err(Error::invalid(format!("\"class_labels\": {} has no names", identifier(name))));
        }
    }
    Ok(())
}

fn check_column(columns: &[Column], field: &str, name: &str, types: &[&str]) -> Result<()> {
    let column = identifier(name);
    match columns.iter().find(|column| column.name == name) {
        None => Err(Error::invalid(format!("\"{field}\": there is no column {column}"))),
        Some(found) if !types.contains(&found.data_type.as_str()) => Err(Error::invalid(format!(
            "\"{field}\": the column {column} is {}, expected {}",
            found.data_type,
            types.join(", ")
        ))),
        Some(_) => Ok(()),
    }
}

/// The values of the column of splits, which are names of files and of variables.
fn splits_of(connection: &Connection, query: &str, columns: &[Column], column: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Row {
        split: Option<String>,
    }
    const MOST: usize = 100;
    check_column(columns, "split_column", column, &["VARCHAR"])?;
    let sql =
        format!("SELECT DISTINCT {} AS split FROM ({query}\n) ORDER BY split LIMIT {}", identifier(column), MOST + 1);
    let rows: Vec<Row> = connection.records(&sql, &[])?;
    if rows.len() > MOST {
        return Err(Error::invalid(format!("\"split_column\": {} has more than {MOST} values", identifier(column))));
    }
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut splits = Vec::new();
    for Row { split } in rows {
        match split {
            Some(split) if split.split('.').all(is_word) => splits.push(split),
            Some(split) => {
                let split: String = split.chars().take(100).collect();
                return Err(Error::invalid(format!(
                    "\"{split}\" is not the name of a split: use letters, digits and underscores"
                )));
            }
            None => {
                return Err(Error::invalid(format!(
                    "the column {} has NULLs: give each row a split, or publish a query without them",
                    identifier(column)
                )));
            }
        }
    }
    if splits.is_empty() {
        splits.push(TRAIN.to_owned());
    }
    Ok(splits)
}

fn published(request: &Request) -> Published {
    let (table, query) = request.rows.described();
    let media_columns: BTreeMap<_, _> =
        request.media_columns.iter().map(|(column, kind)| (column.as_str(), kind.name())).collect();
    let media = match request.media {
        Media::Embed => json!("embed"),
        Media::Uri => json!("uri"),
        // The rows of a copy of the data set, or of another branch, do not name its own files.
        Media::Upload => json!({"upload": request.address()}),
    };
    let options = json!({
        "split_column": request.split_column,
        "media": media,
        "media_columns": media_columns,
        "class_labels": request.class_labels,
        "shard_bytes": request.shard_bytes,
    });
    Published { table, query, options: options.to_string() }
}

/// Writes the rows to files in the folder `spool`, split by split, with the addresses of `media`.
///
/// # Errors
/// `InvalidArgument` for columns that a data set cannot hold; `NotFound` for media that are missing; errors of the query and
/// of the disk; Cancelled.
pub async fn write(
    engine: &Engine,
    request: &Request,
    source: &Source,
    author: &Principal,
    (spool, media): (&Path, &Arc<MediaFiles>),
    progress: &Progress,
) -> Result<Wanted> {
    let (mut splits, mut files, mut data, mut features) = (Vec::new(), Vec::new(), Vec::new(), None);
    for split in &source.splits {
        let rows = Selection::new(Rows::Query(source.query_of(request, split)), Format::Parquet);
        let mut opened = export::open(engine, &rows, author, progress).await?;
        let embedding = Embedding::new(media.storage().clone(), source.embedded_lists(request));
        opened.stream = embedding.in_place(media.in_place(opened.stream));
        opened.schema = opened.stream.schema();
        let described = Features::of(&opened.schema, &source.media, &request.class_labels)?;
        progress.phase(format!("write {split}"), "rows", None);
        let settings = ShardSettings {
            format: Format::Parquet,
            compression: Compression::FormatDefault,
            shard_bytes: request.shard_bytes,
            threads: engine.threads(),
            prefix: split.clone(),
            key_values: vec![("huggingface".to_owned(), described.metadata())],
        };
        let written = export::write(&mut opened, &settings, spool, None, progress).await?;
        let count = written.len();
        splits.push(Split {
            name: split.clone(),
            rows: written.iter().map(|file| file.rows).sum(),
            files: count,
            bytes: written.iter().map(|file| file.bytes).sum(),
        });
        for (number, ExportedFile { path, rows, bytes, sha256 }) in written.into_iter().enumerate() {
            let content = NewContent::File(spool.join(path));
            let path = format!("data/{split}-{number:05}-of-{count:05}.parquet");
            data.push(NewFile { path: path.clone(), bytes, sha256: sha256.clone(), content });
            files.push(ExportedFile { path, rows, bytes, sha256 });
        }
        features = Some(described);
    }
    let features = features.ok_or_else(|| Error::internal("there is no split"))?;
    let about = source.about.clone();
    let provenance = Provenance {
        format_version: FORMAT_VERSION,
        source: source.published.clone(),
        snapshot_id: about.snapshot_id,
        snapshot_time: about.snapshot_time,
        lineage: about.lineage,
        columns: about.columns,
        splits,
        files,
        media: media::of_new(&media.files()),
        written_by: concat!("merganser ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Ok(Wanted { features, provenance, data, media: Arc::clone(media) })
}

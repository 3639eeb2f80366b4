//! The rows of an export, and what is known about them, from one transaction at one snapshot.

use std::{
    collections::BTreeSet,
    mem,
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{
    frames::{self, FrameRows, Records},
    record::{Column, Lineage},
    request::{Compression, Format, Materialize, Request, Rows},
    samples::{self, Materializer},
};
use crate::{
    context::Principal,
    engine::{self, BatchLimits, BatchSender, BatchStream, Connection, Engine, Lease, Value},
    error::{Context, Error, ErrorKind, Result},
    ids::SnapshotId,
    jobs::Progress,
    lake::{
        METADATA,
        history::{self, Filter},
        snapshots::{self, SnapshotRef},
        standing,
        stored_types::stored,
        table::TableRef,
    },
    quote::{identifier, literal},
    storage::Storage,
};

/// The batches in which rows arrive.
const LIMITS: BatchLimits = BatchLimits { bytes: 4 << 20, rows: 1 << 16 };

/// What is known about the rows.
#[derive(Clone, Debug)]
pub struct About {
    /// The snapshot that is read.
    pub snapshot_id: SnapshotId,
    /// When it was made.
    pub snapshot_time: String,
    /// What wrote the tables that are read.
    pub lineage: Vec<Lineage>,
    /// The columns.
    pub columns: Vec<Column>,
}

/// Which rows are read, and how.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The table or query.
    pub rows: Rows,
    /// They get the types that this format holds.
    pub format: Format,
    /// Whether the rows of an interleaved sample must be next to each other.
    pub whole_samples: bool,
}

/// Rows that are read.
#[derive(Debug)]
pub struct Opened {
    /// What is known about them.
    pub about: About,
    /// Their columns in Arrow.
    pub schema: SchemaRef,
    pub stream: BatchStream,
    made: Made,
    /// The connection, which nothing else may need meanwhile.
    _lease: Lease,
}

/// What is made of the rows that are read.
#[derive(Debug)]
enum Made {
    /// Nothing.
    AsRead,
    /// Rows with their bytes.
    Materialized(Box<Materializer>),
    /// Rows of frames.
    Frames(Box<FrameRows>),
}

// === impl Selection ===

impl Selection {
    /// The rows as they are, in the types that `format` holds.
    pub fn new(rows: Rows, format: Format) -> Self {
        Self { rows, format, whole_samples: format == Format::Webdataset }
    }
}

// === impl Opened ===

impl Opened {
    /// Has the bytes fetched that rows of samples refer to.
    ///
    /// # Errors
    /// `InvalidArgument` if the rows are no samples.
    pub fn materialize(&mut self, storage: &Storage, staging: PathBuf, policy: Materialize) -> Result<()> {
        let materializer = Materializer::new(&self.schema, storage, staging, policy)?;
        self.made = Made::Materialized(Box::new(materializer));
        Ok(())
    }

    /// Has rows of frames made of the videos.
    pub fn decode(&mut self, frames: FrameRows) {
        self.made = Made::Frames(Box::new(frames));
        (self.schema, self.about.columns) = (frames::schema(), frames::columns());
    }

    /// What is known about the videos whose frames were read, once all were.
    pub fn take_records(&mut self) -> Option<Records> {
        match mem::replace(&mut self.made, Made::AsRead) {
            Made::Frames(frames) => Some(frames.into_records()),
            Made::AsRead | Made::Materialized(_) => None,
        }
    }

    /// The next rows.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        match &mut self.made {
            Made::AsRead => self.stream.next().await,
            Made::Materialized(materializer) => materializer.next(&mut self.stream).await.transpose(),
            Made::Frames(frames) => frames.next(&mut self.stream).await.transpose(),
        }
    }
}

/// Reads the rows as a stream.
///
/// # Errors
/// `NotFound` for an unknown table; `InvalidArgument` for a column whose type cannot be kept; errors of the query.
pub async fn open(engine: &Engine, selection: &Selection, author: &Principal, progress: &Progress) -> Result<Opened> {
    let lease = progress.unless_cancelled(engine.lease_for(author)).await?;
    let (sender, receiver) = engine::channel(lease.worker(), engine.staging().to_path_buf(), LIMITS);
    let (reply, head): (Head, _) = oneshot::channel();
    let (selection, user) = (selection.clone(), author.name().to_owned());
    let guard = lease.worker().spawn(move |connection| {
        connection.as_user(&user, || {
            let mut reply = Some(reply);
            if let Err(err) = send(connection, &selection, &mut reply, &sender)
                && let Some(reply) = reply
            {
                // The caller may be gone.
                let _ = reply.send(Err(err));
            }
        });
    });
    let begun = async { head.await.unwrap_or_else(|_| Err(Error::internal("a task of the engine panicked"))) };
    let (about, schema) = progress.unless_cancelled(begun).await?;
    let stream = receiver.into_stream(SchemaRef::clone(&schema), guard, true);
    Ok(Opened { about, schema, stream, made: Made::AsRead, _lease: lease })
}

/// What the worker reports before the rows.
type Head = oneshot::Sender<Result<(About, SchemaRef)>>;

/// Sends the rows; errors after the first of them go the same way.
fn send(connection: &Connection, selection: &Selection, reply: &mut Option<Head>, sender: &BatchSender) -> Result<()> {
    let (about, query) = begin(connection, selection)?;
    let statement = connection.prepare(&query)?;
    let mut rows = statement.execute_in_batches(&[], sender.limits())?;
    if let Some(reply) = reply.take() {
        let _ = reply.send(Ok((about, rows.schema())));
    }
    sender.send_all(&mut rows);
    Ok(())
}

/// Has DuckDB write the rows to the text file `target`. Returns their number.
///
/// # Errors
/// As [`open`].
pub async fn copy(
    engine: &Engine,
    request: &Request,
    target: &Path,
    author: &Principal,
    progress: &Progress,
) -> Result<(About, u64)> {
    let lease = progress.unless_cancelled(engine.lease_for(author)).await?;
    let (request, user) = (request.clone(), author.name().to_owned());
    let target = literal(&target.display().to_string());
    let copying = move |connection: &Connection| {
        connection.as_user(&user, || {
            let (about, query) = begin(connection, &Selection::new(request.rows.clone(), request.format))?;
            let options = copy_options(&request);
            let written = connection.execute(&format!("COPY ({query}\n) TO {target} ({options})"), &[])?;
            Ok((about, written))
        })
    };
    lease.worker().run_until(progress.cancelled(), copying).await
}

fn copy_options(request: &Request) -> String {
    let format = match request.format {
        Format::Json => "FORMAT json",
        _ => "FORMAT csv, HEADER true",
    };
    match request.compression {
        Compression::Gzip => format!("{format}, COMPRESSION gzip"),
        Compression::Zstd => format!("{format}, COMPRESSION zstd"),
        _ => format!("{format}, COMPRESSION none"),
    }
}

/// Begins a transaction, which the end of the lease rolls back, and gives the query of the rows.
///
/// # Errors
/// As [`open`].
pub fn begin(connection: &Connection, selection: &Selection) -> Result<(About, String)> {
    let Selection { rows, format, whole_samples } = selection;
    connection.begin()?;
    let snapshot_id = snapshots::current(connection)?;
    let query = match rows {
        Rows::Table(table) => format!("SELECT * FROM {}", table.sql()),
        Rows::Query(query) => query.clone(),
    };
    // Errors are those of the query itself then.
    connection.prepare(&query)?;
    let columns = columns_of(connection, &query)?;
    check_types(&columns, *format)?;
    let query = stored(connection, &query)?.unwrap_or(query);
    let mut query = held(&columns, *format, query);
    if *whole_samples && samples::are_samples(&columns) {
        query = samples::arranged(connection, rows, &columns, query)?;
    }
    let about = About {
        snapshot_id,
        snapshot_time: time_of(connection, snapshot_id)?,
        lineage: lineage(connection, snapshot_id, &query)?,
        columns,
    };
    Ok((about, query))
}

fn columns_of(connection: &Connection, query: &str) -> Result<Vec<Column>> {
    let sql = format!("SELECT column_name AS name, column_type AS type FROM (DESCRIBE {query})");
    let columns: Vec<Column> = connection.records(&sql, &[])?;
    let mut names = BTreeSet::new();
    match columns.iter().find(|column| !names.insert(column.name.to_lowercase())) {
        Some(twice) => Err(Error::invalid(format!("two columns are called {}: rename one", identifier(&twice.name)))),
        None => Ok(columns),
    }
}

/// Types that a table may store, and a format does not.
fn check_types(columns: &[Column], format: Format) -> Result<()> {
    let unheld: &[(&str, &str)] = match format {
        Format::Parquet | Format::Arrow | Format::Webdataset | Format::Lance | Format::LanceFrames => {
            &[("VARIANT", "::JSON")]
        }
        Format::Json => &[("VARIANT", "::JSON"), ("BLOB", ".base64()")],
        Format::Csv => &[],
    };
    for Column { name, data_type } in columns {
        let unquoted: String = data_type.split('"').step_by(2).collect();
        let found = unheld.iter().find(|(unheld, _)| unquoted.contains(unheld));
        if let Some((unheld, cast)) = found {
            let (format, column) = (format.name(), identifier(name));
            return Err(Error::invalid(format!(
                "{format} does not hold {unheld}, which column {column} has: export a query that converts its values, such as \
                 {column}{cast}, or choose another format"
            )));
        }
    }
    Ok(())
}

/// `query` with casts to the types that a format holds: seconds are no unit of Parquet's timestamps.
fn held(columns: &[Column], format: Format, query: String) -> String {
    let casts = columns.iter().filter_map(|column| {
        let (name, data_type) = (identifier(&column.name), in_milliseconds(&column.data_type)?);
        Some(format!("{name}::{data_type} AS {name}"))
    });
    let casts = casts.collect::<Vec<_>>().join(", ");
    if format != Format::Parquet || casts.is_empty() {
        return query;
    }
    format!("SELECT * REPLACE ({casts}) FROM ({query}\n)")
}

/// A type with TIMESTAMP_MS for each TIMESTAMP_S outside of quoted names; `None` if there is none.
fn in_milliseconds(data_type: &str) -> Option<String> {
    let parts = data_type.split('"').enumerate();
    let replaced: Vec<_> = parts
        .map(|(at, part)| if at % 2 == 0 { part.replace("TIMESTAMP_S", "TIMESTAMP_MS") } else { part.to_owned() })
        .collect();
    let replaced = replaced.join("\"");
    (replaced != data_type).then_some(replaced)
}

/// When a snapshot was made.
///
/// # Errors
/// Internal if there is no such snapshot.
pub fn time_of(connection: &Connection, id: SnapshotId) -> Result<String> {
    #[derive(Deserialize)]
    struct Row {
        time: String,
    }
    let sql = format!("SELECT snapshot_time::VARCHAR AS time FROM {METADATA}.ducklake_snapshot WHERE snapshot_id = ?");
    let row: Row = connection.record(&sql, &[Value::bigint(id.0)]).context(|| "read the time of the snapshot")?;
    Ok(row.time)
}

/// Whether it is a table, and not a view.
///
/// # Errors
/// Errors of DuckDB.
pub fn is_table(connection: &Connection, table: &TableRef) -> Result<bool> {
    standing::uuid(connection, table).map(|uuid| uuid.is_some())
}

/// What wrote the tables last that a query reads, also through views.
fn lineage(connection: &Connection, at: SnapshotId, query: &str) -> Result<Vec<Lineage>> {
    // The catalog of a pinned snapshot knows later ones, too.
    let later = SnapshotRef::Version(SnapshotId(at.0 + 1));
    let names: BTreeSet<String> = connection.table_names(query, true)?.unwrap_or_default().into_iter().collect();
    let mut lineage = Vec::new();
    for name in names {
        let name = name.strip_prefix("lake.").unwrap_or(&name);
        let name = if name.contains('.') { name.to_owned() } else { format!("main.{name}") };
        let Ok(table) = TableRef::parse(&name) else { continue };
        let filter = Filter { table: Some(table), before: Some(later.clone()), after: None, limit: 1 };
        match history::list(connection, &filter) {
            Ok(entries) => {
                let last = entries.into_iter().next();
                let (snapshot_id, message) = last.map_or((None, None), |last| (Some(last.id), last.message));
                lineage.push(Lineage { table: name, snapshot_id, message });
            }
            // A name of the query itself.
            Err(err) if err.kind() == ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
    }
    Ok(lineage)
}

/// The first digits of the SHA-256 of the columns' names and types.
pub fn fingerprint(columns: &[Column]) -> Result<String> {
    let text = serde_json::to_vec(columns).map_err(|err| Error::internal("write JSON").with_source(err))?;
    let digits = format!("{:x}", Sha256::digest(text));
    Ok(digits[..16].to_owned())
}

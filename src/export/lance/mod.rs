//! Lance: a dataset in the folder `data.lance`, written and read by DuckDB's extension `lance`.
//!
//! The extension is large, opens any file and any address whatever DuckDB's settings forbid, and commits what it has when a
//! statement fails. So it is loaded at the first use only, into an instance of DuckDB that runs no client's SQL, and the
//! dataset is written aside, counted and synced before it counts.

mod columns;
mod dataset;

use std::path::{Path, PathBuf};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use tokio::sync::OnceCell;

use self::dataset::{files, sync};
pub use self::{columns::check, dataset::FOLDER};
use super::{
    group::{GroupLimits, Groups},
    record::ExportedFile,
    rows::Opened,
};
use crate::{
    engine::{self, BatchLimits, BatchStream, Connection, Engine, InflowSender, Lease, Settings, Setup},
    error::{Context, Error, ErrorKind, Result},
    jobs::Progress,
    quote::literal,
};

/// The memory that DuckDB itself may use for it; Lance has its own.
const MEMORY_BYTES: u64 = 512 << 20;
/// More exports than are written and read at once.
const CONNECTIONS: usize = 256;
/// What is handed over at once.
const BATCH: GroupLimits = GroupLimits { bytes: 8 << 20, rows: 2048 };
const READ: BatchLimits = BatchLimits { bytes: 8 << 20, rows: 1 << 16 };
/// The first version in which all types of the lake can be stored; what pylance 14 writes by default.
const STORAGE_VERSION: &str = "2.2";

/// The instance with the extension.
#[derive(Debug)]
pub struct Lance {
    settings: Settings,
    engine: OnceCell<Engine>,
}

/// The rows of a dataset.
#[derive(Debug)]
pub struct LanceRows {
    stream: BatchStream,
    /// The connection, which nothing else may need meanwhile.
    _lease: Lease,
}

// === impl Lance ===

impl Lance {
    /// An instance like the one with these settings.
    pub fn new(settings: &Settings) -> Self {
        // Several threads would take batches in any order.
        let settings = Settings {
            threads: Some(1),
            memory_limit_bytes: Some(MEMORY_BYTES),
            max_connections: CONNECTIONS,
            ..settings.clone()
        };
        Self { settings, engine: OnceCell::new() }
    }

    /// Writes all rows as a dataset in the folder `spool`. Returns its files, the last of which stands for all rows: it is
    /// the one that readers open.
    ///
    /// # Errors
    /// `FailedPrecondition` if the extension is missing; `InvalidArgument` for columns that it cannot hold; errors of the
    /// query and of the disk; Cancelled.
    pub async fn write(&self, opened: &mut Opened, spool: &Path, progress: &Progress) -> Result<Vec<ExportedFile>> {
        check(&opened.schema)?;
        let lease = progress.unless_cancelled(async { self.engine().await?.lease().await }).await?;
        let (sender, rows) = engine::inflow(&opened.schema)?;
        let target = literal(&spool.join(FOLDER).display().to_string());
        let work = move |connection: &Connection| {
            let scan = connection.scan(rows)?;
            let copy = format!(
                "COPY (FROM {}) TO {target} (FORMAT lance, data_storage_version '{STORAGE_VERSION}')",
                scan.sql()
            );
            scan.settle(connection.execute(&copy, &[]))
        };
        let copying = lease.worker().run_until(progress.cancelled(), work);
        let sending = progress.unless_cancelled(send(opened, sender, progress));
        let (sent, copied) = tokio::join!(sending, copying);
        progress.check()?;
        // Why the rows have ended is told by the statement, too.
        let copied = copied.map_err(explain).context(|| "write the Lance dataset")?;
        let sent = sent?;
        if sent != copied {
            return Err(Error::internal(format!("{copied} of {sent} rows are in the Lance dataset")));
        }
        let folder = spool.join(FOLDER);
        let synced = tokio::task::spawn_blocking(move || sync(&folder)).await;
        synced.map_err(|err| Error::internal("sync a Lance dataset").with_source(err))??;
        files(spool, sent).await
    }

    /// Reads the rows of the dataset in `folder`.
    ///
    /// # Errors
    /// As [`write`](Self::write); errors of a damaged dataset.
    pub async fn read(&self, folder: PathBuf) -> Result<LanceRows> {
        let lease = self.engine().await?.lease().await?;
        let (sender, receiver) = engine::channel(lease.worker(), self.settings.staging.clone(), READ);
        let (reply, schema) = tokio::sync::oneshot::channel();
        let guard = lease.worker().spawn(move |connection| {
            let query = format!("FROM {}", literal(&folder.display().to_string()));
            let statement = match connection.prepare(&query) {
                Ok(statement) => statement,
                Err(err) => return drop(reply.send(Err(err))),
            };
            match statement.execute_in_batches(&[], READ) {
                Ok(mut rows) => {
                    // The caller may be gone.
                    let _ = reply.send(Ok(rows.schema()));
                    sender.send_all(&mut rows);
                }
                Err(err) => drop(reply.send(Err(err))),
            }
        });
        let schema = schema.await.unwrap_or_else(|_| Err(Error::internal("a task of the engine panicked")))?;
        Ok(LanceRows { stream: receiver.into_stream(schema, guard, true), _lease: lease })
    }

    async fn engine(&self) -> Result<&Engine> {
        let open = || async {
            let settings = self.settings.clone();
            let opened = tokio::task::spawn_blocking(move || {
                Engine::open(&settings, &Setup { extensions: &["lance"], ..Setup::default() })
            });
            opened.await.map_err(|err| Error::internal("open DuckDB for Lance").with_source(err))?
        };
        self.engine.get_or_try_init(open).await.map_err(|err| match err.kind() {
            ErrorKind::FailedPrecondition => {
                err.context("exports as lance need DuckDB's extension (scripts/fetch-duckdb.sh lance gets it)")
            }
            _ => err,
        })
    }
}

// === impl LanceRows ===

impl LanceRows {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows, in their order.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.stream.next().await
    }
}

/// Lance does not tell why it could not write.
fn explain(err: Error) -> Error {
    let is_unexplained = err.message().contains("background task exited");
    if is_unexplained { err.context("the disk may be full") } else { err }
}

/// Passes all rows on. Returns their number.
async fn send(opened: &mut Opened, sender: InflowSender, progress: &Progress) -> Result<u64> {
    let mut groups = Groups::new(BATCH, None);
    let mut count = 0;
    loop {
        let next = match opened.next().await.transpose() {
            Ok(next) => next,
            Err(err) => {
                sender.fail(Error::new(err.kind(), err.message()));
                return Err(err);
            }
        };
        let Some(batch) = next else { break };
        count += batch.num_rows() as u64;
        progress.advance(batch.num_rows() as u64);
        for group in groups.push(batch) {
            for batch in group.batches {
                sender.send(batch).await?;
            }
        }
    }
    for batch in groups.finish().into_iter().flat_map(|group| group.batches) {
        sender.send(batch).await?;
    }
    sender.finish();
    Ok(count)
}

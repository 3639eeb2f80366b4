//! The media of a column, or of files: stored as assets, several at a time, and described in a file.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    assets::{Assets, Medium},
    media_cells::{self, Cell, Read},
    media_side::SIDE,
    source::DataFile,
    work::Work,
};
use crate::{
    error::{Context, Error, Result},
    hub::HubFile,
    quote::literal,
};

/// The columns that tell where a row is: its file, and its number in it.
pub(super) const FILE: &str = "merganser_file";
pub(super) const ROW: &str = "file_row_number";

/// How many media are written at a time …
const CONCURRENT: usize = 32;
/// … and how many bytes of them are in memory, unless a single one has more.
const MAX_BYTES: u32 = 64 << 20;

/// The media column of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// The file on this machine.
    pub here: &'a Path,
    /// The file as DuckDB calls it.
    pub name: &'a str,
    /// The name of the column.
    pub column: &'a str,
    /// Only the first rows are read.
    pub max_rows: u64,
}

/// Stores the media of a file, and writes one line of JSON about each to `out`. Returns what was read.
///
/// # Errors
/// `InvalidArgument` for a broken picture, and for a file that cannot be read; Cancelled; errors of the
/// storage.
pub(super) async fn store(
    work: &Work<'_>,
    source: Source<'_>,
    assets: &Assets,
    out: &mut BufWriter<File>,
) -> Result<Read> {
    let (file, column, max_rows) = (source.here.to_owned(), source.column.to_owned(), source.max_rows);
    let name: Arc<str> = Arc::from(source.name);
    let read = move |send: &mut Sender<'_>| {
        media_cells::read(&file, &column, max_rows, &mut |cell| send((Arc::clone(&name), cell)))
    };
    let read = store_all(work, source.column, assets, out, read).await;
    read.context(|| format!("read \"{}\"", source.name))
}

/// As [`store`], for the media that `files` are: each is row 0 of its file. The lines are written to the file `stored`.
///
/// # Errors
/// As [`store`]; errors of the disk.
pub(super) async fn store_files(
    work: &Work<'_>,
    files: Vec<DataFile>,
    column: &str,
    stored: &Path,
    assets: &Assets,
) -> Result<()> {
    let mut out = BufWriter::new(File::create(stored)?);
    let read = move |send: &mut Sender<'_>| {
        for file in files {
            let bytes = std::fs::read(file.path()?).context(|| format!("read \"{}\"", file.name))?;
            let name = Arc::from(file.name.as_str());
            send((name, Cell { row: 0, number: 0, bytes: Some(bytes.into()), path: Some(file.name) }))?;
        }
        Ok(())
    };
    store_all(work, column, assets, &mut out, read).await?;
    Ok(out.flush()?)
}

/// The lines of the file `stored`, in a FROM clause.
pub(super) fn stored(stored: &Path) -> String {
    let side = SIDE.map(|(name, data_type)| format!("{name}: '{data_type}'"));
    format!(
        "read_json({}, format = 'newline_delimited', columns = {{file: 'VARCHAR', row: 'BIGINT', number: 'BIGINT', \
         uri: 'VARCHAR', {}}})",
        literal(&stored.display().to_string()),
        side.join(", ")
    )
}

/// What takes the cells, each with the name of its file.
type Sender<'s> = dyn FnMut(Placed) -> Result<()> + 's;

/// Stores the media that `read` sends, while it reads on another thread.
async fn store_all<T: Send + 'static>(
    work: &Work<'_>,
    column: &str,
    assets: &Assets,
    out: &mut BufWriter<File>,
    read: impl FnOnce(&mut Sender<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, cells) = mpsc::channel(1);
    // After a failure nobody receives any more.
    let reading = tokio::task::spawn_blocking(move || {
        read(&mut |cell| sender.blocking_send(cell).map_err(|_| Error::cancelled()))
    });
    let media = Media { work, column, assets, has_failed: AtomicBool::new(false) };
    let stored = media.store(cells, out).await;
    let read = reading.await.unwrap_or_else(|_| Err(Error::invalid("read media: the reader gave up")));
    stored?;
    read
}

/// A cell of a file.
type Placed = (Arc<str>, Cell);
/// The same, and the share of [`MAX_BYTES`] that its bytes take.
type Held = (Placed, Option<OwnedSemaphorePermit>);

/// The media that are being stored.
struct Media<'a> {
    work: &'a Work<'a>,
    column: &'a str,
    assets: &'a Assets,
    has_failed: AtomicBool,
}

// === impl Media ===

impl Media<'_> {
    /// After a failure no further medium is begun, but those that were begun are finished: what they write must be known to
    /// be removed.
    async fn store(&self, cells: mpsc::Receiver<Placed>, out: &mut BufWriter<File>) -> Result<()> {
        let goes_on = |_: &Held| std::future::ready(!self.has_failed.load(Ordering::Relaxed));
        let stored = self.held(cells).take_while(goes_on).map(|held| self.store_one(held)).buffered(CONCURRENT);
        let mut stored = std::pin::pin!(stored);
        let mut failure = None;
        while let Some(line) = stored.next().await {
            match line {
                Ok(line) if failure.is_none() => writeln!(out, "{line}")?,
                Ok(_) => {}
                Err(err) => failure = failure.or(Some(err)),
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// The cells, as long as there is memory for them.
    fn held(&self, cells: mpsc::Receiver<Placed>) -> impl Stream<Item = Held> {
        let memory = Arc::new(Semaphore::new(MAX_BYTES as usize));
        stream::unfold((cells, memory), async |(mut cells, memory)| {
            let (file, cell) = cells.recv().await?;
            let bytes = match &cell.bytes {
                Some(bytes) => bytes.len() as u64,
                None => self.named(&cell).map_or(0, |file| file.bytes),
            };
            let share = u32::try_from(bytes).unwrap_or(MAX_BYTES).min(MAX_BYTES);
            // The semaphore is never closed.
            let permit = Arc::clone(&memory).acquire_many_owned(share).await.ok();
            Some((((file, cell), permit), (cells, memory)))
        })
    }

    /// The file of the source that a cell without bytes names.
    fn named(&self, cell: &Cell) -> Option<&HubFile> {
        let path = cell.path.as_deref().filter(|_| cell.bytes.is_none() && !self.work.request.keep_urls)?;
        self.work.media?.find(path)
    }

    async fn bytes(&self, cell: &Cell) -> Result<Option<Bytes>> {
        match (self.work.media, self.named(cell)) {
            (Some(media), Some(file)) => {
                self.work.progress.unless_cancelled(media.fetch(file, self.work.spool)).await.map(Some)
            }
            _ => Ok(cell.bytes.clone()),
        }
    }

    async fn store_one(&self, (placed, _memory): Held) -> Result<Value> {
        let stored = match self.work.progress.check() {
            Ok(()) => self.try_store(placed).await,
            Err(err) => Err(err),
        };
        self.has_failed.fetch_or(stored.is_err(), Ordering::Relaxed);
        stored
    }

    async fn try_store(&self, (file, cell): Placed) -> Result<Value> {
        let place = json!({ "file": &*file, "row": cell.row, "number": cell.number });
        let path = cell.path.as_deref();
        self.work.progress.advance(1);
        let Some(bytes) = self.bytes(&cell).await? else {
            // Without bytes, the path is the URI of the media.
            return Ok(with(place, json!({ "uri": path })));
        };
        let medium = Medium::of(bytes, path).await?;
        // The same bytes get the same name, in whatever file and row they come.
        let fallback = &medium.sha256[..32];
        let uri = match path.filter(|path| self.work.request.keep_urls && is_url(path)) {
            Some(url) => url.to_owned(),
            None => self.assets.put_once(self.column, path, fallback, &medium).await?,
        };
        let facts = &medium.facts;
        let side = json!({
            "uri": uri, "width": facts.width, "height": facts.height, "duration": facts.duration_s,
            "format": facts.kind.map(|kind| kind.media_type), "bytes": medium.bytes.len(), "sha256": medium.sha256,
        });
        Ok(with(place, side))
    }
}

fn is_url(path: &str) -> bool {
    ["http://", "https://", "s3://", "gs://", "hf://"].iter().any(|scheme| path.starts_with(scheme))
}

/// Both objects as one.
fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

//! Feeds: streams of rows that stay open, are committed bit by bit, and go on where they were cut.
//!
//! ```text
//! open ─▶ position ─▶ receive ─▶ pending rows ── commit_rows, commit_after, too large ─▶ commit ─▶ acknowledge
//!                        ▲                                                                  │
//!                        └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! 1. The table is made or looked up, and an older stream of the same feed ends: this one takes over.
//! 2. The committed position is told. Rows that the client sends from before it are skipped.
//! 3. Rows wait in memory, without a connection or a transaction, until they are committed: in one transaction, with
//!    the position that they reach (`lake/feeds.rs`). They are kept until then, so that a conflict is retried.
//! 4. A feed that ends, for whatever reason, commits what it has received; only a commit that failed loses its rows.

mod pending;
mod registry;

use std::{sync::Arc, time::Duration};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use futures::{Stream, StreamExt};
use tokio::sync::watch;

pub use self::registry::Feeds;
use self::{pending::Pending, registry::Slot};
use super::client_ingest::{self, IfAbsent, IfPresent, Ingest};
use crate::{
    engine::{Connection, Inflow},
    error::{Error, ErrorKind, Result},
    ids::SnapshotId,
    lake::{
        commit::{Committer, Retry, Transaction, Writer},
        feeds::{self, Position},
        snapshots,
    },
    session::{Leases, Session},
};

/// What a client asks of a feed.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// Its name, one for each table.
    pub name: String,
    /// Where the rows begin that the client sends.
    pub start: Start,
    /// Rows are committed as soon as there are this many, …
    pub commit_rows: usize,
    /// … and this long after the first of them has arrived.
    pub commit_after: Duration,
}

/// The place of the first row that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// This many rows of the feed precede it.
    At(i64),
    /// The client waits for the committed position, and begins there.
    Committed,
}

/// How far a feed has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The number of its rows that are committed.
    pub position: i64,
    /// How many of them this stream has added.
    pub added: i64,
    /// The snapshot of the last commit; `None` before the first.
    pub snapshot_id: Option<SnapshotId>,
}

/// Tells the progress to who waits for it; the feed ends when nobody does.
pub type ProgressSender = watch::Sender<Option<Progress>>;

/// An open feed.
struct Open<'a> {
    leases: &'a Leases,
    session: &'a Session,
    /// Appends to the table by its name.
    ingest: Ingest,
    schema: SchemaRef,
    options: FeedOptions,
    feed: Arc<feeds::Feed>,
    slot: Slot,
    position: Position,
    added: i64,
    /// How many of the next rows are committed already.
    skip: usize,
    progress: ProgressSender,
}

/// Why a feed stops receiving.
enum End {
    /// The client has sent everything.
    Complete,
    /// The client is gone.
    Gone,
    /// A newer stream of the feed has begun.
    TakenOver,
    /// The server stops.
    Stopping,
    /// What the client sent cannot be read.
    Failed(Error),
}

/// Commits the rows of a feed as they arrive, until they end.
///
/// # Errors
/// `InvalidArgument` and `FailedPrecondition` for a table and a transaction that no feed can have, and for rows that
/// begin beyond the committed position; Conflict when another stream takes over, Unavailable when the server stops,
/// Cancelled when the client is gone; as [`ingest`](super::ingest). What was acknowledged is committed.
pub async fn feed(
    leases: &Leases,
    feeds: &Arc<Feeds>,
    session: &Session,
    (ingest, options): (Ingest, FeedOptions),
    (schema, rows): (SchemaRef, impl Stream<Item = Result<RecordBatch>> + Unpin),
    progress: ProgressSender,
) -> Result<Progress> {
    let name = options.name.clone();
    let run = async {
        let mut open = Open::new(leases, feeds, session, (ingest, options), schema, progress).await?;
        open.run(rows).await
    };
    run.await.map_err(|err| session.explain(err).context(format!("feed \"{name}\"")))
}

// === impl Open ===

impl<'a> Open<'a> {
    async fn new(
        leases: &'a Leases,
        feeds: &Arc<Feeds>,
        session: &'a Session,
        (ingest, options): (Ingest, FeedOptions),
        schema: SchemaRef,
        progress: ProgressSender,
    ) -> Result<Self> {
        check(session, &ingest)?;
        // No rows: makes the table, or compares its columns.
        let make = || async { client_ingest::ingest(leases, session, ingest.clone(), Inflow::of(&schema, [])?).await };
        match make().await {
            // Another feed was first to make it.
            Err(err) if err.kind() == ErrorKind::Conflict => make().await?,
            outcome => outcome?,
        };
        let feed = {
            let (ingest, name) = (ingest.clone(), options.name.clone());
            let find = move |connection: &Connection| {
                feeds::Feed::find(connection, &ingest.schema(connection)?, &ingest.table, &name)
            };
            Arc::new(leases.lease_for(session).await?.worker().run(find).await?)
        };
        let slot = feeds.enter(feed.table_id(), feed.name()).await?;
        let position = {
            let feed = Arc::clone(&feed);
            leases.lease_for(session).await?.worker().run(move |connection| feed.position(connection)).await?
        };
        let (schema_name, table) = feed.table();
        let ingest = Ingest {
            table: table.to_owned(),
            schema: Some(schema_name.to_owned()),
            if_absent: IfAbsent::Fail,
            if_present: IfPresent::Append,
            ..ingest
        };
        let skip = rows_to_skip(options.start, position.rows)?;
        Ok(Self { leases, session, ingest, schema, options, feed, slot, position, added: 0, skip, progress })
    }

    /// Receives and commits until the rows end.
    async fn run(&mut self, mut rows: impl Stream<Item = Result<RecordBatch>> + Unpin) -> Result<Progress> {
        self.acknowledge();
        let mut pending = Pending::new(self.slot.memory(), self.options.commit_rows, self.options.commit_after);
        let end = loop {
            let batch = tokio::select! {
                biased;
                () = self.progress.closed() => break End::Gone,
                () = self.slot.taken_over() => break End::TakenOver,
                () = self.slot.stopping() => break End::Stopping,
                () = pending.due() => None,
                batch = rows.next() => match batch {
                    Some(Ok(batch)) => Some(batch),
                    Some(Err(err)) => break End::Failed(err),
                    None => break End::Complete,
                },
            };
            if let Some(batch) = batch.and_then(|batch| self.without_committed(&batch)) {
                pending.push(batch);
            }
            if pending.is_due() {
                self.commit(&mut pending).await?;
            }
        };
        self.commit(&mut pending).await?;
        self.end(end)
    }

    fn end(&self, end: End) -> Result<Progress> {
        let position = self.position.rows;
        match end {
            End::Complete => Ok(self.told()),
            End::Gone => Err(Error::cancelled()),
            End::TakenOver => {
                let text = format!("another stream of the feed goes on from position {position}");
                Err(Error::new(ErrorKind::Conflict, text))
            }
            End::Stopping => {
                let text = format!("the server is stopping: go on from position {position} when it is back");
                Err(Error::new(ErrorKind::Unavailable, text))
            }
            End::Failed(err) => Err(err),
        }
    }

    /// The rows of a batch that are not committed yet, if there are any.
    fn without_committed(&mut self, batch: &RecordBatch) -> Option<RecordBatch> {
        let skipped = self.skip.min(batch.num_rows());
        self.skip -= skipped;
        let left = batch.num_rows() - skipped;
        (left > 0).then(|| batch.slice(skipped, left))
    }

    /// Commits the pending rows in one transaction, with the position that they reach, and acknowledges them.
    async fn commit(&mut self, pending: &mut Pending) -> Result<()> {
        if pending.is_empty() {
            return Ok(());
        }
        let rows = Rows {
            author: self.session.principal().name().to_owned(),
            message: self.session.options().commit_message().map(ToOwned::to_owned),
            ingest: self.ingest.clone(),
            schema: SchemaRef::clone(&self.schema),
            batches: pending.batches(),
            feed: Arc::clone(&self.feed),
            position: self.position,
        };
        let committer = Arc::clone(self.leases.lake().committer());
        let lease = self.leases.lease_for(self.session).await?;
        let before = self.position.rows;
        let reached = lease.worker().run(move |connection| rows.commit(&committer, connection)).await;
        self.position = reached.map_err(|err| err.context(format!("commit the rows from position {before}")))?;
        self.added += self.position.rows - before;
        pending.clear();
        self.acknowledge();
        Ok(())
    }

    fn told(&self) -> Progress {
        Progress { position: self.position.rows, added: self.added, snapshot_id: self.position.snapshot_id }
    }

    /// Tells the progress; one that is told before the last was read replaces it, so that a client that does not read
    /// keeps nothing waiting.
    fn acknowledge(&self) {
        self.progress.send_replace(Some(self.told()));
    }
}

/// Rows to commit.
struct Rows {
    author: String,
    message: Option<String>,
    ingest: Ingest,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    feed: Arc<feeds::Feed>,
    position: Position,
}

// === impl Rows ===

impl Rows {
    /// Appends them in one transaction; returns the position then.
    fn commit(&self, committer: &Committer, connection: &Connection) -> Result<Position> {
        let written = Writer::new(committer, connection).write(&self.author, Retry::OnConflict, |transaction| {
            self.feed.move_on(transaction, &self.position)?;
            self.append(transaction)
        })?;
        // The commit has happened: later errors must not report that it has not.
        let snapshot_id = written.snapshot_id.unwrap_or_else(|| snapshots::newest(connection));
        Ok(Position { rows: written.value, snapshot_id: Some(snapshot_id), at: snapshot_id })
    }

    fn append(&self, transaction: &mut Transaction<'_>) -> Result<i64> {
        let rows = Inflow::of(&self.schema, self.batches.iter().cloned())?;
        let count = self.ingest.write(transaction.connection(), rows)?;
        let count = i64::try_from(count).map_err(|_| Error::internal("the number of rows is out of range"))?;
        let reached = self.position.rows.saturating_add(count);
        let message = self.message.clone().unwrap_or_else(|| self.feed.to_string());
        self.feed.sign(transaction, message, reached);
        Ok(reached)
    }
}

/// Checks that the rows can be a feed.
fn check(session: &Session, ingest: &Ingest) -> Result<()> {
    if ingest.temporary {
        return Err(Error::invalid("a feed needs a table that stays: send the rows without temporary"));
    }
    if ingest.if_present == IfPresent::Replace {
        return Err(Error::invalid("a feed adds to its table: ask to append to it if it exists, not to replace it"));
    }
    if client_ingest::joined(session, ingest.transaction, ingest.connection)?.is_some() {
        return Err(Error::precondition(
            "a feed commits by itself: end the open transaction first, or send the feed in another session",
        ));
    }
    Ok(())
}

/// How many of the rows that begin at `start` are committed already, if `committed` are.
fn rows_to_skip(start: Start, committed: i64) -> Result<usize> {
    let Start::At(start) = start else { return Ok(0) };
    if start > committed {
        return Err(Error::precondition(format!(
            "{committed} rows are committed, and those sent begin at position {start}: begin at {committed}"
        )));
    }
    usize::try_from(committed - start).map_err(|_| Error::internal("the position is out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_at_the_committed_position_or_before() {
        assert_eq!(rows_to_skip(Start::Committed, 7).unwrap(), 0);
        assert_eq!(rows_to_skip(Start::At(7), 7).unwrap(), 0);
        assert_eq!(rows_to_skip(Start::At(5), 7).unwrap(), 2);
        let gap = rows_to_skip(Start::At(9), 7).unwrap_err();
        assert_eq!(gap.kind(), ErrorKind::FailedPrecondition);
        assert!(gap.message().contains('7') && gap.message().contains('9'));
    }
}

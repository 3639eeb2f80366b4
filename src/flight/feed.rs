//! A CommandStatementIngest whose options make it a feed: its stream stays open and is committed bit by bit.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `feed` | | the name of the feed |
//! | `feed_position` | | the number of rows of the feed before the first one sent, or `committed` |
//! | `commit_rows` | 100000 | rows are committed as soon as there are this many, … |
//! | `commit_seconds` | 10 | … and this long after the first of them has arrived |
//! | `acknowledge` | `commits` | whether each commit has a result of its own, or only the `end` |
//!
//! The first result tells the committed position; each commit is followed by one, and so is the end. All are a
//! DoPutUpdateResult with more fields, so that clients which know nothing of feeds can read them. Such clients take the
//! first one for the last: for them, `acknowledge` is `end`.

use std::{collections::HashMap, ops::RangeInclusive, str::FromStr, sync::Arc, time::Duration};

use arrow_flight::{PutResult, sql::CommandStatementIngest};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use prost::Message;
use tokio::{
    sync::watch::{self, Receiver},
    task::JoinHandle,
};
use tonic::Status;

use super::{
    authenticate::Caller,
    ingest::ingest,
    stream::{PutStream, decode_each},
};
use crate::{
    error::{Error, Result},
    query::Queries,
    write::{FeedOptions, Progress, Start},
};

const FEED: &str = "feed";
const POSITION: &str = "feed_position";
const COMMIT_ROWS: &str = "commit_rows";
const COMMIT_SECONDS: &str = "commit_seconds";
const ACKNOWLEDGE: &str = "acknowledge";
/// The options that mean nothing without a feed.
const OF_FEEDS: [&str; 3] = [POSITION, COMMIT_ROWS, COMMIT_SECONDS];

const MAX_NAME_BYTES: usize = 256;
const ROWS: RangeInclusive<usize> = 1..=10_000_000;
const SECONDS: RangeInclusive<f64> = 0.1..=3_600.0;
const DEFAULT_ROWS: usize = 100_000;
const DEFAULT_SECONDS: f64 = 10.0;

/// A feed as its client asks for it.
#[derive(Debug)]
pub struct Options {
    feed: FeedOptions,
    /// Whether each commit is acknowledged, and not only the end.
    each: bool,
}

/// A DoPutUpdateResult, with what a feed adds to it.
#[derive(Clone, PartialEq, Message)]
struct FeedResult {
    /// The number of rows that this stream has added.
    #[prost(int64, tag = "1")]
    record_count: i64,
    /// The number of rows of the feed that are committed; always present, so that no result is empty.
    #[prost(int64, optional, tag = "101")]
    position: Option<i64>,
    /// The snapshot of the last commit; absent before the first.
    #[prost(int64, optional, tag = "102")]
    snapshot_id: Option<i64>,
}

/// A feed whose results are read.
struct Running {
    progress: Receiver<Option<Progress>>,
    each: bool,
    /// Taken when it has ended.
    outcome: Option<JoinHandle<Result<Progress>>>,
}

/// The options of a command that asks for a feed; `None` for a bulk ingest.
///
/// # Errors
/// `InvalidArgument` that names the option.
pub fn options(command: &CommandStatementIngest) -> Result<Option<Options>> {
    let options = &command.options;
    let Some(name) = options.get(FEED) else {
        return match OF_FEEDS.iter().find(|option| options.contains_key(**option)) {
            Some(option) => Err(Error::invalid(format!("the option \"{option}\" needs the option \"{FEED}\""))),
            None => Ok(None),
        };
    };
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
        let text = format!("the name of a feed has 1 to {MAX_NAME_BYTES} bytes and no control characters");
        return Err(Error::invalid(text));
    }
    let each = match options.get(ACKNOWLEDGE).map_or("commits", String::as_str) {
        "commits" => true,
        "end" => false,
        other => return Err(invalid(ACKNOWLEDGE, other, "\"commits\" or \"end\"")),
    };
    let seconds = number(options, COMMIT_SECONDS, &SECONDS)?.unwrap_or(DEFAULT_SECONDS);
    let feed = FeedOptions {
        name: name.clone(),
        start: start(options)?,
        commit_rows: number(options, COMMIT_ROWS, &ROWS)?.unwrap_or(DEFAULT_ROWS),
        commit_after: Duration::from_secs_f64(seconds),
    };
    Ok(Some(Options { feed, each }))
}

/// Commits the rows that the client sends, and returns the results as they come.
///
/// # Errors
/// `InvalidArgument` for a wrong command, and for data that is not an Arrow stream.
pub async fn do_put(
    queries: &Arc<Queries>,
    caller: &Caller,
    command: &CommandStatementIngest,
    options: Options,
    data: impl PutStream,
) -> Result<BoxStream<'static, Result<PutResult, Status>>> {
    let Options { feed, each } = options;
    let ingest = ingest(caller, command)?;
    let rows = decode_each(data).await?;
    let (queries, session) = (Arc::clone(queries), Arc::clone(&caller.session));
    let (sender, progress) = watch::channel(None);
    // Goes on if the client is gone: the feed notices, and commits what it has received.
    let feeding = async move {
        let outcome = queries.feed(&session, (ingest, feed), rows, sender).await;
        session.touch();
        outcome
    };
    let running = Running { progress, each, outcome: Some(tokio::spawn(feeding)) };
    Ok(stream::unfold(running, async |mut running| Some((running.next().await?, running))).boxed())
}

// === impl Running ===

impl Running {
    /// The next result; `None` after the last.
    async fn next(&mut self) -> Option<Result<PutResult, Status>> {
        let outcome = self.outcome.as_mut()?;
        while self.progress.changed().await.is_ok() {
            let progress = *self.progress.borrow_and_update();
            if let Some(progress) = progress.filter(|_| self.each) {
                return Some(Ok(result(progress)));
            }
        }
        let outcome = outcome.await.unwrap_or_else(|err| Err(Error::internal("feed").with_source(err)));
        self.outcome = None;
        Some(outcome.map(result).map_err(Status::from))
    }
}

fn result(progress: Progress) -> PutResult {
    let result = FeedResult {
        record_count: progress.added,
        position: Some(progress.position),
        snapshot_id: progress.snapshot_id.map(|id| id.0),
    };
    PutResult { app_metadata: result.encode_to_vec().into() }
}

fn start(options: &HashMap<String, String>) -> Result<Start> {
    const FORMS: &str = "the number of rows of the feed before the first one sent, or \"committed\" to begin at the \
                         position that the first result tells";
    match options.get(POSITION).map(String::as_str) {
        None => Err(Error::invalid(format!("a feed needs the option \"{POSITION}\": {FORMS}"))),
        Some("committed") => Ok(Start::Committed),
        Some(text) => match text.parse() {
            Ok(position) if position >= 0 => Ok(Start::At(position)),
            _ => Err(invalid(POSITION, text, FORMS)),
        },
    }
}

/// The number in an option, within `range`.
fn number<T: FromStr + PartialOrd + std::fmt::Display>(
    options: &HashMap<String, String>,
    name: &str,
    range: &RangeInclusive<T>,
) -> Result<Option<T>> {
    let Some(text) = options.get(name) else { return Ok(None) };
    match text.parse() {
        Ok(value) if range.contains(&value) => Ok(Some(value)),
        _ => Err(invalid(name, text, &format!("a number from {} to {}", range.start(), range.end()))),
    }
}

fn invalid(name: &str, text: &str, expected: &str) -> Error {
    Error::invalid(format!("the option \"{name}\" is \"{}\", not {expected}", text.escape_debug()))
}

//! The open feeds: one stream for each, the newest.
//!
//! A client whose connection broke off opens its feed again before the server has noticed. So a newer stream takes
//! over: the older one commits what it has, and ends, before the newer one reads the position.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicUsize},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    error::{Error, ErrorKind, Result},
    lake::feeds::TableId,
};

/// The maximum number of open feeds.
const MAX_OPEN: usize = 1_000;

/// The open feeds of a server.
#[derive(Debug, Default)]
pub struct Feeds {
    open: Mutex<HashMap<Key, Stream>>,
    /// The bytes of all rows that wait for their commit.
    memory: Arc<AtomicUsize>,
    stopping: CancellationToken,
}

/// A feed: the table's id, and its name.
type Key = (TableId, String);

/// The stream that has a feed.
#[derive(Clone, Debug, Default)]
struct Stream {
    taken_over: CancellationToken,
    ended: CancellationToken,
}

/// The right to move a feed on. Dropping it leaves it to the next stream.
#[derive(Debug)]
pub(super) struct Slot {
    feeds: Arc<Feeds>,
    key: Key,
    stream: Stream,
}

// === impl Feeds ===

impl Feeds {
    /// Takes the feed over, once the stream that has it has ended.
    ///
    /// # Errors
    /// `ResourceExhausted` if there are too many; Unavailable if the server is stopping.
    pub(super) async fn enter(self: &Arc<Self>, table: TableId, name: &str) -> Result<Slot> {
        let key = (table, name.to_owned());
        loop {
            let older = {
                let mut open = self.open.lock();
                if self.stopping.is_cancelled() {
                    return Err(Error::new(ErrorKind::Unavailable, "the server is stopping"));
                }
                let Some(older) = open.get(&key) else {
                    if open.len() >= MAX_OPEN {
                        let text = format!("{MAX_OPEN} feeds are open: end some of them");
                        return Err(Error::new(ErrorKind::ResourceExhausted, text));
                    }
                    let stream = Stream::default();
                    open.insert(key.clone(), stream.clone());
                    return Ok(Slot { feeds: Arc::clone(self), key, stream });
                };
                older.clone()
            };
            older.taken_over.cancel();
            older.ended.cancelled().await;
        }
    }

    /// Ends all feeds once they have committed what they have received, and lets none begin.
    pub fn close(&self) {
        let _open = self.open.lock();
        self.stopping.cancel();
    }
}

// === impl Slot ===

impl Slot {
    /// Resolves when a newer stream waits.
    pub(super) async fn taken_over(&self) {
        self.stream.taken_over.cancelled().await;
    }

    /// Resolves when the server stops.
    pub(super) async fn stopping(&self) {
        self.feeds.stopping.cancelled().await;
    }

    /// The count of the bytes of all feeds.
    pub(super) fn memory(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.feeds.memory)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.feeds.open.lock().remove(&self.key);
        self.stream.ended.cancel();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_newest_stream_has_the_feed() {
        let feeds = Arc::new(Feeds::default());
        let first = feeds.enter(TableId(1), "f").await.unwrap();
        let _other = feeds.enter(TableId(2), "f").await.unwrap();
        assert!(first.taken_over().now_or_never().is_none());
        let mut second = Box::pin(feeds.enter(TableId(1), "f"));
        assert!((&mut second).now_or_never().is_none());
        first.taken_over().await;
        drop(first);
        let second = second.await.unwrap();
        assert!(second.taken_over().now_or_never().is_none());
    }

    #[tokio::test]
    async fn none_begins_when_the_server_stops() {
        let feeds = Arc::new(Feeds::default());
        let slot = feeds.enter(TableId(1), "f").await.unwrap();
        feeds.close();
        slot.stopping().await;
        assert_eq!(feeds.enter(TableId(2), "f").await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}

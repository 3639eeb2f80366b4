//! Incoming rows: many rows of parameters as one statement, small INSERTs of many sessions as one commit, and the
//! streams of rows that clients send, as one commit each or as feeds.

pub mod bulk;
mod client_ingest;
mod feed;
mod group_commit;

pub use self::{
    bulk::Written,
    client_ingest::{IfAbsent, IfPresent, Ingest, ingest},
    feed::{FeedOptions, Feeds, Progress, ProgressSender, Start, feed},
    group_commit::{Committed, Failure, Groups, Joined, Signature, SmallInsert, Together},
};

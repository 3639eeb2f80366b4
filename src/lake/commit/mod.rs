//! The one way to write to the lake.
//!
//! ```text
//! Writer::write ─▶ writer lock (SQLite) ─▶ BEGIN ─▶ work ─▶ conflict detection ─▶ fsync, commit links ─▶ mark ─▶ COMMIT
//!       ▲                                            │                                                     │
//!       └──────────────── retry ◀── Conflict ────────┴─────────────────────────────────────────────────────┤
//!                                                                        lost answer ─▶ outcome ◀──────────┘
//! ```
//!
//! Statements of clients, bulk writes, group commits and actions all commit through this module, so that each commit
//! has an author, a message and a mark, is on disk before the catalog references it, is retried by the same rule, and
//! survives a lost response. A transaction that outlives a call (a client's BEGIN) keeps its state in an
//! [`OpenTransaction`].

mod committer;
mod conflict;
mod expiry;
mod fsync;
mod links;
mod outcome;
mod retry;
mod transaction;
mod writer;
mod writer_lock;

pub use self::{
    committer::{Committer, Settings},
    retry::{REPEATS_MAX, Retry},
    transaction::OpenTransaction,
    writer::{Transaction, Writer, Written},
    writer_lock::WriterPermit,
};

//! The state that outlives a request: options, prepared statements, open transactions.
//!
//! A client that logs in gets its own session, identified by its bearer token. All others share one session per
//! principal: handles are unguessable, so sharing is harmless, but state without a handle (options, `BEGIN` in SQL,
//! TEMP objects, variables) needs the client's own session.
//!
//! Statements lease connections to DuckDB ([`Leases`]); only a session with TEMP objects or variables keeps one, its
//! pinned connection.

mod leases;
mod options;
mod pin;
mod pinned_connection;
mod prepared;
mod registry;
mod state;
mod transaction;

pub use self::{
    leases::Leases,
    options::{Compression, MESSAGE_BYTES, OptionFault, OptionValue, Options},
    pinned_connection::PinnedConnection,
    prepared::{Described, Prepared},
    registry::{Limits, Sessions},
    state::Session,
    transaction::{End, Open, Transaction},
};

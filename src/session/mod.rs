//! What outlives a request: options, prepared statements, open transactions.
//!
//! A client that logs in gets a session of its own, which its bearer token names. Everybody else shares one session
//! for each principal: handles are unguessable, so sharing does no harm, but state that has no handle (options, `BEGIN`
//! as SQL text, TEMP objects, variables) needs a session of one's own.
//!
//! Statements borrow connections to DuckDB ([`Leases`]); only a session with TEMP objects or variables keeps one, its
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

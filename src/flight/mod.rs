//! Arrow Flight and Flight SQL: from calls to sessions and actions, and back.
//!
//! Together with the command line's `client`, the only module that uses `arrow_flight` and `tonic`. It decodes, finds
//! the session, calls the layers below and encodes; it makes no decisions, and contains no SQL beyond the metadata
//! queries that the protocol requires. One short file per command; `service` is the table of contents.
//!
//! `FlightService` is implemented directly and not through arrow-flight's `FlightSqlService`, which responds to
//! GetSchema and PollFlightInfo itself (with Unimplemented), drops results of some actions and always lists its own.

mod action;
mod authenticate;
mod cancel;
mod client;
mod command;
mod cookie;
mod feed;
mod frame;
mod ingest;
mod metadata;
mod poll;
mod prepared;
mod service;
mod session_options;
mod sound;
mod statement;
mod status;
mod stream;
mod transaction;
mod wire;

pub use service::Service;
pub use sound::MAX_MESSAGE_BYTES;
pub use wire::Endpoint;

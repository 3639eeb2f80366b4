//! A safe wrapper around the part of DuckDB's C interface that the engine needs.
//!
//! The crate `duckdb` cannot return a statement's columns before it runs, executes all but the last statement of a
//! string while it "prepares" it, and panics when a stream fails midway. Those three would break correctness, so the
//! engine uses the C interface through its `ffi`, and this folder is the only location of unsafe code in the crate.
//! Every handle is freed by the `Drop` of the type that holds it; types that borrow a connection carry its lifetime.
#![expect(unsafe_code, reason = "the C interface of DuckDB; nothing else in this crate is unsafe")]

mod arrow_scan;
mod batch;
mod batcher;
mod blob_function;
mod collect;
mod connection;
mod database;
mod error;
mod execution;
mod hold;
mod layout;
mod live_table;
mod pending;
mod process;
mod reads;
mod scan;
mod statement;
mod stream;
mod transaction;
mod value;

pub use batcher::BatchLimits;
pub use blob_function::{BlobCall, BlobFunction};
pub use connection::{Connection, InterruptHandle};
pub use database::{Database, library_version};
pub use error::{fatal_error, read_errors_with};
pub use execution::Steps;
pub use live_table::{Cell, CellKind, LiveTable};
pub use process::{end_process, exit_on_exceptions, release_memory};
pub use reads::Reads;
pub use scan::Scan;
pub use statement::{Statement, StatementKind};
pub use stream::{ResultStream, count_of};
pub use value::{LogicalType, Value};

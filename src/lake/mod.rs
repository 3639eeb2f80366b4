//! The lake: a DuckLake attached under the SQL catalog `lake`, with the layers `raw`, `silver` and `gold`.
//!
//! Everything here works on a connection that is passed in, in the transaction that is open on it, and does not depend on
//! sessions or jobs. Workarounds for DuckLake are in the script that attaches the lake (`sql/00_attach.sql`), or are
//! documented in the file concerned.

pub mod attach;
mod bookkeeping;
pub mod catalog;
pub mod catalog_copy;
pub mod commit;
pub mod destination;
pub mod diff;
pub mod errors;
pub mod feeds;
pub mod files;
mod head;
pub mod history;
pub mod init_sql;
pub mod listing;
pub mod lock;
pub mod maintain;
pub mod migrate;
mod opened;
mod pairs;
pub mod pins;
pub mod postgres;
pub mod repair;
pub mod rollback;
pub mod snapshots;
pub mod standing;
mod state;
pub mod stored_types;
pub mod table;
pub mod tags;

pub use self::opened::Lake;

/// The SQL catalog of the lake.
pub const CATALOG: &str = "lake";
/// The SQL catalog of DuckLake's own tables.
pub const METADATA: &str = "__ducklake_metadata_lake";

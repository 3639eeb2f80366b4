//! The lake: a DuckLake attached under the SQL catalog `lake`, with the layers `raw`, `silver` and `gold`.
//!
//! Everything here works on a connection that it is given, in the transaction that is open there, and knows neither
//! sessions nor jobs. The traps of DuckLake are closed where the lake is attached (`sql/00_attach.sql`) and where a
//! file of this folder says so.

pub mod attach;
pub mod catalog;
pub mod commit;
pub mod diff;
pub mod errors;
pub mod files;
pub mod history;
pub mod init_sql;
pub mod inventory;
pub mod lock;
pub mod maintain;
pub mod migrate;
mod opened;
mod pairs;
pub mod pins;
pub mod place;
pub mod portable;
pub mod postgres;
pub mod repair;
pub mod rollback;
pub mod snapshots;
mod state;
pub mod table;
pub mod tags;

pub use self::opened::Lake;

/// The SQL catalog of the lake.
pub const CATALOG: &str = "lake";
/// Where DuckLake keeps its own tables.
pub const METADATA: &str = "__ducklake_metadata_lake";

//! The server's own tables in the catalog, beside those of DuckLake.

const SCRIPT: &str = include_str!("../../sql/03_bookkeeping.sql");

/// The SQL that creates the server's bookkeeping tables in the catalog `database` unless they exist.
pub(super) fn script(database: &str) -> String {
    SCRIPT.replace("{{metadata}}", database)
}

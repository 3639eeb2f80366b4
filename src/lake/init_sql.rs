//! The SQL that attaches the lake read-only in the DuckDB shell.

use super::{attach::Settings, catalog::Catalog};
use crate::{engine::DUCKDB_VERSION, quote::literal};

/// The comment about credentials for files on S3.
const S3: &str = "\n-- The files are on S3; this script contains no key: run CREATE SECRET (TYPE s3, KEY_ID '…', SECRET '…', ENDPOINT '…') before ATTACH.";

/// The script for the lake of `settings`, without user and password.
pub fn init_sql(settings: &Settings) -> String {
    let extensions = [settings.catalog.extensions(), settings.storage.extensions()].concat();
    let extensions = extensions.iter().map(|name| format!("INSTALL {name};\nLOAD {name};\n"));
    let extensions = extensions.collect::<String>();
    let location = literal(&settings.catalog.public_location());
    format!(
        "-- Attaches this lake read-only in the shell of DuckDB {DUCKDB_VERSION}: duckdb -init FILE\n\
         -- The lake's files are at {}; the shell needs access to them.\n\
         {}\n\
         {extensions}\
         -- Without this, time travel can omit rows after files were rewritten (duckdb/ducklake#1377).\n\
         SET GLOBAL disabled_optimizers = 'statistics_propagation';\n\
         ATTACH {location} AS lake (READ_ONLY);\n\
         USE lake;\n",
        comment(&settings.storage.lake_path()),
        notes(settings),
    )
}

/// The comments about the limitations of the script.
fn notes(settings: &Settings) -> String {
    let store = if settings.storage.lake_folder().is_none() { S3 } else { "" };
    let catalog = match settings.catalog {
        Catalog::DuckdbFile(_) => {
            "-- The catalog is a DuckDB file, which only one process can open: stop the server first.\n\
             -- While the server runs, attach the file of a backup (merganser backup): it has the same format."
        }
        Catalog::Sqlite(_) => "-- The catalog is an SQLite file: this works while the server runs and writes.",
        Catalog::Postgres(_) => {
            "-- The catalog is in PostgreSQL: this works while the server runs and writes. Specify user and password\n\
             -- as PGUSER and PGPASSWORD, or in ~/.pgpass. A user with read permissions is sufficient."
        }
    };
    format!("{catalog}{store}")
}

/// A text without line breaks, for a comment.
fn comment(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

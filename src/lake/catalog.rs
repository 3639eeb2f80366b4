//! The location of DuckLake's catalog, and what is needed to attach it.

use std::path::{Path, PathBuf};

use super::{METADATA, postgres::Postgres};
use crate::{
    engine,
    error::{Error, ErrorKind, Result},
    quote::literal,
};

/// How long a connection to SQLite waits for another connection's lock.
const SQLITE_BUSY_MILLIS: u32 = 5_000;

/// Moves the tags of a lake that was created when they were in a schema, which SQLite does not have, to their table.
const MOVE_TAGS: &str = include_str!("../../sql/02_move_tags.sql");
/// Keeps servers that share a PostgreSQL database from losing each other's deletions.
const GUARD: &str = include_str!("../../sql/05_postgres.sql");

/// The location of DuckLake's catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Catalog {
    /// A DuckDB file, which one process can open; created if absent.
    DuckdbFile(PathBuf),
    /// An SQLite file, which one transaction can write at a time; created if absent.
    Sqlite(PathBuf),
    /// A PostgreSQL database, which several servers can share; it must exist.
    Postgres(Postgres),
}

// === impl Catalog ===

impl Catalog {
    /// The file that contains it, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::DuckdbFile(file) | Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }

    /// Parses the form of `--catalog` and of all other options that name a catalog: a path, `duckdb:PATH`,
    /// `sqlite:PATH` or a PostgreSQL URI.
    ///
    /// # Errors
    /// `InvalidArgument` for another form. The message does not repeat the value, which can contain a password.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = || Error::invalid("expected a path, duckdb:PATH, sqlite:PATH or postgres://USER@HOST/DATABASE");
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let invalid = |err: Error| Error::invalid(err.message());
            return Postgres::parse(text).map(Self::Postgres).map_err(invalid);
        }
        let (make, path): (fn(PathBuf) -> Self, _) = match text.split_once(':') {
            None if !text.split('/').next().unwrap_or_default().contains('=') => (Self::DuckdbFile, text),
            Some(("duckdb", path)) => (Self::DuckdbFile, path),
            Some(("sqlite", path)) => (Self::Sqlite, path),
            // What follows the first slash is a name like any other.
            Some((before, _)) if before.contains('/') => (Self::DuckdbFile, text),
            _ => return Err(fault()),
        };
        if path.is_empty() || path.starts_with("//") || path.starts_with('~') {
            return Err(fault());
        }
        Ok(make(std::path::absolute(path)?))
    }

    /// A catalog of the same kind in another file.
    pub(super) fn at(&self, file: PathBuf) -> Self {
        match self {
            Self::DuckdbFile(_) => Self::DuckdbFile(file),
            Self::Sqlite(_) => Self::Sqlite(file),
            Self::Postgres(postgres) => Self::Postgres(postgres.clone()),
        }
    }

    /// The kind of database that contains it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DuckdbFile(_) => "duckdb",
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// The DuckDB extensions that it needs. Each scanner can access all files and hosts that the process can access, so
    /// none is loaded unless needed.
    pub(super) fn extensions(&self) -> &'static [&'static str] {
        match self {
            Self::DuckdbFile(_) => &["ducklake"],
            Self::Sqlite(_) => &["ducklake", "sqlite_scanner"],
            Self::Postgres(_) => &["ducklake", "postgres_scanner"],
        }
    }

    /// Whether only one transaction at a time can write. With SQLite, a commit fails if another transaction committed
    /// after its first read, whatever either of them did.
    pub(super) fn has_one_writer(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Whether another process commits.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// The script `attach`, with its placeholders for the catalog filled in, and the statements that precede and follow
    /// it.
    pub(super) fn script(&self, attach: &str, settings: &engine::Settings) -> String {
        let (location, options) = match self {
            Self::DuckdbFile(file) => (format!("ducklake:{}", file.display()), String::new()),
            // In another journal mode, a reader and a writer lock each other out permanently.
            Self::Sqlite(file) => (
                format!("ducklake:sqlite:{}", file.display()),
                format!("META_JOURNAL_MODE 'WAL', META_BUSY_TIMEOUT {SQLITE_BUSY_MILLIS}, "),
            ),
            Self::Postgres(postgres) => {
                (format!("ducklake:postgres:{}", postgres.options()), Postgres::attach_option())
            }
        };
        let attach = attach.replace("{{catalog}}", &literal(&location)).replace("{{options}}", &options);
        match self {
            Self::DuckdbFile(_) | Self::Sqlite(_) => attach,
            Self::Postgres(postgres) => {
                let (before, after) = (postgres.before_attach(settings.max_connections), Postgres::after_attach());
                format!("{before};\n{attach};\n{after};\n")
            }
        }
    }

    /// The extensions and the script with which its database is attached as `name`, without DuckLake.
    pub(super) fn plain(&self, name: &str) -> (&'static [&'static str], String) {
        let attach =
            |file: &Path, options: &str| format!("ATTACH {} AS {name}{options}", literal(&file.display().to_string()));
        match self {
            Self::DuckdbFile(file) => (&[], attach(file, "")),
            Self::Sqlite(file) => (&["sqlite_scanner"], attach(file, " (TYPE sqlite)")),
            Self::Postgres(postgres) => (&["postgres_scanner"], postgres.attach_plain(name)),
        }
    }

    /// The location to attach in the DuckDB shell, without user and password.
    pub(super) fn public_location(&self) -> String {
        match self {
            Self::DuckdbFile(file) => format!("ducklake:{}", absolute(file)),
            Self::Sqlite(file) => format!("ducklake:sqlite:{}", absolute(file)),
            Self::Postgres(postgres) => format!("ducklake:postgres:{}", postgres.public_options()),
        }
    }

    /// The statements that upgrade an existing lake after it was attached.
    pub(super) fn upgrade(&self) -> String {
        match self {
            Self::DuckdbFile(_) => MOVE_TAGS.to_owned(),
            Self::Sqlite(_) => String::new(),
            Self::Postgres(_) => GUARD.replace("{{metadata}}", METADATA),
        }
    }

    /// Replaces DuckDB's error about a catalog that it cannot attach by one that contains the remedy.
    pub(super) fn explain(&self, err: Error) -> Error {
        let text = err.original();
        let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
        let remedy = match self {
            Self::Postgres(_) => Postgres::remedy(&text),
            Self::DuckdbFile(_) if has(&["Could not set lock on file", "Conflicting lock"]) => {
                Some("another process has it open: stop that server, or give this one its own --home")
            }
            Self::DuckdbFile(_) if has(&["not a valid DuckDB"]) => {
                Some("the file is not a DuckDB database: move it away, or restore a backup")
            }
            Self::Sqlite(_) if has(&["file is not a database"]) => {
                Some("the file is not an SQLite database: move it away, or restore a backup")
            }
            Self::Sqlite(_) if has(&["database is locked"]) => {
                Some("another process is writing to it: stop it, or try again")
            }
            Self::DuckdbFile(_) | Self::Sqlite(_) => None,
        };
        let remedy = remedy.or_else(|| {
            if has(&["could not find schema that corresponds", "schema with id", "Column with name"]) {
                Some("the catalog is damaged: run merganser check, which reports what can be repaired")
            } else if text.contains("does not match existing data path") {
                Some("the files of this lake are elsewhere: specify the --storage that it was created with")
            } else if text.contains("DuckLake") && text.contains("version") {
                Some("it was created by another DuckLake version: use the merganser that created it, or a newer one")
            } else if has(&["newer version", "storage version"]) {
                Some("it was created by a newer DuckDB: use the merganser that created it, or a newer one")
            } else {
                None
            }
        });
        let Some(remedy) = remedy else { return err };
        let cause = match self {
            Self::DuckdbFile(_) | Self::Sqlite(_) => text.lines().next().unwrap_or_default(),
            Self::Postgres(_) => Postgres::cause(&text),
        };
        Error::new(ErrorKind::FailedPrecondition, format!("open catalog \"{}\": {remedy} ({cause})", self.name()))
    }

    /// The name in messages, without user and password.
    pub fn name(&self) -> String {
        match self {
            Self::DuckdbFile(file) => file.display().to_string(),
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
            Self::Postgres(postgres) => postgres.to_string(),
        }
    }
}

/// The absolute path, by which other processes find the file as well.
fn absolute(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()).display().to_string()
}

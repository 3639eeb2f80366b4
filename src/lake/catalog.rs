//! Where DuckLake keeps its catalog, and what attaching it takes.

use std::path::{Path, PathBuf};

use super::{METADATA, postgres::Postgres};
use crate::{
    engine,
    error::{Error, ErrorKind, Result},
    quote::literal,
};

/// How long a connection to SQLite waits for the lock of another one.
const SQLITE_BUSY_MILLIS: u32 = 5_000;

/// The tags of a lake that was made when they lay in a schema, which SQLite has not, move to their place.
const MOVE_TAGS: &str = include_str!("../../sql/02_move_tags.sql");
/// What keeps servers that share a PostgreSQL from losing each other's deletions.
const GUARD: &str = include_str!("../../sql/05_postgres.sql");

/// Where DuckLake keeps its catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Catalog {
    /// A DuckDB file, which one process can open; made when absent.
    DuckdbFile(PathBuf),
    /// An SQLite file, which one transaction can write at a time; made when absent.
    Sqlite(PathBuf),
    /// A PostgreSQL database, which several servers can share; it must exist.
    Postgres(Postgres),
}

// === impl Catalog ===

impl Catalog {
    /// The file that holds it, if one does.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::DuckdbFile(file) | Self::Sqlite(file) => Some(file),
            Self::Postgres(_) => None,
        }
    }

    /// Reads the form of `--catalog` and of every other place where one is named: a path, `duckdb:PATH`, `sqlite:PATH`
    /// or a URI of PostgreSQL.
    ///
    /// # Errors
    /// `InvalidArgument` for another form. The text does not repeat it: it can hold a password.
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
            // What stands behind the first slash is a name like any other.
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

    /// What kind of database holds it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::DuckdbFile(_) => "duckdb",
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// The extensions of DuckDB that it needs. Each scanner reaches whatever files and hosts the process can reach, so
    /// none is loaded without need.
    pub(super) fn extensions(&self) -> &'static [&'static str] {
        match self {
            Self::DuckdbFile(_) => &["ducklake"],
            Self::Sqlite(_) => &["ducklake", "sqlite_scanner"],
            Self::Postgres(_) => &["ducklake", "postgres_scanner"],
        }
    }

    /// Whether only one transaction at a time can write. With SQLite a commit fails when another transaction committed
    /// after it had first read, whatever both of them did.
    pub(super) fn has_one_writer(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Whether another process commits.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    /// `attach`, a script with places for the catalog, with what comes before and behind it.
    pub(super) fn script(&self, attach: &str, settings: &engine::Settings) -> String {
        let (location, options) = match self {
            Self::DuckdbFile(file) => (format!("ducklake:{}", file.display()), String::new()),
            // In another journal mode a reader and a writer lock each other out for good.
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

    /// What DuckDB's own shell attaches; without user and password.
    pub(super) fn public_location(&self) -> String {
        match self {
            Self::DuckdbFile(file) => format!("ducklake:{}", absolute(file)),
            Self::Sqlite(file) => format!("ducklake:sqlite:{}", absolute(file)),
            Self::Postgres(postgres) => format!("ducklake:postgres:{}", postgres.public_options()),
        }
    }

    /// What an existing lake goes through after it was attached.
    pub(super) fn upgrade(&self) -> String {
        match self {
            Self::DuckdbFile(_) => MOVE_TAGS.to_owned(),
            Self::Sqlite(_) => String::new(),
            Self::Postgres(_) => GUARD.replace("{{metadata}}", METADATA),
        }
    }

    /// Turns what DuckDB says of a catalog that it cannot attach into what the operator can do.
    pub(super) fn explain(&self, err: Error) -> Error {
        let text = err.original();
        let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
        let remedy = match self {
            Self::Postgres(_) => Postgres::remedy(&text),
            Self::DuckdbFile(_) if has(&["Could not set lock on file", "Conflicting lock"]) => {
                Some("another process has it open: stop that server, or give this one its own --home")
            }
            Self::DuckdbFile(_) if has(&["not a valid DuckDB"]) => {
                Some("the file is no DuckDB database: move it away, or restore a backup")
            }
            Self::Sqlite(_) if has(&["file is not a database"]) => {
                Some("the file is no SQLite database: move it away, or restore a backup")
            }
            Self::Sqlite(_) if has(&["database is locked"]) => {
                Some("another process is writing to it: stop that one, or try again")
            }
            Self::DuckdbFile(_) | Self::Sqlite(_) => None,
        };
        let remedy = remedy.or_else(|| {
            if has(&["could not find schema that corresponds", "schema with id", "Column with name"]) {
                Some("the catalog is damaged: run merganser check, which says what can be repaired")
            } else if text.contains("does not match existing data path") {
                Some("the files of this lake lie elsewhere: give the --storage that it was made with")
            } else if text.contains("DuckLake") && text.contains("version") {
                Some("it was made by another DuckLake: use the merganser that made it, or a newer one")
            } else if has(&["newer version", "storage version"]) {
                Some("it was made by a newer DuckDB: use the merganser that made it, or a newer one")
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

    /// What to call it in texts; without user and password.
    pub fn name(&self) -> String {
        match self {
            Self::DuckdbFile(file) => file.display().to_string(),
            Self::Sqlite(file) => format!("sqlite:{}", file.display()),
            Self::Postgres(postgres) => postgres.to_string(),
        }
    }
}

/// The path as others find the file too.
fn absolute(file: &Path) -> String {
    std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()).display().to_string()
}

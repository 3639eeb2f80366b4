//! The PostgreSQL database that contains a catalog: from its URI to what DuckDB attaches.
//!
//! Host, user and password are passed in a DuckDB secret, which is dropped as soon as the lake is attached: errors,
//! logs and `duckdb_databases()` show the location, and the location contains no secret.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    engine::Connection,
    error::{Error, Result},
    quote::{identifier, literal},
};

/// The name of the secret while the lake is attached.
const SECRET: &str = "merganser_catalog";

/// The maximum number of idle connections that are kept.
const KEPT_CONNECTIONS: usize = 16;

/// Options of a connection unless the URI sets them: a database that does not respond must not block a statement for
/// minutes, and operators need to identify connected clients.
const DEFAULTS: [(&str, &str); 2] = [("connect_timeout", "10"), ("application_name", "merganser")];

/// How long a closed connection may still be listed, …
const LEAVING: Duration = Duration::from_secs(3);
/// … and how often this is checked.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Parts of the error messages of PostgreSQL's client library, and the remedies.
const REMEDIES: &[(&[&str], &str)] = &[
    (
        &["password authentication failed", "no password supplied", "authentication failed"],
        "PostgreSQL rejects the user or the password: correct them in the URI",
    ),
    (&["database \"", "does not exist"], "create the database, or correct its name in the URI"),
    (&["permission denied"], "the user may not create tables there: make it the owner of the database"),
    (
        &["too many clients", "too many connections", "connection slots are reserved"],
        "PostgreSQL has no free connection: raise max_connections there",
    ),
    (
        &["Unable to connect to Postgres", "server closed the connection"],
        "PostgreSQL does not answer: start it, or correct host and port in the URI",
    ),
];

/// The location of a PostgreSQL database, and the credentials for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Postgres {
    /// The parameters in the secret, under DuckDB's names.
    secret: Vec<(&'static str, String)>,
    /// The other options of the URI, under the names of PostgreSQL's client library.
    options: Vec<(String, String)>,
}

// === impl Postgres ===

impl Postgres {
    /// Parses `postgres://USER:PASSWORD@HOST:PORT/DATABASE?NAME=VALUE`. PostgreSQL's client library takes omitted parts
    /// from its own variables and files (`PGUSER`, `PGPASSWORD`, `~/.pgpass`).
    ///
    /// # Errors
    /// `FailedPrecondition` for another form. The message does not repeat the URI, which can contain a password.
    pub fn parse(uri: &str) -> Result<Self> {
        let (_, rest) = uri.split_once("://").ok_or_else(|| fault("it has no scheme"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut postgres = Self { secret: Vec::new(), options: Vec::new() };
        for (name, value) in parts(place) {
            postgres.set(name, decode(value)?);
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| fault("an option has no value"))?;
            postgres.set_option(decode(name)?, decode(value)?)?;
        }
        if postgres.part("PORT").is_some_and(|port| !port.chars().all(|c| c.is_ascii_digit())) {
            return Err(fault("the port is no number"));
        }
        for (name, value) in DEFAULTS {
            if !postgres.options.iter().any(|(known, _)| known == name) {
                postgres.options.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(postgres)
    }

    /// Sets a parameter of the secret. The last value is used.
    fn set(&mut self, name: &'static str, value: String) {
        if !value.is_empty() {
            self.secret.retain(|(known, _)| *known != name);
            self.secret.push((name, value));
        }
    }

    fn set_option(&mut self, name: String, value: String) -> Result<()> {
        match name.as_str() {
            "host" => self.set("HOST", value),
            "port" => self.set("PORT", value),
            "user" => self.set("USER", value),
            "password" => self.set("PASSWORD", value),
            "dbname" => self.set("DATABASE", value),
            // The options are public, and a name must not end where another begins.
            "sslpassword" => return Err(fault("sslpassword cannot be given; use a key without one")),
            _ if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') => self.options.push((name, value)),
            _ => return Err(fault("an option has an invalid name")),
        }
        Ok(())
    }

    /// The public part of the location, in the form of PostgreSQL's client library.
    pub(super) fn options(&self) -> String {
        options_of(self.options.iter().cloned())
    }

    /// The location of the database without credentials.
    pub(super) fn public_options(&self) -> String {
        let places = [("HOST", "host"), ("PORT", "port"), ("DATABASE", "dbname")];
        let places = places.iter().filter_map(|(part, name)| Some(((*name).to_owned(), self.part(part)?.to_owned())));
        let own = |(name, _): &&(String, String)| name != "application_name";
        options_of(places.chain(self.options.iter().filter(own).cloned()))
    }

    /// The option of ATTACH besides the location.
    pub(super) fn attach_option() -> String {
        format!("META_SECRET {}, ", literal(SECRET))
    }

    /// The statements before ATTACH. Each of `max_connections` statements uses one PostgreSQL connection; the pool
    /// keeps a few of them for the next ones. Its thread that closes idle connections can outlive the instance.
    pub(super) fn before_attach(&self, max_connections: usize) -> String {
        let kept = max_connections.min(KEPT_CONNECTIONS);
        let secret = self.secret.iter().map(|(name, value)| format!(", {name} {}", literal(value)));
        let secret = secret.collect::<String>();
        format!(
            "SET GLOBAL pg_pool_max_connections = {kept};\nSET GLOBAL pg_pool_enable_reaper_thread = false;\nCREATE TEMPORARY SECRET {SECRET} (TYPE postgres{secret})"
        )
    }

    /// The statements after ATTACH.
    pub(super) fn after_attach() -> String {
        format!("DROP TEMPORARY SECRET {SECRET}")
    }

    /// Attaches the database as `name`, without DuckLake.
    pub(super) fn attach_plain(&self, name: &str) -> String {
        let (before, after) = (self.before_attach(1), Self::after_attach());
        let options = literal(&self.options());
        format!("{before};\nATTACH {options} AS {name} (TYPE postgres, SECRET {SECRET});\n{after};\n")
    }

    /// The same, under an application name that no other client uses; returns that name as well.
    #[must_use]
    pub(super) fn named_uniquely(mut self) -> (Self, String) {
        let name = format!("merganser-{}", Uuid::new_v4());
        self.options.retain(|(known, _)| known != "application_name");
        self.options.push(("application_name".to_owned(), name.clone()));
        (self, name)
    }

    /// The remedy for a failure of PostgreSQL.
    pub(super) fn remedy(text: &str) -> Option<&'static str> {
        let found = REMEDIES.iter().find(|(words, _)| words.iter().any(|words| text.contains(words)));
        found.map(|(_, remedy)| *remedy)
    }

    /// PostgreSQL's own message in an error.
    pub(super) fn cause(text: &str) -> &str {
        let behind = text.rsplit_once("Unable to connect to Postgres at \"\": ").map_or(text, |(_, behind)| behind);
        behind.lines().next().unwrap_or_default()
    }

    fn part(&self, name: &str) -> Option<&str> {
        self.secret.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// Checks that no client other than `name` is connected to the database that is attached as `database`. Recently closed
/// connections may still be listed, so the check is repeated for some seconds.
///
/// # Errors
/// `FailedPrecondition` if others are connected.
pub(super) fn check_alone(connection: &Connection, database: &str, name: &str) -> Result<()> {
    #[derive(Deserialize)]
    struct Others {
        others: u64,
    }
    let inner = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
         AND backend_type = 'client backend' AND application_name IS DISTINCT FROM {}",
        literal(name)
    );
    let sql = format!(
        "SELECT system.main.count(*) AS others FROM postgres_query({}, {})",
        literal(database),
        literal(&inner)
    );
    let deadline = Instant::now() + LEAVING;
    loop {
        let others = connection.record::<Others>(&sql, &[])?.others;
        if others == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::precondition(format!(
                "{others} other clients are connected to the catalog's database: stop these servers and programs"
            )));
        }
        thread::sleep(ASK_AGAIN);
    }
}

/// The tables of a catalog in the database that is attached as `database`.
pub(super) fn tables(connection: &Connection, database: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Table {
        name: String,
    }
    let inner = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename ~ '^(ducklake|merganser)_'";
    let sql = format!("SELECT tablename AS name FROM postgres_query({}, {})", literal(database), literal(inner));
    let tables: Vec<Table> = connection.records(&sql, &[])?;
    Ok(tables.into_iter().map(|table| table.name).collect())
}

/// Drops the tables of a catalog.
pub(super) fn drop_tables(connection: &Connection, database: &str) -> Result<()> {
    connection.transaction(|connection| {
        for table in tables(connection, database)? {
            let drop = format!("DROP TABLE public.{}", identifier(&table));
            connection.execute(&format!("CALL postgres_execute({}, {})", literal(database), literal(&drop)), &[])?;
        }
        Ok(())
    })
}

/// Options in the form of PostgreSQL's client library.
fn options_of(options: impl Iterator<Item = (String, String)>) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('\'', "\\'");
    options.map(|(name, value)| format!("{name}='{}'", escape(&value))).collect::<Vec<_>>().join(" ")
}

/// What is between the scheme and the options, under the names of the secret's parameters.
fn parts(place: &str) -> [(&'static str, &str); 5] {
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    let (account, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    let (host, port) = match address.strip_prefix('[').and_then(|address| address.split_once(']')) {
        Some((host, port)) => (host, port.trim_start_matches(':')),
        None => address.split_once(':').unwrap_or((address, "")),
    };
    [("HOST", host), ("PORT", port), ("USER", user), ("PASSWORD", password), ("DATABASE", database)]
}

fn decode(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| fault("it is not UTF-8"))?;
    if decoded.contains('\0') { Err(fault("it contains a NUL character")) } else { Ok(decoded.into_owned()) }
}

fn fault(cause: &str) -> Error {
    let form = "postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 and the like for signs that have a meaning";
    Error::precondition(format!("read the URI of the catalog: {cause}; expected {form}"))
}

/// Without user and password.
impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}", self.part("HOST").unwrap_or_default())?;
        if let Some(port) = self.part("PORT") {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", self.part("DATABASE").unwrap_or_default())
    }
}

/// As [`Display`](fmt::Display): only DuckDB may see the secret.
impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_uri_reach_the_secret_and_nothing_else() {
        let postgres = Postgres::parse("postgres://ada:p%40ss'%20w/%2Fo@db.example.com:5433/lake?sslmode=require");
        assert!(postgres.is_err(), "a slash ends the host");
        let uri = "postgresql://ada:p%40ss'%20w%2Fo@db.example.com:5433/lake?sslmode=require&connect_timeout=3";
        let postgres = Postgres::parse(uri).unwrap();
        assert_eq!(
            postgres.before_attach(64),
            "SET GLOBAL pg_pool_max_connections = 16;\nSET GLOBAL pg_pool_enable_reaper_thread = false;\nCREATE TEMPORARY SECRET merganser_catalog (TYPE postgres, \
             HOST 'db.example.com', PORT '5433', USER 'ada', PASSWORD 'p@ss'' w/o', DATABASE 'lake')"
        );
        assert_eq!(postgres.options(), "sslmode='require' connect_timeout='3' application_name='merganser'");
        assert_eq!(
            format!("{postgres} {postgres:?}"),
            "postgres://db.example.com:5433/lake Postgres(postgres://db.example.com:5433/lake)"
        );
    }

    #[test]
    fn what_is_left_out_stays_out() {
        let of = |uri| Postgres::parse(uri).unwrap().before_attach(1).split_once("TYPE postgres").unwrap().1.to_owned();
        assert_eq!(of("postgres:///lake?host=/run/pg"), ", DATABASE 'lake', HOST '/run/pg')");
        assert_eq!(of("postgres://%2Frun%2Fpg/lake"), ", HOST '/run/pg', DATABASE 'lake')");
        assert_eq!(of("postgres://ada@/lake?host=/run/pg"), ", USER 'ada', DATABASE 'lake', HOST '/run/pg')");
        assert_eq!(of("postgres://[::1]:7/"), ", HOST '::1', PORT '7')");
        assert_eq!(of("postgres://[::1]/?user=ada"), ", HOST '::1', USER 'ada')");
        assert_eq!(of("postgres://h?port=1&password=x"), ", HOST 'h', PORT '1', PASSWORD 'x')");
    }

    #[test]
    fn a_fault_does_not_repeat_the_password() {
        for uri in [
            "postgres://u:hunter2@h:port/d",
            "postgres://u:hunter2/x@h/d",
            "postgres://u:hunter2@h/d?sslpassword=hunter2",
            "postgres://u:hunter2@h/d?hunter2",
            "postgres://u:hunter2%FF@h/d",
            "postgres://u:hunter2@h/d?a%20b=hunter2",
        ] {
            let err = Postgres::parse(uri).unwrap_err();
            assert!(!err.message().contains("hunter2"), "{err}");
        }
    }
}

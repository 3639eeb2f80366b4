//! The SQL files of `tests/slt`, through the wire: what is visible in SQL is tested in SQL.
//!
//! `connection NAME` in front of a record runs it in another session of the same user, one for each name. The text of
//! an error begins with its kind, as in `statement error NotFound: .*absent`. `statement count` is the number in the
//! column `Count` of a write.

use std::{fmt, path::Path};

use arrow::datatypes::DataType;
use merganser::{client::Client, error::Error};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner, strict_column_validator};

use crate::fixture::{TestServer, texts};

/// Above this, clients lose the text of an error.
const LONGEST_ERROR: usize = 4096;

struct Connection(Client);

#[async_trait::async_trait]
impl AsyncDB for Connection {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let result = self.0.execute(sql).await?;
        let names: Vec<_> = result.schema.fields().iter().map(|field| field.name().clone()).collect();
        let types = result.schema.fields().iter().map(|field| column_type(field.data_type())).collect();
        let rows = texts(result).await?;
        if names.is_empty() || names == ["Count"] || names == ["Success"] {
            // Definitions have no row of their own.
            let count = rows.first().map_or(0, |row| row[0].parse().unwrap_or_default());
            return Ok(DBOutput::StatementComplete(count));
        }
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}
}

/// An error whose text begins with its kind.
#[derive(Debug)]
struct Failure(Error);

impl From<Error> for Failure {
    fn from(err: Error) -> Self {
        assert!((1..LONGEST_ERROR).contains(&err.message().len()), "the text of an error: {err}");
        Self(err)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind(), self.0)
    }
}

impl std::error::Error for Failure {}

fn column_type(kind: &DataType) -> DefaultColumnType {
    match kind {
        kind if kind.is_integer() => DefaultColumnType::Integer,
        kind if kind.is_floating() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

async fn check(name: &str) {
    let server = TestServer::start().await;
    let mut runner = Runner::new(|| async { Ok(Connection(server.client().await)) });
    runner.with_column_validator(strict_column_validator);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt").join(name);
    runner.run_file_async(file).await.unwrap_or_else(|err| panic!("{}", err.display(false)));
    runner.shutdown_async().await;
    drop(runner);
    server.stop().await;
}

macro_rules! files {
    ($($name:ident),*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            check(concat!(stringify!($name), ".slt")).await;
        }
    )*};
}

files!(
    answers,
    calls,
    definitions,
    ducklake,
    errors,
    guard,
    hazards,
    hostile,
    queries,
    schema_evolution,
    session,
    statements,
    stored_types,
    time_travel,
    transactions
);

//! The SQL files of `tests/slt`, through the wire: what is visible in SQL is tested in SQL.

use std::path::Path;

use arrow::datatypes::DataType;
use merganser::{client::Client, error::Error};
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::fixture::{TestServer, texts};

struct Connection(Client);

#[async_trait::async_trait]
impl AsyncDB for Connection {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let result = self.0.execute(sql).await?;
        let names: Vec<_> = result.schema.fields().iter().map(|field| field.name().clone()).collect();
        if names.is_empty() || names == ["Count"] || names == ["Success"] {
            return Ok(DBOutput::StatementComplete(0));
        }
        let types = result.schema.fields().iter().map(|field| column_type(field.data_type())).collect();
        Ok(DBOutput::Rows { types, rows: texts(result).await? })
    }

    async fn shutdown(&mut self) {}
}

fn column_type(kind: &DataType) -> DefaultColumnType {
    match kind {
        kind if kind.is_integer() => DefaultColumnType::Integer,
        kind if kind.is_floating() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

async fn check(name: &str) {
    let server = TestServer::start().await;
    let client = server.client().await;
    let mut runner = Runner::new(|| async { Ok(Connection(client.clone())) });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt").join(name);
    runner.run_file_async(file).await.unwrap_or_else(|err| panic!("{}", err.display(false)));
    runner.shutdown_async().await;
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

files!(time_travel, schema_evolution, transactions, hazards, errors);

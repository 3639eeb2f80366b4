//! Statements through the wire.

use futures::TryStreamExt;
use merganser::error::ErrorKind;

use crate::fixture::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_starts_with_its_layers() {
    let server = TestServer::start().await;
    let sql = "SELECT schema_name FROM duckdb_schemas() WHERE database_name = 'lake' ORDER BY 1";
    let layers: Vec<_> = server.rows(sql).await.unwrap().concat();
    assert_eq!(layers, ["gold", "main", "raw", "silver"]);
    assert_eq!(
        server.value("SELECT value FROM lake.options() WHERE option_name = 'data_inlining_row_limit'").await,
        "0"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_a_restart() {
    let server = TestServer::start().await;
    server.rows("CREATE TABLE silver.t AS SELECT range AS i FROM range(1000)").await.unwrap();
    let home = server.stop().await;
    let server = TestServer::start_in(home).await;
    assert_eq!(server.value("SELECT sum(i)::BIGINT FROM silver.t").await, "499500");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_names_its_snapshot() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let before = client.execute("SELECT 1").await.unwrap().snapshot_id.unwrap();
    let written = client.execute("CREATE TABLE silver.t (i INTEGER)").await.unwrap().snapshot_id.unwrap();
    let after = client.execute("FROM silver.t").await.unwrap().snapshot_id.unwrap();
    assert_eq!((written, after), (before + 1, before + 1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_result_does_not_keep_its_connection_for_ever() {
    let server = TestServer::start().await;
    let client = server.client().await;
    for _ in 0..80 {
        // Small results wait without a connection; the pool has 64.
        drop(client.execute("SELECT 1").await.unwrap());
    }
    assert_eq!(server.value("SELECT 42").await, "42");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_reach_beyond_rows_and_tables_are_refused() {
    let server = TestServer::start().await;
    for sql in ["SET threads = 1", "ATTACH ':memory:' AS x", "DETACH lake", "COPY (SELECT 1) TO '/tmp/x'", "CHECKPOINT"]
    {
        let err = server.rows(sql).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Unsupported, "{sql}: {err}");
    }
    assert_eq!(server.value("SELECT 1").await, "1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_statements_are_one_unit() {
    let server = TestServer::start().await;
    assert_eq!(server.value("CREATE TABLE silver.t AS SELECT 1 AS i; INSERT INTO silver.t VALUES (2); SELECT sum(i)::INT FROM silver.t").await, "3");
    let err =
        server.rows("INSERT INTO silver.t VALUES (3); INSERT INTO silver.t SELECT 1 // 0; FROM silver.nowhere").await;
    assert_eq!(err.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(server.value("SELECT count(*)::INT FROM silver.t").await, "2");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_all_succeed() {
    let server = TestServer::start().await;
    server.rows("CREATE TABLE silver.t (i INTEGER)").await.unwrap();
    let client = server.client().await;
    let writers = (0..8).map(|writer| {
        let client = client.clone();
        async move {
            for _ in 0..5 {
                client.execute(&format!("INSERT INTO silver.t VALUES ({writer})")).await.unwrap();
            }
        }
    });
    futures::future::join_all(writers).await;
    assert_eq!(server.value("SELECT count(*) FROM silver.t").await, "40");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_midstream_reaches_the_reader() {
    let server = TestServer::start().await;
    let sql = "SELECT CASE WHEN i = 900000 THEN 'x' ELSE '1' END::INTEGER AS n FROM range(1000000) t(i)";
    let read = async { server.client().await.execute(sql).await?.batches.try_for_each(|_| async { Ok(()) }).await };
    let err = read.await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument);
    assert!(err.message().contains("Could not convert string 'x'"), "{err}");
    server.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_slows_the_query_and_fills_no_disk() {
    let server = TestServer::start().await;
    let client = server.client().await;
    let mut rows = client.execute("SELECT i, repeat('x', 200) AS s FROM range(1000000000) t(i)").await.unwrap();
    rows.batches.try_next().await.unwrap();
    // Other statements come and go meanwhile.
    for _ in 0..20 {
        assert_eq!(server.value("SELECT 1").await, "1");
    }
    assert_eq!(server.open_staging_bytes(), 0);
    drop(rows);
    server.stop().await;
}

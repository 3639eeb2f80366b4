//! What goes wrong outside: a lake that cannot be opened says why, and nothing is served.

use std::{fs, path::Path};

use merganser::{
    config::{HostPort, Settings, Storage},
    error::{Error, ErrorKind},
    lake::catalog::Catalog,
    server::Server,
};

use crate::fixture::TestServer;

fn settings(home: &Path) -> Settings {
    Settings {
        home: home.to_path_buf(),
        storage: Storage::Local(home.join("store")),
        listen: HostPort { host: "127.0.0.1".into(), port: 0 },
        ..Settings::default()
    }
}

#[track_caller]
fn check(err: &Error, kind: ErrorKind, words: &[&str]) {
    assert_eq!(err.kind(), kind, "{err}");
    for word in words {
        assert!(err.message().contains(word), "{err} lacks {word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let err = Server::build(&settings(&folder.path().join("file/home"))).await.unwrap_err();
    check(&err, ErrorKind::FailedPrecondition, &["write to", "file/home"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let server = TestServer::start().await;
    let port = server.url().rsplit(':').next().unwrap().parse().unwrap();
    let other = tempfile::tempdir().unwrap();
    let listen = HostPort { host: "127.0.0.1".into(), port };
    let err = Server::build(&Settings { listen, ..settings(other.path()) }).await.unwrap_err();
    check(&err, ErrorKind::FailedPrecondition, &["listen on 127.0.0.1", "in use"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_machines_are_not_served_without_credentials() {
    let home = tempfile::tempdir().unwrap();
    let listen = HostPort { host: "0.0.0.0".into(), port: 0 };
    let err = Server::build(&Settings { listen, ..settings(home.path()) }).await.unwrap_err();
    check(&err, ErrorKind::FailedPrecondition, &["0.0.0.0", "no credentials", "127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_extension_is_named_with_the_remedy() {
    let home = tempfile::tempdir().unwrap();
    let extensions = Some(home.path().join("nothing"));
    let err = Server::build(&Settings { extensions, ..settings(home.path()) }).await.unwrap_err();
    check(&err, ErrorKind::FailedPrecondition, &["ducklake", "scripts/fetch-duckdb.sh", "v1.5.5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_no_database_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let catalog = home.path().join("catalog.ducklake");
    fs::write(&catalog, "not a database, but long enough to look at: ".repeat(200)).unwrap();
    let err = Server::build(&settings(home.path())).await.unwrap_err();
    check(&err, ErrorKind::FailedPrecondition, &["catalog.ducklake", "not a DuckDB database"]);
    assert!(fs::read_to_string(&catalog).unwrap().starts_with("not a database"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer_is_named_without_its_password() {
    let home = tempfile::tempdir().unwrap();
    let nobody = tempfile::tempdir().unwrap();
    let uri = format!("postgres://ada:hunter2@/lake?host={}", nobody.path().display());
    let catalog = Some(Catalog::parse(&uri).unwrap());
    let err = Server::build(&Settings { catalog, ..settings(home.path()) }).await.unwrap_err();
    check(&err, ErrorKind::FailedPrecondition, &["PostgreSQL does not answer", "/lake"]);
    assert!(!format!("{err:?}").contains("hunter2"), "{err:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_of_a_newer_format_is_left_alone() {
    let home = TestServer::start().await.stop().await;
    let catalog = duckdb::Connection::open(home.path().join("catalog.ducklake")).unwrap();
    let newer = "UPDATE ducklake_metadata SET value = '9.9' WHERE key = 'version'";
    assert_eq!(catalog.execute(newer, []).unwrap(), 1);
    catalog.close().unwrap();
    let err = Server::build(&settings(home.path())).await.unwrap_err();
    check(&err, ErrorKind::FailedPrecondition, &["catalog.ducklake", "another DuckLake version", "9.9"]);
}

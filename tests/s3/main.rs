//! The S3 server of the tests as a process: `s3 ROOT`.
//!
//! Prints where it serves the buckets in ROOT, and where a test orders faults (`PUT /faults`, a list of rules) and asks
//! for the requests that came since it last did (`POST /seen`). It ends with its standard input, that of the test.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test's tool fails by panicking")]

mod fault;
mod server;

use std::{io::Read, path::PathBuf};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    routing::{post, put},
};
use serde_json::json;
use tokio::net::TcpListener;

use server::Control;

#[tokio::main]
async fn main() {
    let root = PathBuf::from(std::env::args_os().nth(1).unwrap());
    let control = Control::new(&root);
    let store = server::serve(control.clone()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (key_id, secret_key) = (server::KEY_ID, server::SECRET_KEY);
    let control_url = format!("http://{}", listener.local_addr().unwrap());
    println!(
        "{}",
        json!({"url": format!("http://{store}"), "control": control_url, "key_id": key_id, "secret_key": secret_key})
    );
    let router = Router::new().route("/faults", put(order)).route("/seen", post(seen)).with_state(control);
    tokio::spawn(async { axum::serve(listener, router).await });
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await;
}

async fn order(State(control): State<Control>, rules: Bytes) -> Result<(), (StatusCode, String)> {
    let rules = serde_json::from_slice(&rules).map_err(|err| (StatusCode::BAD_REQUEST, err.to_string()))?;
    control.order(rules);
    Ok(())
}

async fn seen(State(control): State<Control>) -> String {
    serde_json::to_string(&control.take_seen()).unwrap()
}

//! merganser: DuckDB and DuckLake behind Arrow Flight SQL.
//!
//! # Layout, in reading order
//!
//! Plain words: [`error`] what can fail · [`ids`] identifiers · [`quote`] names for SQL · [`context`] who asks ·
//! [`auth`] who somebody is · [`proto`] the messages of actions.
//!
//! Edge: [`cli`] the commands · [`client`] of a running server · [`config`] settings · [`server`] assembly and
//! shutdown · [`flight`] the protocol.
//!
//! Use: [`session`] what outlives a request · [`actions`] typed requests to jobs · [`jobs`] progress and
//! cancellation.
//!
//! Domain: [`lake`] attach, snapshots, history, diff, rollback, tags · [`ingest`] sources to tables ·
//! [`backup`] copies of the catalog · [`medallion`] models and checks
//! · [`media`] bytes to facts · [`sample`] data to try it on.
//!
//! Adapters: [`engine`] DuckDB · [`storage`] objects · [`telemetry`] logs and metrics.
//!
//! `ARCHITECTURE.md` tells how they work together and what none of them does.

pub mod actions;
pub mod auth;
pub mod backup;
pub mod cli;
pub mod client;
pub mod config;
pub mod context;
pub mod engine;
pub mod error;
pub mod flight;
pub mod ids;
pub mod ingest;
pub mod jobs;
pub mod lake;
pub mod medallion;
pub mod media;
pub mod proto;
pub mod quote;
pub mod sample;
pub mod server;
pub mod session;
pub mod storage;
pub mod telemetry;

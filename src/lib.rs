//! merganser: DuckDB and DuckLake behind Arrow Flight SQL.
//!
//! # Layout, in reading order
//!
//! Plain words: [`error`] what can fail · [`ids`] identifiers · [`quote`] names for SQL · [`context`] who asks ·
//! [`proto`] the messages of actions.
//!
//! Edge: [`cli`] the commands · [`client`] of a running server · [`config`] settings · [`server`] assembly and
//! shutdown · [`flight`] the protocol.
//!
//! Use: [`session`] what outlives a request · [`query`] a statement's life · [`write`](mod@write) rows that come in ·
//! [`actions`] typed requests to jobs · [`jobs`] progress and cancellation.
//!
//! Domain: [`sql`] a statement, read once · [`lake`] attach, commits, snapshots, history, diff, rollback, tags ·
//! [`ingest`] sources to tables · [`export`](mod@export) tables to files · [`publish`] tables to
//! data sets of the Hub · [`backup`] copies of the catalog · [`medallion`] models and checks · [`media`] bytes to
//! facts · [`auth`] who somebody is.
//!
//! Adapters: [`engine`] DuckDB · [`storage`] objects · [`hub`] downloads · [`telemetry`] logs and metrics.
//!
//! `ARCHITECTURE.md` says how they work together and what none of them does.

pub mod error;
pub mod ids;
pub mod quote;
pub mod context;
pub mod proto;

pub mod cli;
pub mod client;
pub mod config;
pub mod server;
pub mod flight;

pub mod session;
pub mod query;
pub mod write;
pub mod actions;
pub mod jobs;

pub mod sql;
pub mod lake;
pub mod ingest;
pub mod export;
pub mod publish;
pub mod backup;
pub mod medallion;
pub mod media;
pub mod auth;

pub mod engine;
pub mod storage;
pub mod hub;
pub mod telemetry;

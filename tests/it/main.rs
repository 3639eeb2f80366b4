//! The integration tests: one binary, because each further one would link everything again. Every test has a server
//! of its own, on a free port, with a home of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod architecture;
mod command_line;
mod differential;
#[path = "../s3/fault.rs"]
mod fault;
mod faults;
mod fixture;
#[path = "../s3/server.rs"]
mod server;
mod slt;
mod statements;
mod storage;

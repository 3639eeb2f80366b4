//! The integration tests: one binary, because each further one would link everything again. Every test has a server
//! of its own, on a free port, with a home of its own.

mod architecture;
mod command_line;
mod faults;
mod fixture;
mod slt;
mod statements;

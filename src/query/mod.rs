//! The life of a statement: from its SQL text to the rows that its client fetches.
//!
//! ```text
//! Queries ─▶ execute (what kind of statement) ─▶ control | procedure | run (a connection) ─▶ Outcome
//!         ─▶ Executions (its result waits under a ticket) ─▶ Reading
//! ```

mod binding;
mod control;
mod describe;
mod execute;
mod execution;
mod guard;
mod partitions;
mod procedure;
mod queries;
mod reading;
mod rows;
mod run;
mod shared;
mod small_tables;
mod statement;
mod ticket;

pub use self::{
    execution::{Execution, Executions, Known, Phase},
    guard::Guard,
    procedure::{Procedure, ProcedureRows, Procedures},
    queries::Queries,
    reading::Reading,
    rows::Rows,
    shared::Settings,
    statement::{Outcome, Statement},
};

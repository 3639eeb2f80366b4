//! Actions as SQL: `CALL merganser.rollback('silver.t', version => 3)` gives the action's events as rows.
//!
//! ```text
//! statement ─▶ parse ─▶ Call (action, arguments) ─▶ JSON body ─▶ Actions::call ─▶ events ─▶ rows
//! ```
//!
//! The arguments are the fields of the action's request in `proto/`, in their order or by name. A name that is not a field
//! of the request but of one of its messages sets that field: `version` is `to.version` of a rollback.

mod call;
mod field_path;
mod parse;
mod rows;

pub use self::{call::Call, parse::parse};

#[cfg(test)]
mod tests;

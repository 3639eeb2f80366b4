//! Statements, parsed once.
//!
//! All decisions of the server that depend on the text of a statement use a [`ParsedStatement`]: it is created once per
//! statement, kept with a prepared statement, and passed on. No other module inspects the text.
//!
//! ```text
//! text ─▶ plain spaces ─▶ tokens ─▶ split at ; ─▶ kind, definition ─▶ ParsedStatement
//! ```
//!
//! DuckDB provides no syntax tree for most kinds of statements, so the text is split into tokens by the rules of its
//! own scanner ([`token`]) and parsed by the rules of its grammar as far as needed. DuckDB's parser is authoritative:
//! if it classifies a statement differently from this module, the statement is rejected before it runs
//! (`query::guard`), and a test compares the two on 100,000 unusual spellings.
//!
//! Pure: no I/O, no engine, no session.

mod call;
mod constant;
mod conflict;
mod cursor;
mod definition;
mod functions;
mod insert;
mod kind;
mod limits;
mod macros;
mod name;
mod prepared;
mod setting;
mod statement;
mod summary;
mod target;
mod token;
mod whole_table;

pub use self::{
    call::{Argument, Call},
    conflict::ReadsAndWrites,
    constant::Constant,
    definition::{Change, Definition, Object},
    functions::{Calls, Function},
    insert::{Expressions, InsertSource, InsertValues},
    kind::{Kind, TransactionControl},
    name::Name,
    prepared::{Execute, Prepare},
    setting::Setting,
    statement::{ParsedStatement, parse, parse_one},
    whole_table::WholeTable,
};

#[cfg(test)]
mod tests;

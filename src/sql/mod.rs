//! A statement, read once.
//!
//! Everything that the server decides by the text of a statement it decides by a [`ParsedStatement`]: made once for each
//! text, kept with a prepared statement, and handed on. Nobody else looks at the text.
//!
//! ```text
//! text ─▶ plain spaces ─▶ tokens ─▶ split at ; ─▶ kind, definition ─▶ ParsedStatement
//! ```
//!
//! DuckDB hands out no syntax tree for most kinds of statements, so the text is cut into tokens by the rules of its own
//! scanner ([`token`]) and read by the rules of its grammar as far as needed. DuckDB's parser has the last word: when it
//! takes a statement for something else than this module does, the statement is refused before it runs
//! (`query::guard`), and a test compares the two on 100,000 odd spellings.
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
    functions::Calls,
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

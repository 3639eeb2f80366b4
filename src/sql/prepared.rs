//! PREPARE, EXECUTE and DEALLOCATE.

use super::{kind::Kind, statement::ParsedStatement, token::TokenKind};
use crate::error::{Error, Result};

/// `PREPARE name AS statement`.
#[derive(Clone, Debug)]
pub struct Prepare {
    /// The name, in lower case.
    pub name: String,
    /// The prepared statement.
    pub statement: ParsedStatement,
}

/// `EXECUTE name(1, x := 'a')`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    /// The name, in lower case.
    pub name: String,
    /// The expressions of its parameters, each with the name of the parameter if it has one.
    pub arguments: Vec<(Option<String>, String)>,
}

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The statement in a PREPARE; `None` for another statement.
    ///
    /// # Errors
    /// `InvalidArgument` if it is not a PREPARE of one statement; Unsupported for types of parameters.
    pub fn preparation(&self) -> Result<Option<Prepare>> {
        if *self.kind() != Kind::Prepare {
            return Ok(None);
        }
        let unreadable = || Error::invalid("write PREPARE name AS statement");
        let mut cursor = self.cursor();
        cursor.next();
        let name = cursor.take_part().ok_or_else(unreadable)?.to_lowercase();
        if cursor.is("(") {
            return Err(Error::unsupported(
                "types of parameters in PREPARE are not supported: use casts, such as $1::INTEGER",
            ));
        }
        if !cursor.take("AS") {
            return Err(unreadable());
        }
        let statement = super::statement::parse_one(cursor.source())?;
        Ok(Some(Prepare { name, statement }))
    }

    /// The EXECUTE; `None` for another statement.
    ///
    /// # Errors
    /// `InvalidArgument` if it is not a valid EXECUTE.
    pub fn execution(&self) -> Result<Option<Execute>> {
        if *self.kind() != Kind::Execute {
            return Ok(None);
        }
        let unreadable = || Error::invalid("write EXECUTE name or EXECUTE name(argument, …)");
        let mut cursor = self.cursor();
        cursor.next();
        let name = cursor.take_part().ok_or_else(unreadable)?.to_lowercase();
        let inside = if cursor.is("(") { Some(cursor.take_parentheses().ok_or_else(unreadable)?) } else { None };
        if !cursor.is_at_end() {
            return Err(unreadable());
        }
        let mut arguments = Vec::new();
        for mut argument in inside.map(super::cursor::Cursor::split_at_commas).unwrap_or_default() {
            let name = if argument.is_at(1, ":=") { argument.take_part() } else { None };
            if name.is_some() {
                argument.next();
            }
            if argument.rest().iter().any(|token| token.kind == TokenKind::Parameter) {
                return Err(Error::invalid("arguments of EXECUTE are values, and take no parameters"));
            }
            if argument.is_at_end() {
                return Err(unreadable());
            }
            arguments.push((name, argument.source().to_owned()));
        }
        Ok(Some(Execute { name, arguments }))
    }

    /// The name in a DEALLOCATE, in lower case; `None` for another statement.
    pub fn deallocated(&self) -> Option<String> {
        if *self.kind() != Kind::Deallocate {
            return None;
        }
        let mut cursor = self.cursor();
        cursor.next();
        if cursor.rest().len() > 1 {
            cursor.take("PREPARE");
        }
        cursor.take_part().filter(|_| cursor.is_at_end()).map(|name| name.to_lowercase())
    }
}

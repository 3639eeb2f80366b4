//! `CALL schema.procedure(argument, name => argument)`.

use super::{constant::Constant, cursor::Cursor, kind::Kind, name::Name, statement::ParsedStatement, token::TokenKind};
use crate::error::{Error, Result};

/// A CALL.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The name of the procedure.
    pub name: Name,
    /// The arguments in the order of the SQL text, each with its name, if it has one.
    pub arguments: Vec<(Option<String>, Argument)>,
}

/// An argument of a CALL.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// A value.
    Constant(Constant),
    /// It is bound when the statement is executed.
    Parameter,
}

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The name in a CALL; `None` for another statement.
    pub fn called(&self) -> Option<Name> {
        let mut cursor = self.cursor();
        if *self.kind() != Kind::Call || !cursor.take("CALL") {
            return None;
        }
        cursor.take_name()
    }

    /// The CALL with its arguments; `None` for another statement.
    ///
    /// # Errors
    /// `InvalidArgument` if an argument is neither a constant nor `?`.
    pub fn call(&self) -> Result<Option<Call>> {
        let Some(name) = self.called() else { return Ok(None) };
        let mut cursor = self.cursor();
        cursor.next();
        cursor.take_name();
        if cursor.is_at_end() {
            return Ok(Some(Call { name, arguments: Vec::new() }));
        }
        if !cursor.is("(") {
            return Err(not_constant());
        }
        let unclosed = || Error::invalid("read the CALL: a parenthesis is not closed");
        let inside = cursor.take_parentheses().ok_or_else(unclosed)?;
        if !cursor.is_at_end() {
            return Err(not_constant());
        }
        let parts = if inside.is_at_end() { Vec::new() } else { inside.split_at_commas() };
        let arguments = parts.into_iter().map(argument).collect::<Result<_>>()?;
        Ok(Some(Call { name, arguments }))
    }
}

fn argument(mut cursor: Cursor<'_>) -> Result<(Option<String>, Argument)> {
    let named = ["=>", ":=", "="].iter().any(|sign| cursor.is_at(1, sign));
    let name = if named { cursor.take_part() } else { None };
    if named {
        cursor.next();
    }
    if let Some(token) = cursor.peek().filter(|token| token.kind == TokenKind::Parameter) {
        let sign = cursor.spelling(token);
        if sign != "?" || cursor.rest().len() > 1 {
            return Err(Error::unsupported(format!("the parameter {sign}: write ? for the parameters of a CALL")));
        }
        return Ok((name, Argument::Parameter));
    }
    let constant = Constant::take(&mut cursor).filter(|_| cursor.is_at_end()).ok_or_else(not_constant)?;
    Ok((name, Argument::Constant(constant)))
}

fn not_constant() -> Error {
    Error::invalid("arguments are constants or ?, such as 'text', 3, true, NULL, ['a', 'b'] or {'version': 3}")
}

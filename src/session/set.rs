//! `SET`, `RESET` and `USE` as SQL text: they change the options of the session, not a connection that is anybody's.

use sqlparser::{
    ast::{self, ContextModifier, Expr, ObjectName, Set, Statement, UnaryOperator, Use},
    dialect::DuckDbDialect,
    parser::Parser,
};

use super::options::OptionValue;
use crate::{
    error::{Error, Result},
    lake,
};

/// An option and its new value; `None` sets it back.
pub type Assignment = (String, Option<OptionValue>);

/// What the statement changes.
///
/// # Errors
/// `InvalidArgument` for what is none of the three; `NotFound` for another catalog; Unsupported for global settings.
pub fn parse(sql: &str) -> Result<Assignment> {
    let statements = Parser::parse_sql(&DuckDbDialect {}, sql);
    let statement = statements.ok().and_then(|mut statements| statements.pop()).ok_or_else(unreadable)?;
    match statement {
        Statement::Set(Set::SingleAssignment { scope: Some(ContextModifier::Global), .. }) => {
            Err(Error::unsupported("global settings belong to the server; leave GLOBAL away"))
        }
        Statement::Set(Set::SingleAssignment { variable, values, .. }) => match values.as_slice() {
            [value] => Ok((last_name(&variable)?.to_ascii_lowercase(), Some(constant(value)?))),
            _ => Err(unreadable()),
        },
        Statement::Set(Set::SetTimeZone { value, .. }) => Ok(("timezone".into(), Some(constant(&value)?))),
        Statement::Reset(ast::ResetStatement { reset: ast::Reset::ConfigurationParameter(name) }) => {
            Ok((last_name(&name)?.to_ascii_lowercase(), None))
        }
        Statement::Use(Use::Object(name)) => Ok(("schema".into(), Some(OptionValue::Text(schema(&name)?)))),
        _ => Err(unreadable()),
    }
}

fn unreadable() -> Error {
    Error::invalid("write SET name = value with a constant, RESET name, or USE schema")
}

fn names(name: &ObjectName) -> Vec<&str> {
    name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.as_str()).collect()
}

fn last_name(name: &ObjectName) -> Result<String> {
    names(name).last().map(|name| (*name).to_owned()).ok_or_else(unreadable)
}

/// The schema that `USE` names: `silver`, `lake.silver`, or `lake` for its main one.
fn schema(name: &ObjectName) -> Result<String> {
    match names(name).as_slice() {
        [catalog] if catalog.eq_ignore_ascii_case(lake::CATALOG) => Ok("main".into()),
        [schema] => Ok((*schema).to_owned()),
        [catalog, schema] if catalog.eq_ignore_ascii_case(lake::CATALOG) => Ok((*schema).to_owned()),
        _ => Err(Error::not_found(format!("USE {name}: there is one catalog, {}", lake::CATALOG))),
    }
}

fn constant(value: &Expr) -> Result<OptionValue> {
    match value {
        Expr::Value(value) => match &value.value {
            ast::Value::Boolean(flag) => Ok(OptionValue::Flag(*flag)),
            ast::Value::Number(number, _) => number
                .parse()
                .map(OptionValue::Whole)
                .or_else(|_| number.parse().map(OptionValue::Number))
                .map_err(|_| unreadable()),
            other => other.clone().into_string().map(OptionValue::Text).ok_or_else(unreadable),
        },
        // SET timezone = UTC, SET default_order TO desc.
        Expr::Identifier(name) => Ok(OptionValue::Text(name.value.clone())),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match constant(expr)? {
            OptionValue::Whole(number) => Ok(OptionValue::Whole(-number)),
            OptionValue::Number(number) => Ok(OptionValue::Number(-number)),
            _ => Err(unreadable()),
        },
        _ => Err(unreadable()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_clients_send() {
        let text = |text: &str| Some(OptionValue::Text(text.to_owned()));
        for (sql, name, value) in [
            ("SET timezone = 'UTC'", "timezone", text("UTC")),
            ("set TimeZone to 'Asia/Tokyo';", "timezone", text("Asia/Tokyo")),
            ("SET TIME ZONE 'UTC'", "timezone", text("UTC")),
            ("SET SESSION integer_division = true", "integer_division", Some(OptionValue::Flag(true))),
            ("SET pivot_limit = 5", "pivot_limit", Some(OptionValue::Whole(5))),
            ("/* x */ SET schema = 'silver'", "schema", text("silver")),
            ("RESET timezone", "timezone", None),
            ("USE silver", "schema", text("silver")),
            ("USE lake.\"odd name\"", "schema", text("odd name")),
            ("USE lake", "schema", text("main")),
        ] {
            assert_eq!(parse(sql).ok(), Some((name.to_owned(), value)), "{sql}");
        }
        for sql in ["SET GLOBAL timezone = 'UTC'", "USE a.b.c", "SET x = (SELECT 1)", "SELECT 1", "USE other.main"] {
            assert!(parse(sql).is_err(), "{sql}");
        }
    }
}

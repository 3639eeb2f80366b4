//! From the text of a CALL to the body of its action.

use serde_json::{Map, Number, Value};
use sqlparser::{
    ast::{self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Statement, UnaryOperator},
    dialect::DuckDbDialect,
    parser::Parser,
};

use super::{
    super::{ALL, Action, unknown},
    Call, Place,
};
use crate::{
    error::{Error, Result},
    proto::{self, Field, Takes},
};

/// The schema that the actions seem to lie in.
const SCHEMA: &str = "merganser";

/// What an argument is.
enum Argument {
    Constant(Value),
    /// It comes when the statement is executed.
    Parameter,
}

/// The call of an action that `sql` is; `None` when it is another statement.
///
/// # Errors
/// `InvalidArgument` for arguments that are not written as they must be; Unsupported for an action that there is not.
pub fn parse(sql: &str) -> Result<Option<Call>> {
    if !begins_as_call(sql) {
        return Ok(None);
    }
    let mut statements =
        Parser::parse_sql(&DuckDbDialect {}, sql).map_err(|err| Error::invalid(format!("read the CALL: {err}")))?;
    let count = statements.len();
    match statements.pop() {
        Some(Statement::Call(function)) if count == 1 => {
            let action = action(&function.name)?;
            call(action, function).map(Some).map_err(|err| err.context(format_args!("call {}", action.name)))
        }
        _ => Err(Error::invalid(format!("the text holds {count} statements; send them one at a time"))),
    }
}

/// Whether the text begins with `CALL merganser.`, comments left out.
fn begins_as_call(sql: &str) -> bool {
    let Some(rest) = strip_word(skip_blanks(sql), "call") else { return false };
    let rest = skip_blanks(rest);
    let schema = rest.strip_prefix('"').and_then(|rest| strip_word(rest, SCHEMA)?.strip_prefix('"'));
    let rest = schema.or_else(|| strip_word(rest, SCHEMA));
    rest.is_some_and(|rest| skip_blanks(rest).starts_with('.'))
}

/// What follows `word` in any case, if the text begins with it.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(word.len())?;
    let ends = !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    (ends && start.eq_ignore_ascii_case(word)).then_some(rest)
}

fn skip_blanks(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        rest = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n').map_or("", |(_, after)| after),
            (_, Some(comment)) => comment.split_once("*/").map_or("", |(_, after)| after),
            (None, None) => return rest,
        }
        .trim_start();
    }
}

/// The action that `merganser.job_cancel`, `merganser."job.cancel"` or `merganser.job.cancel` names.
fn action(name: &ast::ObjectName) -> Result<&'static Action> {
    let parts = name.0.iter().skip(1).filter_map(|part| part.as_ident());
    let name = parts.map(|part| part.value.to_ascii_lowercase()).collect::<Vec<_>>().join(".");
    let found = ALL.iter().find(|action| action.name == name || action.name.replace('.', "_") == name);
    found.ok_or_else(|| unknown(&name))
}

fn call(action: &Action, function: ast::Function) -> Result<Call> {
    let fields = proto::describe(action.request)?.fields;
    let mut call = Call { action: *action, body: Map::new(), parameters: Vec::new() };
    let (mut taken, mut named) = (Vec::<Place>::new(), false);
    for (index, argument) in arguments(function)?.into_iter().enumerate() {
        named |= !matches!(argument, FunctionArg::Unnamed(_));
        let (place, argument) = match argument {
            FunctionArg::Named { name, arg, .. } => (place(&fields, &name), arg),
            FunctionArg::Unnamed(arg) if !named => (at(fields.get(index).ok_or_else(|| positional(&fields))?), arg),
            FunctionArg::Unnamed(_) | FunctionArg::ExprNamed { .. } => return Err(positional(&fields)),
        };
        let argument = read(argument).map_err(|err| err.context(format_args!("\"{}\"", place.field)))?;
        if taken.iter().any(|other| place.overlaps(other)) {
            return Err(Error::invalid(format!("\"{}\" is given twice", place.field)));
        }
        match argument {
            Argument::Constant(value) => place.put(&mut call.body, value),
            Argument::Parameter => call.parameters.push(place.clone()),
        }
        taken.push(place);
    }
    Ok(call)
}

fn arguments(function: ast::Function) -> Result<Vec<FunctionArg>> {
    let plain = function.over.is_none() && function.filter.is_none() && function.within_group.is_empty();
    match function.args {
        FunctionArguments::None => Ok(Vec::new()),
        FunctionArguments::List(list) if plain && list.clauses.is_empty() && list.duplicate_treatment.is_none() => {
            Ok(list.args)
        }
        FunctionArguments::List(_) | FunctionArguments::Subquery(_) => Err(not_constant()),
    }
}

/// Where the argument `name` goes: to the request's own field, else to that of its only message with such a field. One
/// that is neither is left to the reader of the body, who refuses it.
fn place(fields: &[Field], name: &Ident) -> Place {
    let name = name.value.to_ascii_lowercase();
    if let Some(field) = fields.iter().find(|field| field.name == name) {
        return at(field);
    }
    let inner = fields.iter().filter_map(|holder| match &holder.takes {
        Takes::Message(inner) => Some((holder, inner.iter().find(|field| field.name == name)?)),
        Takes::Text | Takes::Whole | Takes::Flag | Takes::Texts => None,
    });
    match inner.collect::<Vec<_>>().as_slice() {
        [(holder, field)] => Place { message: Some(holder.name.clone()), ..at(field) },
        _ => Place { message: None, field: name, takes: Takes::Text },
    }
}

fn at(field: &Field) -> Place {
    Place { message: None, field: field.name.clone(), takes: field.takes.clone() }
}

fn positional(fields: &[Field]) -> Error {
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    let order = if names.is_empty() { "it takes none".to_owned() } else { names.join(", ") };
    Error::invalid(format!("arguments without a name come first, in the order of the fields: {order}"))
}

fn not_constant() -> Error {
    Error::invalid("arguments are constants or ?, such as 'text', 3, true, NULL, ['a', 'b'] or {'version': 3}")
}

fn read(argument: FunctionArgExpr) -> Result<Argument> {
    match argument {
        FunctionArgExpr::Expr(Expr::Value(ast::ValueWithSpan { value: ast::Value::Placeholder(sign), .. })) => {
            if sign == "?" {
                return Ok(Argument::Parameter);
            }
            Err(Error::unsupported(format!("the parameter {sign}: write ? for the parameters of a CALL")))
        }
        FunctionArgExpr::Expr(constant_expr) => constant(constant_expr).map(Argument::Constant),
        FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::Wildcard | FunctionArgExpr::WildcardWithOptions(_) => {
            Err(not_constant())
        }
    }
}

fn constant(expr: Expr) -> Result<Value> {
    match expr {
        Expr::Value(value) => scalar(value.value),
        // TIMESTAMP '2026-01-31 12:00:00'
        Expr::TypedString(typed) => scalar(typed.value.value),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match constant(*expr)? {
            Value::Number(number) => self::number(&format!("-{number}")),
            _ => Err(not_constant()),
        },
        Expr::Nested(expr) => constant(*expr),
        Expr::Array(array) => array.elem.into_iter().map(constant).collect::<Result<_>>().map(Value::Array),
        Expr::Dictionary(fields) => {
            let field = |field: ast::DictionaryField| Ok((field.key.value, constant(*field.value)?));
            fields.into_iter().map(field).collect::<Result<_>>().map(Value::Object)
        }
        _ => Err(not_constant()),
    }
}

fn scalar(value: ast::Value) -> Result<Value> {
    match value {
        ast::Value::Null => Ok(Value::Null),
        ast::Value::Boolean(flag) => Ok(Value::Bool(flag)),
        ast::Value::Number(digits, _) => number(&digits),
        ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => Ok(Value::String(text)),
        ast::Value::DollarQuotedString(text) => Ok(Value::String(text.value)),
        _ => Err(not_constant()),
    }
}

fn number(digits: &str) -> Result<Value> {
    serde_json::from_str::<Number>(digits).map(Value::Number).map_err(|_| not_constant())
}

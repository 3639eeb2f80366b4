//! Parses a CALL into the body of its action.

use serde_json::{Map, Number, Value};

use super::{
    super::dispatch::{ALL, Entry, unknown},
    call::Call,
    field_path::FieldPath,
};
use crate::{
    error::{Error, Result},
    proto::{self, Field, Takes},
    sql::{Argument, Constant, Name, ParsedStatement},
};

/// The schema of the actions in SQL.
const SCHEMA: &str = "merganser";

/// Parses a CALL of an action; returns `None` for other statements.
///
/// # Errors
/// `InvalidArgument` for invalid arguments; Unsupported for an unknown action.
pub fn parse(statement: &ParsedStatement) -> Result<Option<Call>> {
    let is_ours = |name: &Name| name.parts().len() > 1 && name.parts()[0].eq_ignore_ascii_case(SCHEMA);
    let Some(name) = statement.called().filter(is_ours) else { return Ok(None) };
    let action = action(&name)?;
    let call = statement.call().and_then(|call| match call {
        Some(called) => self::call(action, called.arguments).map(Some),
        None => Ok(None),
    });
    call.map_err(|err| err.context(format_args!("call {}", action.name)))
}

/// The action of `merganser.job_cancel`, `merganser."job.cancel"` or `merganser.job.cancel`.
fn action(name: &Name) -> Result<&'static Entry> {
    let name = name.parts()[1..].join(".").to_ascii_lowercase();
    let found = ALL.iter().find(|action| action.name == name || action.name.replace('.', "_") == name);
    found.ok_or_else(|| unknown(&name))
}

fn call(action: &'static Entry, arguments: Vec<(Option<String>, Argument)>) -> Result<Call> {
    let fields = proto::describe(action.request)?.fields;
    let mut call = Call { action, body: Map::new(), parameters: Vec::new() };
    let (mut taken, mut named) = (Vec::<FieldPath>::new(), false);
    for (index, (name, argument)) in arguments.into_iter().enumerate() {
        named |= name.is_some();
        let path = match name {
            Some(name) => path(&fields, &name),
            None if !named => at(fields.get(index).ok_or_else(|| positional(&fields))?),
            None => return Err(positional(&fields)),
        };
        if taken.iter().any(|other| path.overlaps(other)) {
            return Err(Error::invalid(format!("\"{}\" is given twice", path.field)));
        }
        match argument {
            Argument::Constant(constant) => {
                let value = json(constant).map_err(|err| err.context(format_args!("\"{}\"", path.field)))?;
                path.set(&mut call.body, value);
            }
            Argument::Parameter => call.parameters.push(path.clone()),
        }
        taken.push(path);
    }
    Ok(call)
}

/// The field that the argument `name` sets: that of the request, or else that of its only message with such a field. An
/// unknown name is rejected with the body.
fn path(fields: &[Field], name: &str) -> FieldPath {
    let name = name.to_ascii_lowercase();
    if let Some(field) = fields.iter().find(|field| field.name == name) {
        return at(field);
    }
    let inner = fields.iter().filter_map(|holder| match &holder.takes {
        Takes::Message(inner) => Some((holder, inner.iter().find(|field| field.name == name)?)),
        Takes::Text | Takes::Whole | Takes::Flag | Takes::Texts | Takes::Pairs => None,
    });
    match inner.collect::<Vec<_>>().as_slice() {
        [(holder, field)] => FieldPath { message: Some(holder.name.clone()), ..at(field) },
        _ => FieldPath { message: None, field: name, takes: Takes::Text },
    }
}

fn at(field: &Field) -> FieldPath {
    FieldPath { message: None, field: field.name.clone(), takes: field.takes.clone() }
}

fn positional(fields: &[Field]) -> Error {
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    let order = if names.is_empty() { "it takes none".to_owned() } else { names.join(", ") };
    Error::invalid(format!("arguments without a name come first, in the order of the fields: {order}"))
}

fn json(constant: Constant) -> Result<Value> {
    match constant {
        Constant::Null => Ok(Value::Null),
        Constant::Flag(flag) => Ok(Value::Bool(flag)),
        Constant::Text(text) => Ok(Value::String(text)),
        Constant::Number(digits) => serde_json::from_str::<Number>(&digits)
            .map(Value::Number)
            .map_err(|_| Error::invalid(format!("{digits} is no number that an action takes"))),
        Constant::List(items) => items.into_iter().map(json).collect::<Result<_>>().map(Value::Array),
        Constant::Struct(fields) => {
            let field = |(name, constant): (String, Constant)| Ok((name, json(constant)?));
            fields.into_iter().map(field).collect::<Result<_>>().map(Value::Object)
        }
    }
}

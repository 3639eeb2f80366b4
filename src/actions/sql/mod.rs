//! Actions as SQL: `CALL merganser.rollback('silver.t', version => 3)` gives the action's events as rows.
//!
//! ```text
//! text ─▶ parse ─▶ Call (action, arguments) ─▶ JSON body ─▶ Actions::call ─▶ events ─▶ rows
//! ```
//!
//! The arguments are the fields of the action's request in `proto/`, in their order or by name. A name that is no field
//! of the request but of one of its messages goes there: `version` into rollback's `to`.

mod parse;
mod rows;

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use futures::{StreamExt, stream::BoxStream};
use serde_json::{Map, Value};

pub use self::parse::parse;
use super::{Action, Actions, Body};
use crate::{
    context::Principal,
    error::{Error, Result},
    proto::Takes,
};

/// A CALL of an action.
#[derive(Clone, Debug)]
pub struct Call {
    action: Action,
    /// The request's body, without what parameters will say.
    body: Map<String, Value>,
    /// Where the value of each parameter goes.
    parameters: Vec<Place>,
}

/// A field of a request.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    /// The field of the request that holds the message with the field.
    message: Option<String>,
    field: String,
    takes: Takes,
}

// === impl Call ===

impl Call {
    /// The columns of the events.
    pub fn columns() -> SchemaRef {
        rows::columns()
    }

    /// Whether the action changes something.
    pub fn writes(&self) -> bool {
        self.action.writes
    }

    /// The parameters as fields, named "0", "1", ….
    pub fn parameters(&self) -> SchemaRef {
        let field = |(index, place): (usize, &Place)| Field::new(index.to_string(), place.data_type(), true);
        Schema::new(self.parameters.iter().enumerate().map(field).collect::<Vec<_>>()).into()
    }

    /// Calls the action, with one row of parameters where it takes any; its events follow as rows, its failure last.
    ///
    /// # Errors
    /// `InvalidArgument` for the wrong parameters; what the action says before it starts.
    pub fn start(
        mut self,
        actions: &Actions,
        principal: &Principal,
        parameters: Option<&RecordBatch>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let values = self.values(parameters)?;
        for (place, value) in self.parameters.iter().zip(values) {
            place.put(&mut self.body, value);
        }
        let body = Value::Object(self.body).to_string();
        let events = actions.call(principal, self.action.name, &Body::Json(body.as_bytes()))?;
        Ok(events.map(|event| rows::batch(&event?)).boxed())
    }

    fn values(&self, parameters: Option<&RecordBatch>) -> Result<Vec<Value>> {
        let (rows, given) = parameters.map_or((1, 0), |batch| (batch.num_rows(), batch.num_columns()));
        if given != self.parameters.len() {
            let expected = self.parameters.len();
            return Err(Error::invalid(format!("the statement takes {expected} parameters, {given} were given")));
        }
        match (rows, parameters) {
            (1, Some(batch)) => rows::values(batch),
            (1, None) => Ok(Vec::new()),
            _ => Err(Error::invalid(format!("a CALL takes one row of parameters, {rows} were bound"))),
        }
    }
}

// === impl Place ===

impl Place {
    fn put(&self, body: &mut Map<String, Value>, value: Value) {
        let Some(message) = &self.message else {
            body.insert(self.field.clone(), value);
            return;
        };
        let inner = body.entry(message.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(inner) = inner {
            inner.insert(self.field.clone(), value);
        }
    }

    /// Whether both say the same field, or one the message of the other.
    fn overlaps(&self, other: &Self) -> bool {
        let (mine, its) = (self.message.as_ref(), other.message.as_ref());
        mine == its && self.field == other.field || mine == Some(&other.field) || its == Some(&self.field)
    }

    fn data_type(&self) -> DataType {
        match self.takes {
            Takes::Text | Takes::Message(_) => DataType::Utf8,
            Takes::Whole => DataType::Int64,
            Takes::Flag => DataType::Boolean,
            Takes::Texts => DataType::new_list(DataType::Utf8, true),
        }
    }
}

#[cfg(test)]
mod tests;

//! A CALL of an action, with the parameters that are still to be bound.

use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema, SchemaRef},
};
use futures::{StreamExt, stream::BoxStream};
use serde_json::{Map, Value};

use super::{
    super::dispatch::{Actions, Body, Entry},
    field_path::FieldPath,
    rows,
};
use crate::{
    context::Principal,
    error::{Error, Result},
};

/// A CALL of an action.
#[derive(Clone, Debug)]
pub struct Call {
    pub(super) action: &'static Entry,
    /// The request, without the fields that parameters set.
    pub(super) body: Map<String, Value>,
    /// The field that each parameter sets.
    pub(super) parameters: Vec<FieldPath>,
}

// === impl Call ===

impl Call {
    /// The columns of the events.
    pub fn columns() -> SchemaRef {
        rows::columns()
    }

    /// Whether the action changes the lake, or anything else.
    pub fn writes(&self) -> bool {
        self.action.writes
    }

    /// The parameters as fields, named "0", "1", ….
    pub fn parameters(&self) -> SchemaRef {
        let field = |(index, path): (usize, &FieldPath)| Field::new(index.to_string(), path.data_type(), true);
        Schema::new(self.parameters.iter().enumerate().map(field).collect::<Vec<_>>()).into()
    }

    /// Calls the action, with one row of parameters if it has any. Returns its events as rows; an error is the last item.
    ///
    /// # Errors
    /// `InvalidArgument` for the wrong parameters; as [`Actions::call`].
    pub fn start(
        mut self,
        actions: &Actions,
        principal: &Principal,
        parameters: Option<&RecordBatch>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let values = self.values(parameters)?;
        for (path, value) in self.parameters.iter().zip(values) {
            path.set(&mut self.body, value);
        }
        let body = Value::Object(self.body).to_string();
        let events = actions.call(principal, self.action.name, &Body::Json(body.as_bytes()))?;
        Ok(events.map(|event| rows::batch(&event?)).boxed())
    }

    pub(super) fn values(&self, parameters: Option<&RecordBatch>) -> Result<Vec<Value>> {
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

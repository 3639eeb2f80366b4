//! The field of a request that an argument sets.

use arrow::datatypes::DataType;
use serde_json::{Map, Value};

use crate::proto::Takes;

/// A field of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FieldPath {
    /// The field of the request that contains the message with the field.
    pub message: Option<String>,
    /// The name of the field.
    pub field: String,
    /// The type of its values.
    pub takes: Takes,
}

// === impl FieldPath ===

impl FieldPath {
    /// Sets the field in the body of a request.
    pub fn set(&self, body: &mut Map<String, Value>, value: Value) {
        let Some(message) = &self.message else {
            body.insert(self.field.clone(), value);
            return;
        };
        let inner = body.entry(message.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(inner) = inner {
            inner.insert(self.field.clone(), value);
        }
    }

    /// Whether both are the same field, or one is the message that contains the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.message.as_ref(), other.message.as_ref());
        ours == theirs && self.field == other.field || ours == Some(&other.field) || theirs == Some(&self.field)
    }

    /// The type of a parameter for the field.
    pub fn data_type(&self) -> DataType {
        match self.takes {
            Takes::Text | Takes::Message(_) | Takes::Pairs => DataType::Utf8,
            Takes::Whole => DataType::Int64,
            Takes::Flag => DataType::Boolean,
            Takes::Texts => DataType::new_list(DataType::Utf8, true),
        }
    }
}

//! The Flight SQL description of a column in the metadata of its Arrow field.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};

use super::types;
use crate::lake::listing::types::type_name;

/// The key of a property: `TYPE_NAME`, `PRECISION`, …
pub fn key(name: &str) -> String {
    format!("ARROW:FLIGHT:SQL:{name}")
}

/// The field with the properties of its DuckDB type: TYPE_NAME, PRECISION, SCALE, IS_AUTO_INCREMENT, IS_CASE_SENSITIVE
/// and IS_SEARCHABLE. Existing metadata is kept.
pub fn describe(field: &Field, type_name: &str) -> Field {
    let described = types::of(type_name);
    let flag = |value: bool| Some(if value { "1" } else { "0" }.to_owned());
    let facts = [
        ("TYPE_NAME", Some(described.name.to_owned())),
        ("PRECISION", described.precision.map(|digits| digits.to_string())),
        ("SCALE", described.scale.map(|digits| digits.to_string())),
        ("IS_AUTO_INCREMENT", flag(false)),
        ("IS_CASE_SENSITIVE", flag(described.is_text)),
        ("IS_SEARCHABLE", flag(true)),
    ];
    let mut field = field.clone();
    field.metadata_mut().extend(facts.into_iter().filter_map(|(name, value)| Some((key(name), value?))));
    field
}

/// The columns of a result with the properties of their types.
pub fn describe_all(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| describe(field, &type_name(field.data_type())));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

//! Columns that Lance can hold.

use arrow::datatypes::{DataType, Field, Schema};

use crate::{
    error::{Error, Result},
    quote::identifier,
};

/// Lance's own columns.
const RESERVED: [&str; 2] = ["_rowid", "_rowaddr"];

/// Fails for columns that Lance cannot hold, or that its readers cannot find again.
///
/// # Errors
/// `InvalidArgument`, with what to change.
pub fn check(schema: &Schema) -> Result<()> {
    schema.fields().iter().try_for_each(|field| check_field(field, field.name()))
}

fn check_field(field: &Field, column: &str) -> Result<()> {
    let name = field.name();
    let fits = |name: &str| !name.is_empty() && !name.contains(['.', '`']) && !RESERVED.contains(&name);
    if !fits(name) {
        return Err(Error::invalid(format!(
            "lance does not hold the name {} of column {}: rename it, without dots and backticks",
            identifier(name),
            identifier(column)
        )));
    }
    match field.data_type() {
        DataType::Struct(fields) => fields.iter().try_for_each(|field| check_field(field, column)),
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => check_field(item, column),
        // These end the process, or are read as something else.
        DataType::FixedSizeList(..) | DataType::Interval(_) | DataType::Union(..) | DataType::Duration(_) => {
            Err(Error::invalid(format!(
                "lance does not hold the type of column {column}: export a query that converts its values, such as \
                 {column}::VARCHAR",
                column = identifier(column)
            )))
        }
        _ => Ok(()),
    }
}

//! GetXdbcTypeInfo: the types that columns may have.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, Int32Array, ListBuilder, RecordBatch, StringArray, StringBuilder},
    datatypes::{DataType, Field, SchemaRef},
};
use arrow_flight::sql::{
    CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, metadata::XdbcTypeInfoDataBuilder,
};

use super::{
    fault::encode,
    types::{self, Family, SqlType},
};
use crate::error::Result;

/// The columns.
pub fn schema() -> SchemaRef {
    XdbcTypeInfoDataBuilder::new().schema()
}

/// The types with the requested code; all of them without one.
pub fn rows(command: CommandGetXdbcTypeInfo) -> Result<RecordBatch> {
    let is_asked = |row: &&SqlType| command.data_type.is_none_or(|code| code == row.code);
    let rows = Rows(types::ALL.iter().filter(is_asked).copied().collect());
    let columns = vec![
        rows.text(|row| Some(row.name)),
        rows.number(|row| Some(row.code)),
        rows.number(|row| row.precision),
        rows.text(|row| row.literal.map(|(prefix, _)| prefix)),
        rows.text(|row| row.literal.map(|(_, suffix)| suffix)),
        rows.create_params(),
        rows.number(|_| Some(Nullable::NullabilityNullable as i32)),
        rows.flag(|row| Some(row.family == Family::Text)),
        rows.number(|row| Some(searchable(row) as i32)),
        rows.flag(is_unsigned),
        // Types of one fixed precision and scale, such as money.
        rows.flag(|_| Some(false)),
        rows.flag(|_| Some(false)),
        // Names are not localised.
        rows.text(|_| None),
        rows.number(|row| if row.family == Family::Decimal { Some(0) } else { row.scale }),
        rows.number(|row| row.scale),
        rows.number(|row| {
            Some(if datetime_subcode(row).is_some() { XdbcDataType::XdbcDatetime as i32 } else { row.code })
        }),
        rows.number(datetime_subcode),
        rows.number(|row| is_unsigned(row).map(|_| 10)),
        rows.number(|_| None),
    ];
    RecordBatch::try_new(schema(), columns).map_err(encode)
}

struct Rows(Vec<SqlType>);

// === impl Rows ===

impl Rows {
    fn text(&self, of: fn(&SqlType) -> Option<&'static str>) -> ArrayRef {
        Arc::new(self.0.iter().map(of).collect::<StringArray>())
    }

    fn number(&self, of: fn(&SqlType) -> Option<i32>) -> ArrayRef {
        Arc::new(self.0.iter().map(of).collect::<Int32Array>())
    }

    fn flag(&self, of: fn(&SqlType) -> Option<bool>) -> ArrayRef {
        Arc::new(self.0.iter().map(of).collect::<BooleanArray>())
    }

    /// The parameters in parentheses after the name of a type.
    fn create_params(&self) -> ArrayRef {
        let item = Field::new_list_field(DataType::Utf8, false);
        let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item);
        for row in &self.0 {
            let takes_any = row.family == Family::Decimal;
            if takes_any {
                lists.values().append_value("precision");
                lists.values().append_value("scale");
            }
            lists.append(takes_any);
        }
        Arc::new(lists.finish())
    }
}

/// LIKE applies only to strings; everything else works for all types.
fn searchable(row: &SqlType) -> Searchable {
    if row.family == Family::Text { Searchable::Full } else { Searchable::Basic }
}

/// `None` if it is not a number.
fn is_unsigned(row: &SqlType) -> Option<bool> {
    match row.family {
        Family::Number { signed } => Some(!signed),
        Family::Decimal => Some(false),
        Family::Text | Family::Time(_) | Family::Other => None,
    }
}

fn datetime_subcode(row: &SqlType) -> Option<i32> {
    match row.family {
        Family::Time(subcode) => Some(subcode as i32),
        Family::Number { .. } | Family::Decimal | Family::Text | Family::Other => None,
    }
}

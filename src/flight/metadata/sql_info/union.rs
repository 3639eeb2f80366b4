//! The columns of GetSqlInfo: a code, and a value that is one of six types.
//!
//! Built by hand: arrow-flight's own differs from the reference implementations in the nullability and in the names of
//! the map's members.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Int32Array, Int32Builder, Int64Array, ListBuilder, MapBuilder, MapFieldNames,
        StringArray, StringBuilder, UnionArray,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, UnionFields, UnionMode},
};

use super::values::{Value, conversions};
use crate::{error::Result, flight::metadata::fault};

static FIELDS: LazyLock<UnionFields> = LazyLock::new(|| {
    let numbers = Field::new_list("value", Field::new_list_field(DataType::Int32, true), true);
    UnionFields::from_fields([
        Field::new("string_value", DataType::Utf8, false),
        Field::new("bool_value", DataType::Boolean, false),
        Field::new("bigint_value", DataType::Int64, false),
        Field::new("int32_bitmask", DataType::Int32, false),
        Field::new_list("string_list", Field::new_list_field(DataType::Utf8, true), false),
        Field::new_map(
            "int32_to_int32_list_map",
            "entries",
            Field::new("key", DataType::Int32, false),
            numbers,
            false,
            false,
        ),
    ])
});

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("info_name", DataType::UInt32, false),
        Field::new("value", DataType::Union(FIELDS.clone(), UnionMode::Dense), false),
    ]))
});

/// The columns.
pub fn schema() -> SchemaRef {
    SchemaRef::clone(&SCHEMA)
}

/// The values that are known only at run time.
#[derive(Debug)]
pub struct Found {
    /// The keywords of DuckDB's parser.
    pub keywords: Vec<String>,
    /// The maximum duration of a statement.
    pub statement_timeout: Option<Duration>,
    /// The maximum idle time of a transaction.
    pub transaction_timeout: Option<Duration>,
}

/// The values as one column.
pub fn encode(values: &[&Value], found: &Found) -> Result<UnionArray> {
    let mut children = Children::default();
    let places: Vec<(i8, usize)> = values.iter().map(|value| children.push(value, found)).collect();
    let kinds = places.iter().map(|(child, _)| *child).collect();
    let offsets: Vec<_> =
        places.iter().map(|(_, at)| i32::try_from(*at)).collect::<Result<_, _>>().map_err(fault::encode)?;
    let arrays = children.finish()?;
    UnionArray::try_new(FIELDS.clone(), kinds, Some(offsets.into()), arrays).map_err(fault::encode)
}

/// The values of each type.
#[derive(Default)]
struct Children {
    texts: Vec<String>,
    flags: Vec<bool>,
    longs: Vec<i64>,
    ints: Vec<i32>,
    lists: Vec<Vec<String>>,
    maps: Vec<Vec<(i32, Vec<i32>)>>,
}

/// Milliseconds; 0 for no limit.
fn millis(timeout: Option<Duration>) -> i32 {
    timeout.map_or(0, |timeout| i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
}

// === impl Children ===

impl Children {
    /// Adds a value; returns its type and its position.
    fn push(&mut self, value: &Value, found: &Found) -> (i8, usize) {
        match value {
            Value::Text(text) => (0, push(&mut self.texts, (*text).to_owned())),
            Value::Flag(flag) => (1, push(&mut self.flags, *flag)),
            Value::Long(number) => (2, push(&mut self.longs, *number)),
            Value::Int(number) => (3, push(&mut self.ints, *number)),
            Value::Words(words) => (4, push(&mut self.lists, words.iter().map(|word| (*word).to_owned()).collect())),
            Value::Keywords => (4, push(&mut self.lists, found.keywords.clone())),
            Value::StatementTimeout => (3, push(&mut self.ints, millis(found.statement_timeout))),
            Value::TransactionTimeout => (3, push(&mut self.ints, millis(found.transaction_timeout))),
            Value::Conversions => (5, push(&mut self.maps, conversions())),
        }
    }

    fn finish(self) -> Result<Vec<ArrayRef>> {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for list in self.lists {
            lists.append_value(list.into_iter().map(Some));
        }
        let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
        let mut maps = MapBuilder::new(Some(names), Int32Builder::new(), ListBuilder::new(Int32Builder::new()));
        for map in self.maps {
            for (from, to) in map {
                maps.keys().append_value(from);
                maps.values().append_value(to.into_iter().map(Some));
            }
            maps.append(true).map_err(fault::encode)?;
        }
        Ok(vec![
            Arc::new(StringArray::from(self.texts)),
            Arc::new(BooleanArray::from(self.flags)),
            Arc::new(Int64Array::from(self.longs)),
            Arc::new(Int32Array::from(self.ints)),
            Arc::new(lists.finish()),
            Arc::new(maps.finish()),
        ])
    }
}

fn push<T>(values: &mut Vec<T>, value: T) -> usize {
    values.push(value);
    values.len() - 1
}

//! Conversion between the types of DuckDB and Arrow.

use std::{collections::HashMap, sync::Arc};

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, TimeUnit};

use crate::{
    engine::Connection,
    error::{Error, ErrorKind, Result},
    quote::identifier,
};

/// The Arrow fields of DuckDB's `types`, by name. Types without an Arrow equivalent are omitted.
///
/// # Errors
/// Errors of DuckDB.
pub fn fields<'a>(connection: &Connection, types: impl Iterator<Item = &'a str>) -> Result<HashMap<String, FieldRef>> {
    let mut types: Vec<_> = types.collect();
    types.sort_unstable();
    types.dedup();
    if let Some(schema) = schema(connection, &types)? {
        return Ok(types.iter().map(|name| (*name).to_owned()).zip(schema.fields().iter().cloned()).collect());
    }
    // A type without an Arrow equivalent must not hide the others.
    let mut fields = HashMap::new();
    for name in types {
        let schema = schema(connection, &[name])?;
        fields.extend(schema.and_then(|schema| Some((name.to_owned(), FieldRef::clone(schema.fields().first()?)))));
    }
    Ok(fields)
}

/// Prepares a statement with one column of each type, and returns its schema; `None` if a type has no Arrow equivalent.
fn schema(connection: &Connection, types: &[&str]) -> Result<Option<SchemaRef>> {
    if types.is_empty() {
        return Ok(None);
    }
    let columns: Vec<_> = types.iter().map(|name| format!("NULL::{name}")).collect();
    let statement = connection.prepare(&format!("SELECT {}", columns.join(", ")));
    match statement.and_then(|statement| statement.result_schema()) {
        Ok(schema) => schema.map(Some).ok_or_else(|| Error::internal("the lake's types have no Arrow form")),
        Err(err) if matches!(err.kind(), ErrorKind::Unsupported | ErrorKind::InvalidArgument) => Ok(None),
        Err(err) => Err(err),
    }
}

/// The field of a column whose type has no Arrow equivalent: it can be read as text only.
pub(super) fn unreadable() -> FieldRef {
    Arc::new(Field::new("", DataType::Utf8, true))
}

/// The DuckDB name of an Arrow type. Of types with the same Arrow equivalent, the basic one is named: VARCHAR for JSON and
/// UUID, DECIMAL(38,0) for HUGEINT.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "\"NULL\"".into(),
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INTEGER".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::UInt8 => "UTINYINT".into(),
        DataType::UInt16 => "USMALLINT".into(),
        DataType::UInt32 => "UINTEGER".into(),
        DataType::UInt64 => "UBIGINT".into(),
        DataType::Float16 | DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal32(width, scale)
        | DataType::Decimal64(width, scale)
        | DataType::Decimal128(width, scale)
        | DataType::Decimal256(width, scale) => format!("DECIMAL({width},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "BLOB".into(),
        DataType::Date32 | DataType::Date64 => "DATE".into(),
        DataType::Time64(TimeUnit::Nanosecond) => "TIME_NS".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".into(),
        DataType::Timestamp(TimeUnit::Second, None) => "TIMESTAMP_S".into(),
        DataType::Timestamp(TimeUnit::Millisecond, None) => "TIMESTAMP_MS".into(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP".into(),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => "TIMESTAMP_NS".into(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            format!("{}[]", type_name(item.data_type()))
        }
        DataType::FixedSizeList(item, size) => format!("{}[{size}]", type_name(item.data_type())),
        DataType::Struct(members) => format!("STRUCT({})", members_of(members.iter())),
        DataType::Union(members, _) => format!("UNION({})", members_of(members.iter().map(|(_, member)| member))),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(members) => {
                let types: Vec<_> = members.iter().map(|member| type_name(member.data_type())).collect();
                format!("MAP({})", types.join(", "))
            }
            other => type_name(other),
        },
        DataType::Dictionary(_, _) => "ENUM".into(),
        DataType::RunEndEncoded(_, values) => type_name(values.data_type()),
    }
}

fn members_of<'a>(members: impl Iterator<Item = &'a FieldRef>) -> String {
    let members: Vec<_> =
        members.map(|member| format!("{} {}", identifier(member.name()), type_name(member.data_type()))).collect();
    members.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrow_types_have_the_names_that_duckdb_knows() {
        let list = |item| DataType::new_list(item, true);
        assert_eq!(type_name(&list(list(DataType::Decimal128(12, 2)))), "DECIMAL(12,2)[][]");
        assert_eq!(
            type_name(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            "TIMESTAMP WITH TIME ZONE"
        );
        let point = DataType::Struct(vec![Field::new("a b", DataType::Int32, true)].into());
        assert_eq!(type_name(&point), "STRUCT(\"a b\" INTEGER)");
    }
}

//! The features of a data set: the types of its columns, as the library `datasets` calls them.
//!
//! They stand in the metadata of each Parquet file, under the key `huggingface`, and in the front matter of the README. The
//! library ignores the former unless the columns in Arrow are exactly those of the features, and casts to the latter.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use serde_json::{Map, Value, json};

use super::request::MediaKind;
use crate::{
    error::{Error, Result},
    quote::identifier,
};

/// The type of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feature {
    /// A type of Arrow, by its name.
    Value(String),
    /// A list.
    List(Box<Self>),
    /// Named values.
    Struct(Vec<(String, Self)>),
    /// Media: their bytes, or their path.
    Media(MediaKind),
    /// The number of a class.
    ClassLabel(Vec<String>),
}

/// The features of a data set, in the order of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features(Vec<(String, Feature)>);

// === impl Features ===

impl Features {
    /// Of columns, of which some hold media, or numbers of classes.
    ///
    /// # Errors
    /// `InvalidArgument` for a column whose type `datasets` does not have.
    pub fn of(
        schema: &Schema,
        media: &BTreeMap<String, MediaKind>,
        classes: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self> {
        let features = schema.fields().iter().map(|field| {
            let feature = match (media.get(field.name()), classes.get(field.name())) {
                (Some(kind), _) => Feature::of_media(field.data_type(), *kind),
                (None, Some(names)) => Feature::ClassLabel(names.clone()),
                (None, None) => Feature::of(field.data_type()).map_err(|kind| unheld(field, &kind))?,
            };
            Ok((field.name().clone(), feature))
        });
        features.collect::<Result<Vec<_>>>().map(Self)
    }

    /// The value of the key `huggingface` in Parquet files.
    pub fn metadata(&self) -> String {
        json!({"info": {"features": object(&self.0)}}).to_string()
    }

    /// As the front matter of a README has them.
    pub fn front_matter(&self) -> Value {
        entries(&self.0)
    }

    /// The names of the columns, and their types as text.
    pub fn described(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(name, feature)| (name.as_str(), feature.described()))
    }
}

fn object(features: &[(String, Feature)]) -> Value {
    Value::Object(features.iter().map(|(name, feature)| (name.clone(), feature.metadata())).collect::<Map<_, _>>())
}

fn entries(features: &[(String, Feature)]) -> Value {
    let entry = |(name, feature): &(String, Feature)| {
        let mut entry = Map::from_iter([("name".to_owned(), json!(name))]);
        entry.extend([feature.front_matter()]);
        Value::Object(entry)
    };
    features.iter().map(entry).collect()
}

fn unheld(field: &Field, kind: &str) -> Error {
    let column = identifier(field.name());
    Error::invalid(format!(
        "the library datasets has no type for {kind}, which column {column} has: publish a query that converts its values{}",
        if kind == "MAP" { format!(", such as map_entries({column})") } else { String::new() }
    ))
}

// === impl Feature ===

impl Feature {
    /// Of a type; the error is the name of one that there is none for.
    fn of(data_type: &DataType) -> Result<Self, String> {
        let name = match data_type {
            DataType::Boolean => "bool",
            DataType::Int8 => "int8",
            DataType::Int16 => "int16",
            DataType::Int32 => "int32",
            DataType::Int64 => "int64",
            DataType::UInt8 => "uint8",
            DataType::UInt16 => "uint16",
            DataType::UInt32 => "uint32",
            DataType::UInt64 => "uint64",
            DataType::Float32 => "float32",
            DataType::Float64 => "float64",
            DataType::Utf8 => "string",
            DataType::Binary => "binary",
            DataType::Date32 => "date32",
            DataType::Time64(TimeUnit::Microsecond) => "time64[us]",
            DataType::Decimal128(precision, scale) => {
                return Ok(Self::Value(format!("decimal128({precision}, {scale})")));
            }
            DataType::Timestamp(unit, zone) => {
                let zone = zone.as_ref().map(|zone| format!(", tz={zone}")).unwrap_or_default();
                return Ok(Self::Value(format!("timestamp[{}{zone}]", unit_name(*unit))));
            }
            DataType::List(item) => return Self::of(item.data_type()).map(|item| Self::List(Box::new(item))),
            DataType::Struct(fields) => return Self::of_fields(fields),
            DataType::Map(..) => return Err("MAP".to_owned()),
            other => return Err(other.to_string()),
        };
        Ok(Self::Value(name.to_owned()))
    }

    /// Of URIs, or of lists of them.
    fn of_media(data_type: &DataType, kind: MediaKind) -> Self {
        match data_type {
            DataType::List(_) => Self::List(Box::new(Self::Media(kind))),
            _ => Self::Media(kind),
        }
    }

    fn of_fields(fields: &Fields) -> Result<Self, String> {
        let of = |field: &std::sync::Arc<Field>| Ok((field.name().clone(), Self::of(field.data_type())?));
        fields.iter().map(of).collect::<Result<_, String>>().map(Self::Struct)
    }

    fn metadata(&self) -> Value {
        match self {
            Self::Value(name) => json!({"dtype": name, "_type": "Value"}),
            Self::List(item) => json!({"feature": item.metadata(), "_type": "List"}),
            Self::Struct(fields) => object(fields),
            Self::Media(MediaKind::Image) => json!({"_type": "Image"}),
            Self::Media(MediaKind::Audio) => json!({"_type": "Audio"}),
            Self::Media(MediaKind::Video) => json!({"_type": "Video"}),
            Self::ClassLabel(names) => json!({"names": names, "_type": "ClassLabel"}),
        }
    }

    /// The key and value that describe it in a front matter.
    fn front_matter(&self) -> (String, Value) {
        let (key, value) = match self {
            Self::Value(name) => ("dtype", json!(name)),
            Self::Media(kind) => ("dtype", json!(kind.name())),
            Self::ClassLabel(names) => {
                let numbered = names.iter().enumerate().map(|(number, name)| (number.to_string(), json!(name)));
                ("dtype", json!({"class_label": {"names": Value::Object(numbered.collect())}}))
            }
            Self::Struct(fields) => ("struct", entries(fields)),
            Self::List(item) => ("list", item.item()),
        };
        (key.to_owned(), value)
    }

    /// As the item of a list: simple types are their names, and structs their fields.
    fn item(&self) -> Value {
        match self {
            Self::Value(name) => json!(name),
            Self::Media(kind) => json!(kind.name()),
            Self::Struct(fields) => entries(fields),
            _ => {
                let (key, value) = self.front_matter();
                json!({key: value})
            }
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Value(name) => name.clone(),
            Self::List(item) => format!("list of {}", item.described()),
            Self::Struct(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|(name, feature)| format!("{name}: {}", feature.described())).collect();
                format!("struct ({})", fields.join(", "))
            }
            Self::Media(kind) => kind.name().to_owned(),
            Self::ClassLabel(names) => format!("one of {} classes", names.len()),
        }
    }
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features() -> Features {
        let list = |item| DataType::List(Field::new("l", item, true).into());
        let schema = Schema::new(vec![
            Field::new("image", DataType::Utf8, true),
            Field::new("label", DataType::Int64, true),
            Field::new("words", list(DataType::Utf8), true),
            Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
            Field::new("pages", list(DataType::Utf8), true),
            Field::new("boxes", list(DataType::Struct(vec![Field::new("x", DataType::Float64, true)].into())), true),
        ]);
        let media = BTreeMap::from([("image".to_owned(), MediaKind::Image), ("pages".to_owned(), MediaKind::Image)]);
        let classes = BTreeMap::from([("label".to_owned(), vec!["cat".to_owned(), "dog".to_owned()])]);
        Features::of(&schema, &media, &classes).unwrap()
    }

    #[test]
    fn parquet_has_them_as_datasets_writes_them() {
        let value = |name: &str| json!({"dtype": name, "_type": "Value"});
        let expected = json!({"info": {"features": {
            "image": {"_type": "Image"},
            "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
            "words": {"feature": value("string"), "_type": "List"},
            "at": value("timestamp[us, tz=UTC]"),
            "pages": {"feature": {"_type": "Image"}, "_type": "List"},
            "boxes": {"feature": {"x": value("float64")}, "_type": "List"},
        }}});
        assert_eq!(serde_json::from_str::<Value>(&features().metadata()).unwrap(), expected);
    }

    #[test]
    fn the_front_matter_has_them_too() {
        let expected = json!([
            {"name": "image", "dtype": "image"},
            {"name": "label", "dtype": {"class_label": {"names": {"0": "cat", "1": "dog"}}}},
            {"name": "words", "list": "string"},
            {"name": "at", "dtype": "timestamp[us, tz=UTC]"},
            {"name": "pages", "list": "image"},
            {"name": "boxes", "list": [{"name": "x", "dtype": "float64"}]},
        ]);
        assert_eq!(features().front_matter(), expected);
    }

    #[test]
    fn types_that_datasets_lacks_are_named() {
        let entries = DataType::Struct(vec![Field::new("key", DataType::Utf8, false)].into());
        let map = DataType::Map(Field::new("entries", entries, false).into(), false);
        let schema = Schema::new(vec![Field::new("m", map, true)]);
        let err = Features::of(&schema, &BTreeMap::new(), &BTreeMap::new()).unwrap_err();
        assert!(err.message().contains("map_entries(\"m\")"), "{err}");
    }
}

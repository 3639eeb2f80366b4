//! The two forms of a message: JSON and `google.protobuf.Any`, both from the same descriptors.

use std::sync::LazyLock;

use prost::Name;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    SerializeOptions, prost_types::source_code_info::Location,
};
use prost_types::Any;

use super::generated::Event;
use crate::error::{Error, Result};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    // A test compares the committed bytes with the proto files; with an empty pool, every request is an error.
    DescriptorPool::decode(include_bytes!("descriptor.bin").as_slice()).unwrap_or_default()
});

const PACKAGE: &str = Event::PACKAGE;

/// A message as ListActions describes it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its comment.
    pub comment: String,
    /// Its fields in order.
    pub fields: Vec<Field>,
}

/// A field of a described message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// Its type: `string`, `append|replace|merge`, `[string]`, …
    pub kind: String,
    /// Its comment on one line.
    pub comment: String,
    /// The type of its values.
    pub takes: Takes,
}

/// The type of a field's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A string, or a value of an enum.
    Text,
    /// An integer.
    Whole,
    /// A boolean.
    Flag,
    /// A list of strings.
    Texts,
    /// An object of strings.
    Pairs,
    /// A message with these fields.
    Message(Vec<Field>),
}

/// A value of an enum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumValue {
    /// Its name in JSON.
    pub name: String,
    /// Its number.
    pub number: i32,
    /// Its comment on one line.
    pub comment: String,
}

/// Reads a JSON object as a message.
///
/// # Errors
/// `InvalidArgument` for malformed JSON, an unknown field or a value of the wrong type, with the path of the field.
pub fn from_json<M: Name + Default>(body: &[u8]) -> Result<M> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut path = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut path);
    let message = DynamicMessage::deserialize_with_options(descriptor(M::NAME)?, tracked, &options)
        .map_err(|err| Error::invalid(format!("read the JSON body: {}{err}", prefix(&path.path()))))?;
    json.end().map_err(|err| Error::invalid(format!("read the JSON body: {err}")))?;
    message.transcode_to().map_err(|err| Error::internal("transcode message").with_source(err))
}

/// The JSON object of a message, with the field names of the proto files and all fields present.
///
/// # Errors
/// Internal if the message does not match its descriptor.
pub fn to_json<M: Name>(message: &M) -> Result<serde_json::Value> {
    bytes_to_json(M::NAME, &message.encode_to_vec())
}

/// The JSON object of a packed message.
///
/// # Errors
/// As [`to_json`].
pub fn any_to_json(any: &Any) -> Result<serde_json::Value> {
    bytes_to_json(any.type_url.rsplit('.').next().unwrap_or_default(), &any.value)
}

/// The JSON object of an event; its result is the plain object.
///
/// # Errors
/// As [`to_json`].
pub fn event_to_json(event: &Event) -> Result<serde_json::Value> {
    let result = event.result.as_ref().map(any_to_json).transpose()?;
    let mut json = to_json(&Event { result: None, ..event.clone() })?;
    if let (Some(result), Some(fields)) = (result, json.as_object_mut()) {
        fields.insert("result".to_owned(), result);
    }
    Ok(json)
}

fn bytes_to_json(name: &str, bytes: &[u8]) -> Result<serde_json::Value> {
    let options =
        SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true).skip_default_fields(false);
    let message = DynamicMessage::decode(descriptor(name)?, bytes);
    let message = message.map_err(|err| Error::internal("read message").with_source(err))?;
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|err| Error::internal("write message as JSON").with_source(err))
}

/// Unpacks a message.
///
/// # Errors
/// `InvalidArgument` for another message, unknown fields or malformed bytes.
pub fn from_any<M: Name + Default>(any: &Any) -> Result<M> {
    let expected = M::full_name();
    if any.type_url.rsplit('/').next() != Some(&expected) {
        return Err(Error::invalid(format!("the body must be a {expected}, it is a \"{}\"", any.type_url)));
    }
    let message = DynamicMessage::decode(descriptor(M::NAME)?, any.value.as_slice())
        .map_err(|err| Error::invalid(format!("read the protobuf body: {err}")))?;
    if let Some(unknown) = message.unknown_fields().next() {
        return Err(Error::invalid(format!("the body has an unknown field number {}", unknown.number())));
    }
    message.transcode_to().map_err(|err| Error::internal("transcode message").with_source(err))
}

/// Packs a message.
pub fn to_any<M: Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// The comments and fields of the message `name` in the proto files.
///
/// # Errors
/// Internal if there is no such message.
pub fn describe(name: &str) -> Result<Described> {
    let message = descriptor(name)?;
    let file = message.parent_file();
    Ok(Described { comment: comment_at(&file, message.path()), fields: fields(&message) })
}

/// The names and numbers of the fields of the message `name` in the proto files.
///
/// # Errors
/// As [`describe`].
#[cfg(test)]
pub fn field_numbers(name: &str) -> Result<Vec<(String, u32)>> {
    Ok(descriptor(name)?.fields().map(|field| (field.name().to_owned(), field.number())).collect())
}

/// The values of the enum `name` in the proto files, such as `IngestRequest.Mode`; empty if there is no such enum.
pub fn enum_values(name: &str) -> Vec<EnumValue> {
    let Some(found) = POOL.get_enum_by_name(&format!("{PACKAGE}.{name}")) else { return Vec::new() };
    let values = found.values().map(|value| EnumValue {
        name: value.name().to_owned(),
        number: value.number(),
        comment: comment_at(&found.parent_file(), value.path()),
    });
    values.collect()
}

fn fields(message: &MessageDescriptor) -> Vec<Field> {
    let fields = message.fields().map(|field| Field {
        name: field.name().to_owned(),
        kind: kind(&field),
        comment: comment_at(&message.parent_file(), field.path()),
        takes: takes(&field),
    });
    fields.collect()
}

/// The path of the field that was being read, as a prefix of an error message.
fn prefix(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    if path == "." { String::new() } else { format!("\"{path}\": ") }
}

fn descriptor(name: &str) -> Result<MessageDescriptor> {
    let found = POOL.get_message_by_name(&format!("{PACKAGE}.{name}"));
    found.ok_or_else(|| Error::internal(format!("no message {name} in the descriptors")))
}

fn kind(field: &FieldDescriptor) -> String {
    let kind = kind_name(&field.kind());
    if field.is_map() {
        "{\"name\": string}".to_owned()
    } else if field.is_list() {
        format!("[{kind}]")
    } else {
        kind
    }
}

fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Enum(values) => values.values().map(|value| value.name().to_owned()).collect::<Vec<_>>().join("|"),
        Kind::Message(message) => {
            let fields = message.fields().map(|field| format!("\"{}\": {}", field.name(), kind_name(&field.kind())));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(" | "))
        }
        Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Uint32 => "integer".to_owned(),
        Kind::Bool => "true|false".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn takes(field: &FieldDescriptor) -> Takes {
    match field.kind() {
        Kind::Message(_) if field.is_map() => Takes::Pairs,
        Kind::Message(message) => Takes::Message(fields(&message)),
        _ if field.is_list() => Takes::Texts,
        Kind::Bool => Takes::Flag,
        Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Uint32 => Takes::Whole,
        _ => Takes::Text,
    }
}

/// The comment of the element at `path`, on one line.
fn comment_at(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let comment = location.map(Location::leading_comments).unwrap_or_default();
    comment.split_whitespace().collect::<Vec<_>>().join(" ")
}

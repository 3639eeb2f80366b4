//! The two forms of a message: JSON and `google.protobuf.Any`, both from the same descriptors.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions,
    prost_types::source_code_info::Location,
};
use prost_types::Any;

use crate::error::{Error, Result};

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    // A test makes sure that the committed bytes are the descriptors; without them no message has a field.
    DescriptorPool::decode(include_bytes!("descriptor.bin").as_slice()).unwrap_or_default()
});

const TYPE_URL_PREFIX: &str = "type.googleapis.com/";

/// What ListActions says of a message.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its comment.
    pub comment: String,
    /// Its fields in order.
    pub fields: Vec<Field>,
}

/// One field of a described message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// What it takes: `string`, `append|replace|merge`, `[string]`, …
    pub kind: String,
    /// Its comment on one line.
    pub comment: String,
    /// What its values are.
    pub takes: Takes,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A text, or one of a few words.
    Text,
    /// A whole number.
    Whole,
    /// A truth value.
    Flag,
    /// A list of texts.
    Texts,
    /// A message with these fields.
    Message(Vec<Field>),
}

/// Reads a JSON object as the message `name` (without the package).
///
/// # Errors
/// `InvalidArgument` for malformed JSON, an unknown field or a value of the wrong type, with the place.
pub fn from_json<M: Message + Default>(name: &str, body: &[u8]) -> Result<M> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut json = serde_json::Deserializer::from_slice(body);
    let mut path = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut path);
    let message = DynamicMessage::deserialize_with_options(descriptor(name)?, tracked, &options)
        .map_err(|err| Error::invalid(format!("read the JSON body: {}{err}", place(&path.path()))))?;
    json.end().map_err(|err| Error::invalid(format!("read the JSON body: {err}")))?;
    message.transcode_to().map_err(|err| Error::internal("transcode message").with_source(err))
}

/// The JSON object of the message `name`, with the field names of the proto files and all fields present.
///
/// # Errors
/// Internal when the message does not match its descriptor.
pub fn to_json(name: &str, bytes: &[u8]) -> Result<serde_json::Value> {
    let options =
        SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true).skip_default_fields(false);
    let message = DynamicMessage::decode(descriptor(name)?, bytes);
    let message = message.map_err(|err| Error::internal("read message").with_source(err))?;
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(|err| Error::internal("write message as JSON").with_source(err))
}

/// A packed message as JSON.
///
/// # Errors
/// As [`to_json`].
pub fn any_to_json(any: &Any) -> Result<serde_json::Value> {
    to_json(any.type_url.rsplit('.').next().unwrap_or_default(), &any.value)
}

/// Reads the message `name` from an `Any`.
///
/// # Errors
/// `InvalidArgument` when it is another message, holds unknown fields or is malformed.
pub fn from_any<M: Message + Default>(name: &str, any: &Any) -> Result<M> {
    let wanted = descriptor(name)?;
    if any.type_url.rsplit('/').next() != Some(wanted.full_name()) {
        let (expected, got) = (wanted.full_name(), &any.type_url);
        return Err(Error::invalid(format!("the body must be a {expected}, it is a \"{got}\"")));
    }
    let message = DynamicMessage::decode(wanted, any.value.as_slice())
        .map_err(|err| Error::invalid(format!("read the protobuf body: {err}")))?;
    if let Some(unknown) = message.unknown_fields().next() {
        return Err(Error::invalid(format!("the body has an unknown field number {}", unknown.number())));
    }
    message.transcode_to().map_err(|err| Error::internal("transcode message").with_source(err))
}

/// Packs the message `name`.
pub fn to_any<M: Message>(name: &str, message: &M) -> Any {
    Any { type_url: format!("{TYPE_URL_PREFIX}merganser.v1.{name}"), value: message.encode_to_vec() }
}

/// What the proto files say of the message `name`.
///
/// # Errors
/// Internal when there is no such message.
pub fn describe(name: &str) -> Result<Described> {
    let message = descriptor(name)?;
    Ok(Described { comment: comment_at(&message, message.path()), fields: fields(&message) })
}

fn fields(message: &MessageDescriptor) -> Vec<Field> {
    let fields = message.fields().map(|field| {
        let kind = kind_name(&field.kind());
        Field {
            name: field.name().to_owned(),
            kind: if field.is_list() { format!("[{kind}]") } else { kind },
            comment: comment_at(message, field.path()),
            takes: takes(&field),
        }
    });
    fields.collect()
}

/// The field that a value was read for, in front of what is wrong with it.
fn place(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    if path == "." { String::new() } else { format!("\"{path}\": ") }
}

fn descriptor(name: &str) -> Result<MessageDescriptor> {
    let found = POOL.get_message_by_name(&format!("merganser.v1.{name}"));
    found.ok_or_else(|| Error::internal(format!("no message {name} in the descriptors")))
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
        Kind::Message(message) => Takes::Message(fields(&message)),
        _ if field.is_list() => Takes::Texts,
        Kind::Bool => Takes::Flag,
        Kind::Int64 | Kind::Uint64 | Kind::Int32 | Kind::Uint32 => Takes::Whole,
        _ => Takes::Text,
    }
}

/// The comment in front of the element at `path`, on one line.
fn comment_at(message: &MessageDescriptor, path: &[i32]) -> String {
    let file = message.parent_file().file_descriptor_proto().clone();
    let locations = file.source_code_info.map(|info| info.location).unwrap_or_default();
    let comment = locations.iter().find(|location| location.path == path).map(Location::leading_comments);
    comment.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

//! The elements of COCO sections, and the position of the reader for error messages.
//!
//! The types are deserialized from the file and serialized to the spool with the same field names; unknown fields are
//! ignored. The reader tracks section, index and field, because "invalid type at line 1 column 448123456" is not helpful.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// An element of `images`.
#[derive(Deserialize, Serialize)]
pub(super) struct Image {
    pub(super) id: i64,
    file_name: String,
    width: Option<i64>,
    height: Option<i64>,
    license: Option<i64>,
    #[serde(default, deserialize_with = "date")]
    date_captured: Option<String>,
    coco_url: Option<String>,
    flickr_url: Option<String>,
}

/// An element of `annotations`: an object in an image, a caption, or both.
#[derive(Deserialize, Serialize)]
pub(super) struct Annotation {
    pub(super) id: Option<i64>,
    pub(super) image_id: i64,
    category_id: Option<i64>,
    bbox: Option<Bbox>,
    area: Option<f64>,
    #[serde(default, deserialize_with = "flag")]
    iscrowd: Option<i64>,
    segmentation: Option<JsonText>,
    num_keypoints: Option<i64>,
    keypoints: Option<JsonText>,
    #[expect(clippy::option_option, reason = "the field marks a captions file even if it is null")]
    #[serde(default, deserialize_with = "present", skip_serializing)]
    caption: Option<Option<String>>,
    #[serde(skip_serializing)]
    segments_info: Option<IgnoredAny>,
}

/// An element of a results file, or the caption of an annotation.
#[expect(clippy::struct_field_names, reason = "the fields have the names of the format")]
#[derive(Deserialize, Serialize)]
pub(super) struct Caption {
    id: Option<i64>,
    image_id: i64,
    // An explicit function makes the field required, though it may be null.
    #[serde(deserialize_with = "Option::deserialize")]
    caption: Option<String>,
}

/// An element of `categories`.
#[derive(Deserialize, Serialize)]
pub(super) struct Category {
    pub(super) id: i64,
    pub(super) name: String,
    supercategory: Option<String>,
}

/// A box: x, y, width, height.
#[derive(Serialize)]
struct Bbox([f64; 4]);

/// Any JSON value, as text without white space.
#[derive(Serialize)]
struct JsonText(String);

/// The position of the reader, for error messages.
#[derive(Default)]
pub(super) struct Position {
    section: &'static str,
    index: Option<u64>,
    field: String,
}

/// Deserializes an element and records the current field in the position.
pub(super) struct Element<'a, T> {
    position: &'a mut Position,
    row: PhantomData<T>,
}

/// The fields of an object; the name of the current one is stored in the position.
struct Tracked<'a, A> {
    fields: A,
    field: &'a mut String,
}

/// Reads the name of a field into a buffer.
struct Name<'a>(&'a mut String);

struct BboxVisitor;

/// Writes a value as text, after a comma if it needs one.
struct Compact<'a> {
    out: &'a mut Vec<u8>,
    comma: bool,
}

/// Deserializes a field whose presence matters even if it is null.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// COCO writes dates as strings, CVAT writes the number 0.
fn date<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    match serde_json::Value::deserialize(value)? {
        serde_json::Value::Null => Ok(None),
        serde_json::Value::String(text) => Ok(Some(text)),
        serde_json::Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(de::Error::custom("expected a date as text or number")),
    }
}

/// COCO writes flags as 0 and 1, other tools as false and true.
fn flag<'de, D: Deserializer<'de>>(value: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Number(i64),
        Boolean(bool),
    }
    let flag = Option::<Flag>::deserialize(value)?;
    Ok(flag.map(|flag| match flag {
        Flag::Number(number) => number,
        Flag::Boolean(is) => i64::from(is),
    }))
}

// === impl Annotation ===

impl Annotation {
    /// The caption, if there is one.
    pub(super) fn caption(&self) -> Option<Caption> {
        let caption = self.caption.clone()?;
        Some(Caption { id: self.id, image_id: self.image_id, caption })
    }

    /// Whether it describes an object in the image.
    pub(super) fn is_drawn(&self) -> bool {
        self.category_id.is_some() || self.bbox.is_some() || self.segmentation.is_some() || self.keypoints.is_some()
    }

    /// Whether it is in the panoptic format, which stores objects in a separate image.
    pub(super) fn is_panoptic(&self) -> bool {
        self.segments_info.is_some()
    }
}

// === impl Position ===

impl Position {
    /// Enters `section`; the name of the top-level array of a results file is "".
    pub(super) fn enter(&mut self, section: &'static str) {
        *self = Self { section, ..Self::default() };
    }

    /// Leaves the section.
    pub(super) fn leave(&mut self) {
        *self = Self::default();
    }

    /// Enters the element `index`.
    pub(super) fn begin_element(&mut self, index: u64) {
        self.index = Some(index);
        self.field.clear();
    }

    /// The index of the current element.
    pub(super) fn index(&self) -> u64 {
        self.index.unwrap_or_default()
    }
}

/// Empty, or a prefix such as `annotations[12].image_id: `.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { section, index, field } = self;
        match index {
            Some(index) if field.is_empty() => write!(f, "{section}[{index}]: "),
            Some(index) => write!(f, "{section}[{index}].{field}: "),
            None if section.is_empty() => Ok(()),
            None => write!(f, "{section}: "),
        }
    }
}

// === impl Element ===

impl<'a, T> Element<'a, T> {
    /// Deserializes the element at `position`.
    pub(super) fn new(position: &'a mut Position) -> Self {
        Self { position, row: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Element<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, element: D) -> Result<T, D::Error> {
        element.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Element<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(Tracked { fields, field: &mut self.position.field }))
    }
}

// === impl Tracked ===

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Tracked<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.field.clear();
        match self.fields.next_key_seed(Name(self.field))? {
            Some(()) => seed.deserialize(self.field.as_str().into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.fields.next_value_seed(seed)
    }
}

// === impl Name ===

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<(), D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<(), E> {
        self.0.push_str(name);
        Ok(())
    }
}

// === impl Bbox ===

impl<'de> Deserialize<'de> for Bbox {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        value.deserialize_seq(BboxVisitor)
    }
}

impl<'de> Visitor<'de> for BboxVisitor {
    type Value = Bbox;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the four numbers [x, y, width, height]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Bbox, A::Error> {
        let mut sides = [0.0; 4];
        let mut count = 0;
        while let Some(number) = numbers.next_element()? {
            let side = sides.get_mut(count).ok_or_else(|| de::Error::invalid_length(count + 1, &self))?;
            *side = number;
            count += 1;
        }
        if count < sides.len() {
            return Err(de::Error::invalid_length(count, &self));
        }
        Ok(Bbox(sides))
    }
}

// === impl JsonText ===

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let mut text = Vec::new();
        Compact { out: &mut text, comma: false }.deserialize(value)?;
        String::from_utf8(text).map(Self).map_err(de::Error::custom)
    }
}

// === impl Compact ===

impl Compact<'_> {
    fn write<T: Serialize + ?Sized, E: de::Error>(self, value: &T) -> Result<(), E> {
        serde_json::to_writer(self.out, value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Compact<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if self.comma {
            self.out.push(b',');
        }
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Compact<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.write(&())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.write(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.out.push(b'[');
        let mut comma = false;
        while values.next_element_seed(Compact { out: self.out, comma })?.is_some() {
            comma = true;
        }
        self.out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        self.out.push(b'{');
        let mut comma = false;
        while fields.next_key_seed(Compact { out: self.out, comma })?.is_some() {
            self.out.push(b':');
            fields.next_value_seed(Compact { out: self.out, comma: false })?;
            comma = true;
        }
        self.out.push(b'}');
        Ok(())
    }
}

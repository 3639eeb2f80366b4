//! The type of JSON values, by widening over all of them.

use std::collections::HashSet;

use indexmap::IndexMap;
use jiter::{Jiter, JiterError, Peek};

use super::scalar::Scalar;
use crate::quote::identifier;

/// A value nested deeper is kept as JSON.
const MAX_DEPTH: usize = 64;
/// An object with more keys is a map rather than a struct.
const MAX_FIELDS: usize = 200;
/// Values that no other type has.
const JSON: &str = "JSON";

/// The type of the values seen so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Shape {
    /// None but null.
    #[default]
    Null,
    Scalar(Scalar),
    List(Box<Shape>),
    Object(Object),
    /// Values of several kinds.
    Mixed,
}

/// The keys of objects, in the order of their first occurrence.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object {
    keys: IndexMap<String, Key>,
    /// The number of objects seen.
    seen: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Key {
    shape: Shape,
    /// The number of the last object that has it.
    last_in: u64,
}

/// Why a value cannot be a record.
#[derive(Debug)]
pub(super) enum Unfit {
    Syntax(JiterError),
    /// An object has a key twice.
    Twice(String),
}

impl From<JiterError> for Unfit {
    fn from(err: JiterError) -> Self {
        Self::Syntax(err)
    }
}

/// Whether `text` is an object.
pub(super) fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{")
}

// === impl Shape ===

impl Shape {
    /// Widens by the value of `text`. After an error it may be wider than necessary.
    pub fn widen_by(&mut self, text: &[u8]) -> Result<(), Unfit> {
        let mut json = Jiter::new(text).with_allow_inf_nan();
        let peek = json.peek()?;
        self.take(&mut json, peek, 0)?;
        Ok(json.finish()?)
    }

    fn take(&mut self, json: &mut Jiter<'_>, peek: Peek, depth: usize) -> Result<(), Unfit> {
        match peek {
            Peek::Null => json.known_null()?,
            Peek::True | Peek::False => {
                json.known_bool(peek)?;
                self.widen_to(Scalar::Boolean);
            }
            Peek::String => {
                let scalar = Scalar::of_string(json.known_str()?);
                self.widen_to(scalar);
            }
            Peek::Array => {
                let mut aside = Self::default();
                let elements = self.list(depth).unwrap_or(&mut aside);
                let mut next = json.known_array()?;
                while let Some(peek) = next {
                    elements.take(json, peek, depth + 1)?;
                    next = json.array_step()?;
                }
            }
            Peek::Object => {
                let mut aside = Object::default();
                self.object(depth).unwrap_or(&mut aside).take(json, depth)?;
            }
            number => {
                let scalar = Scalar::of_number(json.known_number_bytes(number)?);
                self.widen_to(scalar);
            }
        }
        Ok(())
    }

    fn widen_to(&mut self, scalar: Scalar) {
        *self = match self {
            Self::Null => Self::Scalar(scalar),
            Self::Scalar(own) if kind(*own) == kind(scalar) => Self::Scalar(own.widen(scalar)),
            _ => Self::Mixed,
        };
    }

    /// The shape of the elements; `None` if not all values are lists.
    fn list(&mut self, depth: usize) -> Option<&mut Self> {
        match self {
            Self::Null if depth < MAX_DEPTH => *self = Self::List(Box::default()),
            Self::List(_) => {}
            _ => *self = Self::Mixed,
        }
        if let Self::List(elements) = self { Some(elements) } else { None }
    }

    /// The keys; `None` if not all values are objects.
    fn object(&mut self, depth: usize) -> Option<&mut Object> {
        match self {
            Self::Null if depth < MAX_DEPTH => *self = Self::Object(Object::default()),
            Self::Object(_) => {}
            _ => *self = Self::Mixed,
        }
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The type in DuckDB that has all values.
    pub fn sql(&self) -> String {
        match self {
            Self::Null | Self::Mixed => JSON.to_owned(),
            Self::Scalar(scalar) => scalar.sql().unwrap_or(JSON).to_owned(),
            Self::List(elements) => format!("{}[]", elements.sql()),
            Self::Object(object) => object.sql(),
        }
    }
}

/// The kinds of JSON values: a number is no text of a string.
fn kind(scalar: Scalar) -> u8 {
    match scalar {
        Scalar::Boolean => 0,
        Scalar::Number(_) => 1,
        _ => 2,
    }
}

// === impl Object ===

impl Object {
    /// Widens by the keys of the object `text`.
    pub fn widen_by(&mut self, text: &[u8]) -> Result<(), Unfit> {
        let mut json = Jiter::new(text).with_allow_inf_nan();
        json.peek()?;
        self.take(&mut json, 0)?;
        Ok(json.finish()?)
    }

    /// The keys with the types of their values.
    pub fn keys(&self) -> impl Iterator<Item = (&str, String)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key.shape.sql()))
    }

    fn take(&mut self, json: &mut Jiter<'_>, depth: usize) -> Result<(), Unfit> {
        self.seen += 1;
        let object = self.seen;
        let mut next = json.known_object()?.map(str::to_owned);
        while let Some(name) = next {
            let key = self.keys.entry(name.clone()).or_default();
            if std::mem::replace(&mut key.last_in, object) == object {
                return Err(Unfit::Twice(name));
            }
            let peek = json.peek()?;
            key.shape.take(json, peek, depth + 1)?;
            next = json.next_key()?.map(str::to_owned);
        }
        Ok(())
    }

    fn sql(&self) -> String {
        let names: HashSet<_> = self.keys.keys().map(|name| name.to_lowercase()).collect();
        let can_be_fields = names.len() == self.keys.len() && !names.contains("");
        if self.keys.is_empty() || (!can_be_fields && self.keys.len() <= MAX_FIELDS) {
            return JSON.to_owned();
        }
        if self.keys.len() > MAX_FIELDS {
            return self.map();
        }
        let fields: Vec<_> = self.keys().map(|(name, data_type)| format!("{} {data_type}", identifier(name))).collect();
        format!("STRUCT({})", fields.join(", "))
    }

    /// The type of a map, whose values are JSON unless all have one type.
    fn map(&self) -> String {
        let mut values = Shape::default();
        for Key { shape, .. } in self.keys.values() {
            match shape {
                Shape::Null => {}
                Shape::Scalar(scalar) => values.widen_to(*scalar),
                other if values == Shape::Null || values == *other => values = other.clone(),
                _ => values = Shape::Mixed,
            }
        }
        format!("MAP(VARCHAR, {})", values.sql())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> String {
        let mut shape = Shape::default();
        for text in texts {
            shape.widen_by(text.as_bytes()).unwrap();
        }
        shape.sql()
    }

    #[test]
    fn types_are_widened_over_all_values() {
        assert_eq!(of(&["1", "null", "2.5"]), "DOUBLE");
        assert_eq!(of(&["1", "18446744073709551616"]), "DECIMAL(38,0)");
        assert_eq!(of(&["NaN", "-Infinity"]), "DOUBLE");
        assert_eq!(of(&["1", "\"1\""]), "JSON");
        assert_eq!(of(&["\"2024-01-01\"", "\"x\""]), "VARCHAR");
        assert_eq!(of(&["[1]", "[2.5, null]", "[]"]), "DOUBLE[]");
        assert_eq!(of(&["{\"a\": 1}", "{\"b\": {\"c\": true}}"]), r#"STRUCT("a" BIGINT, "b" STRUCT("c" BOOLEAN))"#);
        assert_eq!(of(&["{\"a\": 1, \"A\": 2}"]), "JSON");
        assert_eq!(of(&["[{\"a\": 1}]", "[1]"]), "JSON[]");
        assert_eq!(of(&["{}"]), "JSON");
        let many: Vec<_> = (0..300).map(|key| format!("\"k{key}\": {key}")).collect();
        assert_eq!(of(&[&format!("{{{}}}", many.join(","))]), "MAP(VARCHAR, BIGINT)");
    }

    #[test]
    fn a_value_that_is_not_json_is_unfit() {
        let unfit = |text: &str| Shape::default().widen_by(text.as_bytes()).is_err();
        assert!(unfit("{\"a\": 1") && unfit("[1,]") && unfit("01") && unfit("1 2") && unfit(""));
        assert!(unfit("{\"a\": 1, \"a\": 2}") && unfit("[{\"b\": 1, \"b\": 1}]"));
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert_eq!(of(&[&deep]), format!("JSON{}", "[]".repeat(MAX_DEPTH)));
    }
}

//! Detection of COCO files and their kind.
//!
//! The names of sections do not suffice, because other formats have `images` and `annotations` too: the first element of each
//! section is checked as well. Parsing stops as soon as the answer is known, which is at the first annotation for the usual
//! order of sections; earlier content is skipped without being stored.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Context, Result};

use super::record::{Element, Position, present};
use super::{CocoKind, SectionName, file_name, open};

/// The evidence of the sections seen so far.
#[derive(Default)]
struct Evidence {
    images: bool,
    categories: bool,
    annotations: Option<CocoKind>,
    answer: Answer,
}

/// The answer; final unless it is `Open`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Answer {
    #[default]
    Open,
    NotCoco,
    Coco(CocoKind),
}

/// The top-level value of a file.
struct TopLevel<'a>(&'a mut Evidence);

/// A section, of which only the first element is inspected.
struct Section<'a> {
    evidence: &'a mut Evidence,
    name: SectionName,
}

/// The fields of an element that distinguish formats.
#[derive(Deserialize)]
struct Fields {
    #[serde(default, deserialize_with = "present")]
    id: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    image_id: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    name: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    caption: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    segments_info: Option<IgnoredAny>,
    category_id: Option<IgnoredAny>,
    bbox: Option<IgnoredAny>,
}

/// Detects whether the file at `path` contains COCO annotations. `None` for other JSON, for files that are not JSON, and
/// for the panoptic format.
///
/// # Errors
///
/// I/O errors of reading the file.
pub fn detect(path: &Path) -> Result<Option<CocoKind>> {
    let doing = || format!("inspect \"{}\"", file_name(path));
    let mut json = serde_json::Deserializer::from_reader(open(path).context(doing)?);
    let mut evidence = Evidence::default();
    let outcome = TopLevel(&mut evidence).deserialize(&mut json);
    match (outcome, evidence.answer) {
        (_, Answer::Coco(kind)) => Ok(Some(kind)),
        (Ok(()), Answer::Open) => Ok(evidence.at_the_end()),
        (Err(err), Answer::Open) if err.is_io() => Err(std::io::Error::from(err)).context(doing),
        (_, Answer::NotCoco | Answer::Open) => Ok(None),
    }
}

/// Stops the parser; the answer is in the evidence.
fn answered<E: de::Error>() -> E {
    E::custom("answered")
}

// === impl TopLevel ===

impl<'de> DeserializeSeed<'de> for TopLevel<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TopLevel<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut sections: A) -> Result<(), A::Error> {
        while let Some(name) = sections.next_key()? {
            if name == SectionName::Other {
                sections.next_value::<IgnoredAny>()?;
            } else {
                sections.next_value_seed(Section { evidence: self.0, name })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut results: A) -> Result<(), A::Error> {
        let first = results.next_element_seed(Element::<Fields>::new(&mut Position::default()))?;
        let is_result = first.is_some_and(|first| first.is_result());
        self.0.answer = if is_result { Answer::Coco(CocoKind::CaptionResults) } else { Answer::NotCoco };
        Err(answered())
    }
}

// === impl Section ===

impl<'de> DeserializeSeed<'de> for Section<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Section<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let first = elements.next_element_seed(Element::new(&mut Position::default()))?;
        self.evidence.note(self.name, first.as_ref());
        if self.evidence.answer != Answer::Open {
            return Err(answered());
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

// === impl Evidence ===

impl Evidence {
    /// Records a section and its first element, if it has one.
    fn note(&mut self, name: SectionName, first: Option<&Fields>) {
        if !first.is_none_or(|fields| fields.belong_to(name)) {
            self.answer = Answer::NotCoco;
            return;
        }
        match name {
            SectionName::Images => self.images = true,
            SectionName::Categories => self.categories = true,
            SectionName::Annotations => self.annotations = Some(first.map_or(CocoKind::Instances, Fields::kind)),
            SectionName::Other => {}
        }
        if let (true, Some(kind)) = (self.images, self.annotations) {
            self.answer = Answer::Coco(kind);
        }
    }

    /// The answer at the end of the file: images of a test split come with categories only.
    fn at_the_end(&self) -> Option<CocoKind> {
        (self.images && self.categories).then_some(CocoKind::Instances)
    }
}

// === impl Fields ===

impl Fields {
    fn belong_to(&self, name: SectionName) -> bool {
        match name {
            // Without a "file_name" it is COCO that cannot be read, which is better reported than taken for plain JSON.
            SectionName::Images => self.id.is_some(),
            SectionName::Categories => self.id.is_some() && self.name.is_some(),
            SectionName::Annotations => self.image_id.is_some() && self.segments_info.is_none(),
            SectionName::Other => true,
        }
    }

    fn is_result(&self) -> bool {
        self.image_id.is_some() && self.caption.is_some()
    }

    /// The kind of a file by the fields of its first annotation.
    fn kind(&self) -> CocoKind {
        let is_drawn = self.category_id.is_some() || self.bbox.is_some();
        if self.caption.is_some() && !is_drawn { CocoKind::Captions } else { CocoKind::Instances }
    }
}

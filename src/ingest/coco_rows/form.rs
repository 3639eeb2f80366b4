//! The forms of rows, by their columns.

use super::{
    super::{media_side, rows::Rows},
    columns::{Columns, is_integer, is_number, is_text},
};
use crate::{engine::Connection, error::Result};

/// The columns of captions as A. Karpathy published them; beside them come `image`, or `url`.
const KARPATHY: [&str; 7] = ["filepath", "sentids", "filename", "imgid", "split", "sentences", "cocoid"];

/// The form of rows.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub columns: Columns,
    /// Whether the images were stored: there are side columns then.
    pub has_side: bool,
    pub content: Content,
}

/// What a row says about its image.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Several sentences: `sentences` is a list of texts, and `sentids` of their ids.
    Sentences,
    /// One sentence: `sentences` is a structure.
    Sentence,
    /// The objects in it.
    Objects(Objects),
}

/// The structure of `objects`: the names of its fields.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    /// Whether they are a list of structures; else they are a structure of lists.
    pub is_list: bool,
    pub id: Option<&'static str>,
    pub category: &'static str,
    /// Whether categories are texts; else they are numbers.
    pub are_texts: bool,
    pub area: Option<&'static str>,
    pub crowd: Option<&'static str>,
}

/// The form of `rows`; `None` if they are not of COCO.
///
/// # Errors
/// Errors of DuckDB.
pub(super) fn of(connection: &Connection, rows: &Rows<'_>) -> Result<Option<Form>> {
    let columns = Columns::of(connection, rows.query)?;
    let has_side = rows.media.iter().any(|name| name == "image");
    let content = match content(connection, rows.query, &columns)? {
        Some((content, known)) => {
            let side: Vec<_> = media_side::of("image").into_iter().filter(|_| has_side).collect();
            let known = known.iter().copied().chain(side.iter().map(String::as_str));
            columns.are_among(known).then_some(content)
        }
        None => None,
    };
    Ok(content.map(|content| Form { columns, has_side, content }))
}

/// What the rows say, and the columns that they may have then.
fn content(
    connection: &Connection,
    query: &str,
    columns: &Columns,
) -> Result<Option<(Content, &'static [&'static str])>> {
    let is = |name: &str, fits: fn(&str) -> bool| fits(columns.data_type(name));
    if is("image_id", is_integer) && is("image", is_text) && columns.has("objects") {
        let numbers = ["width", "height"].iter().all(|name| !columns.has(name) || is(name, is_integer));
        let has_split = !columns.has("split") || is("split", is_text);
        let objects = if numbers && has_split { Objects::of(connection, query, columns)? } else { None };
        let known: &[_] = &["image_id", "image", "width", "height", "objects", "split"];
        return Ok(objects.map(|objects| (Content::Objects(objects), known)));
    }
    let has_image = is("image", is_text) || is("url", is_text);
    let texts = ["filename", "split"].iter().all(|name| is(name, is_text));
    if !KARPATHY.iter().all(|name| columns.has(name)) || !is("cocoid", is_integer) || !has_image || !texts {
        return Ok(None);
    }
    let known: &[_] = &["filepath", "sentids", "filename", "imgid", "split", "sentences", "cocoid", "image", "url"];
    let sentences = columns.data_type("sentences");
    if sentences == "VARCHAR[]" && columns.data_type("sentids").strip_suffix("[]").is_some_and(is_integer) {
        return Ok(Some((Content::Sentences, known)));
    }
    if !is_structure(sentences) {
        return Ok(None);
    }
    let fields = Columns::of(connection, &format!("SELECT unnest(sentences) FROM ({query})"))?;
    let fits = is_text(fields.data_type("raw"))
        && is_integer(fields.data_type("sentid"))
        && fields.are_among(["tokens", "raw", "imgid", "sentid"]);
    Ok(fits.then_some((Content::Sentence, known)))
}

fn is_structure(data_type: &str) -> bool {
    data_type.starts_with("STRUCT(") && data_type.ends_with(')')
}

// === impl Objects ===

impl Objects {
    /// Those of `query`; `None` if a field is missing, unknown, or of another type.
    fn of(connection: &Connection, query: &str, columns: &Columns) -> Result<Option<Self>> {
        let data_type = columns.data_type("objects");
        let is_list = data_type.strip_suffix("[]").is_some_and(is_structure);
        let fields = if is_list {
            Some(Columns::of(connection, &format!("SELECT unnest(objects, max_depth := 2) FROM ({query})"))?)
        } else if is_structure(data_type) {
            Columns::of(connection, &format!("SELECT unnest(objects) FROM ({query})"))?.elements()
        } else {
            None
        };
        Ok(fields.and_then(|fields| Self::with(is_list, &fields)))
    }

    fn with(is_list: bool, fields: &Columns) -> Option<Self> {
        let id = fields.first_of(&["bbox_id", "id"]);
        let category = fields.first_of(&["category", "label"])?;
        let (area, crowd) = (fields.first_of(&["area"]), fields.first_of(&["iscrowd", "is_crowd"]));
        let known = [Some("bbox"), Some(category), id, area, crowd];
        let is = |name: Option<&str>, fits: fn(&str) -> bool| name.is_none_or(|name| fits(fields.data_type(name)));
        let fits = fields.are_among(known.into_iter().flatten())
            && fields.data_type("bbox").strip_suffix("[]").is_some_and(is_number)
            && is(Some(category), |data_type| is_integer(data_type) || is_text(data_type))
            && is(id, is_integer)
            && is(area, is_number)
            && is(crowd, |data_type| is_integer(data_type) || data_type == "BOOLEAN");
        let are_texts = is_text(fields.data_type(category));
        fits.then_some(Self { is_list, id, category, are_texts, area, crowd })
    }
}

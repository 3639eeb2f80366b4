//! Staged rows: temporary tables with the same columns for all forms.

use serde::Deserialize;

use super::{
    super::{coco_json::Section, coco_tables::Table, rows::Rows},
    boxes::Boxes,
    categories::Categories,
    form::{Content, Form, Objects},
};
use crate::{
    engine::Connection,
    error::{Error, Result},
};

/// The rows of the source, with common names.
const ROWS: &str = "temp.main.merganser_coco_rows";
/// The images, each once in a split.
pub(super) const IMAGE_ROWS: &str = "temp.main.merganser_coco_images";
/// What is in images, or said about them.
pub(super) const PART_ROWS: &str = "temp.main.merganser_coco_parts";
/// The categories.
pub(super) const CATEGORY_ROWS: &str = "temp.main.merganser_coco_categories";

/// The name of a file: the last part of a URI.
const FILE_NAME: &str = r"nullif(url_decode(regexp_extract(image, '([^/\\?#]+)([?#].*)?$', 1)), '')";

/// The splits of COCO.
const SPLIT: &str = "CASE WHEN lower(split) IN ('train', 'training', 'restval') THEN 'train' \
                     WHEN lower(split) IN ('val', 'valid', 'validation', 'dev') THEN 'val' \
                     WHEN lower(split) IN ('test', 'testing', 'eval', 'evaluation') THEN 'test' ELSE split END";

/// The rows of one load.
#[derive(Debug)]
pub(super) struct Staged<'c> {
    connection: &'c Connection,
    /// Whether there are objects; else there are captions.
    has_objects: bool,
    boxes: Boxes,
    categories: Categories,
}

#[derive(Deserialize)]
struct Found {
    id: Option<i64>,
}

// === impl Staged ===

impl<'c> Staged<'c> {
    /// Stages `rows`, and checks them.
    ///
    /// # Errors
    /// `InvalidArgument` for rows that contradict themselves; errors of DuckDB.
    pub fn new(connection: &'c Connection, form: &Form, rows: &Rows<'_>) -> Result<Self> {
        let stage = |table: &str, query: &str| {
            connection.execute(&format!("CREATE OR REPLACE TEMP TABLE {table} AS {query}"), &[])
        };
        stage(ROWS, &common(form, rows.query))?;
        check_images(connection)?;
        stage(
            IMAGE_ROWS,
            &format!(
                "SELECT image_id AS id, split, min(file_name) AS file_name, min(image) AS image, min(width) AS width, \
                 min(height) AS height, min(url) AS url FROM {ROWS} GROUP BY ALL ORDER BY id, split"
            ),
        )?;
        check_lengths(connection, &form.content)?;
        stage(PART_ROWS, &parts(&form.content))?;
        let (boxes, categories) = match &form.content {
            Content::Sentences | Content::Sentence => (Boxes::Xywh, Categories::Texts),
            Content::Objects(objects) => {
                let categories = Categories::of(connection, objects, rows.parquet)?;
                categories.check(connection, PART_ROWS)?;
                (rows.request.boxes.found(connection, PART_ROWS)?, categories)
            }
        };
        let staged = Self { connection, has_objects: matches!(form.content, Content::Objects(_)), boxes, categories };
        stage(CATEGORY_ROWS, &staged.category_rows())?;
        staged.settle_ids()?;
        Ok(staged)
    }

    /// The rows of a table of COCO.
    pub fn query(&self, table: Table) -> String {
        let value = |name: &str| {
            let value = match (table.section, name) {
                (Section::Images, "coco_url") => "url",
                (Section::Annotations, "category_id") => self.categories.id(),
                (Section::Annotations, "bbox") => self.boxes.value(),
                // COCO's own files have no numbers that are not finite.
                (Section::Annotations, "area") => "CASE WHEN isfinite(area) THEN area END",
                (Section::Annotations, "iscrowd") => "coalesce(crowd, 0)",
                (_, "source_file")
                | (Section::Images, "license" | "date_captured" | "flickr_url")
                | (Section::Annotations, "segmentation" | "num_keypoints" | "keypoints")
                | (Section::Categories, "supercategory") => return None,
                (_, name) => name,
            };
            Some(value.to_owned())
        };
        let columns = table.selected(value);
        match table.section {
            Section::Images => format!("SELECT {columns}, coalesce(image, url) AS image FROM {IMAGE_ROWS}"),
            Section::Categories => format!("SELECT {columns} FROM {CATEGORY_ROWS}"),
            Section::Annotations if self.has_objects => format!("SELECT {columns} FROM {PART_ROWS}"),
            Section::Captions if !self.has_objects => format!("SELECT {columns} FROM {PART_ROWS}"),
            Section::Annotations | Section::Captions => {
                format!("SELECT {} WHERE false", table.selected(|_| None))
            }
        }
    }

    /// Drops the tables. A transaction that is rolled back does so, too.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn drop(self) -> Result<()> {
        for table in [ROWS, IMAGE_ROWS, PART_ROWS, CATEGORY_ROWS] {
            self.connection.execute(&format!("DROP TABLE {table}"), &[])?;
        }
        Ok(())
    }

    fn category_rows(&self) -> String {
        let query = if self.has_objects {
            self.categories.query(PART_ROWS)
        } else {
            "SELECT NULL::BIGINT AS id, NULL::VARCHAR AS name WHERE false".to_owned()
        };
        format!("SELECT id::BIGINT AS id, name FROM ({query}) ORDER BY id")
    }

    /// Removes ids that begin anew with each image or split: a table has each once.
    fn settle_ids(&self) -> Result<()> {
        let what = if self.has_objects { "(image_id, bbox, category)" } else { "(image_id, caption)" };
        let sql = format!(
            "SELECT id FROM {PART_ROWS} WHERE id IS NOT NULL GROUP BY id HAVING system.main.count(DISTINCT {what}) > 1 \
             LIMIT 1"
        );
        if !self.connection.records::<Found>(&sql, &[])?.is_empty() {
            self.connection.execute(&format!("UPDATE {PART_ROWS} SET id = NULL"), &[])?;
        }
        Ok(())
    }
}

/// The rows of `query` with the columns `image_id, file_name, image, sha256, width, height, url, split`, and their content.
fn common(form: &Form, query: &str) -> String {
    let Form { columns, has_side, content } = form;
    let or_null = |name: &'static str, data_type: &str| {
        if columns.has(name) { name.to_owned() } else { format!("NULL::{data_type}") }
    };
    let size = |name: &'static str| {
        let side = if *has_side { format!("image_{name}") } else { "NULL".to_owned() };
        format!("coalesce({}, {side})::BIGINT AS {name}", or_null(name, "BIGINT"))
    };
    let sha256 = if *has_side { "image_sha256" } else { "NULL::VARCHAR" };
    let split = if columns.has("split") { SPLIT } else { "NULL::VARCHAR" };
    let (id, file_name, content) = match content {
        Content::Objects(_) => ("image_id", format!("coalesce({FILE_NAME}, image_id::VARCHAR)"), "objects"),
        Content::Sentences => ("cocoid", "filename".to_owned(), "sentences, sentids"),
        Content::Sentence => ("cocoid", "filename".to_owned(), "sentences"),
    };
    format!(
        "SELECT {id}::BIGINT AS image_id, {file_name} AS file_name, {} AS image, {sha256} AS sha256, {}, {}, {} AS url, \
         {split} AS split, {content} FROM ({query})",
        or_null("image", "VARCHAR"),
        size("width"),
        size("height"),
        or_null("url", "VARCHAR"),
    )
}

/// One object or sentence a row: `id, image_id, split`, and what is known about it.
fn parts(content: &Content) -> String {
    match content {
        Content::Sentences => {
            format!("SELECT unnest(sentids)::BIGINT AS id, unnest(sentences) AS caption, image_id, split FROM {ROWS}")
        }
        Content::Sentence => format!(
            "SELECT sentences.sentid::BIGINT AS id, sentences.raw AS caption, image_id, split FROM {ROWS} \
             WHERE sentences IS NOT NULL"
        ),
        Content::Objects(objects) => {
            let Objects { is_list, id, category, area, crowd, .. } = objects;
            let field = |name: &str| {
                if *is_list { format!("object.{name}") } else { format!("unnest(objects.{name})") }
            };
            let optional = |name: Option<&str>| name.map_or_else(|| "NULL".to_owned(), field);
            let from = if *is_list {
                format!("(SELECT *, unnest(objects) AS object FROM {ROWS}) WHERE object IS NOT NULL")
            } else {
                ROWS.to_owned()
            };
            format!(
                "SELECT {}::BIGINT AS id, {} AS category, {}::DOUBLE[] AS bbox, {}::DOUBLE AS area, {}::BIGINT AS crowd, \
                 image_id, split, width, height FROM {from}",
                optional(*id),
                field(category),
                field("bbox"),
                optional(*area),
                optional(*crowd),
            )
        }
    }
}

/// Fails for rows without an id, and for an id of two images.
fn check_images(connection: &Connection) -> Result<()> {
    let missing = format!("SELECT image_id AS id FROM {ROWS} WHERE image_id IS NULL LIMIT 1");
    if !connection.records::<Found>(&missing, &[])?.is_empty() {
        return Err(Error::invalid(
            "a row has no id of its image; correct the files, or load the columns as they are with \"as_delivered\"",
        ));
    }
    let several = format!(
        "SELECT image_id AS id FROM {ROWS} GROUP BY image_id \
         HAVING system.main.count(DISTINCT coalesce(sha256, image, file_name)) > 1 ORDER BY id LIMIT 1"
    );
    match connection.records::<Found>(&several, &[])?.as_slice() {
        [Found { id: Some(id) }] => Err(Error::invalid(format!(
            "the id {id} belongs to several images; ingest each \"split\" into a table of its own if ids begin anew with \
             them, or load the columns as they are with \"as_delivered\""
        ))),
        _ => Ok(()),
    }
}

/// Fails for lists that belong together and differ in length.
fn check_lengths(connection: &Connection, content: &Content) -> Result<()> {
    let (what, differs) = match content {
        Content::Sentence | Content::Objects(Objects { is_list: true, .. }) => return Ok(()),
        Content::Sentences => ("sentences", "len(sentids) IS DISTINCT FROM len(sentences)".to_owned()),
        Content::Objects(Objects { id, category, area, crowd, .. }) => {
            let optional = [*id, *area, *crowd].into_iter().flatten();
            let optional = optional.map(|name| {
                format!(" OR (objects.{name} IS NOT NULL AND len(objects.{name}) IS DISTINCT FROM len(objects.bbox))")
            });
            let optional = optional.collect::<String>();
            ("objects", format!("len(objects.{category}) IS DISTINCT FROM len(objects.bbox){optional}"))
        }
    };
    let sql = format!("SELECT image_id AS id FROM {ROWS} WHERE {differs} ORDER BY image_id LIMIT 1");
    match connection.records::<Found>(&sql, &[])?.as_slice() {
        [Found { id: Some(id) }] => Err(Error::invalid(format!(
            "the lists in \"{what}\" of the image {id} differ in length; correct the files, or load the columns as they are \
             with \"as_delivered\""
        ))),
        _ => Ok(()),
    }
}

//! What the tables contain under the same ids, but of something else: the models would mix both up.

use serde::Deserialize;

use super::{
    super::{
        coco_tables::{ANNOTATIONS, CAPTIONS, CATEGORIES, IMAGES, Table},
        load,
    },
    form::{Content, Form},
    staged::{CATEGORY_ROWS, IMAGE_ROWS, PART_ROWS},
};
use crate::{
    engine::Connection,
    error::{Error, Result},
    lake::table::TableRef,
};

#[derive(Deserialize)]
struct Clash {
    id: i64,
    ours: String,
    theirs: String,
}

/// Compares the staged rows with the tables of `prefix`.
///
/// # Errors
/// `InvalidArgument` for an id of something else; errors of DuckDB.
pub(super) fn check(connection: &Connection, prefix: &TableRef, form: &Form) -> Result<()> {
    let parts = if matches!(form.content, Content::Objects(_)) { ANNOTATIONS } else { CAPTIONS };
    // Another picture of the same split is a later one of the same image.
    let images = "source.file_name <> target.file_name AND source.split IS DISTINCT FROM target.split";
    for (table, rows, differs, what) in [
        (IMAGES, IMAGE_ROWS, images, "file_name"),
        (CATEGORIES, CATEGORY_ROWS, "source.name <> target.name", "name"),
        (parts, PART_ROWS, "source.image_id <> target.image_id", "image_id"),
    ] {
        compare(connection, &prefix.with_suffix(table.suffix), table, rows, differs, what)?;
    }
    Ok(())
}

fn compare(
    connection: &Connection,
    target: &TableRef,
    table: Table,
    rows: &str,
    differs: &str,
    what: &str,
) -> Result<()> {
    if load::columns_of(connection, target)?.is_none() {
        return Ok(());
    }
    let sql = format!(
        "SELECT source.id, source.{what}::VARCHAR AS ours, target.{what}::VARCHAR AS theirs FROM {rows} source \
         JOIN {} target ON source.id = target.id AND {differs} ORDER BY ALL LIMIT 1",
        target.sql()
    );
    let Some(Clash { id, ours, theirs }) = connection.records(&sql, &[])?.into_iter().next() else { return Ok(()) };
    Err(Error::invalid(format!(
        "{target} has the id {id} already with {what} \"{theirs}\", which the source has with \"{ours}\": {} of two sources \
         would be mixed up; ingest into another \"table\", or with \"mode\": \"replace\"",
        table.suffix
    )))
}

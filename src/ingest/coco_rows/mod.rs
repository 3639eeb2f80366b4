//! Rows with the columns that data sets of the Hugging Face Hub have for COCO: they become the four tables of a folder with
//! annotation files, so that the same models read them.
//!
//! 1. Recognise: every column must be known, and have its type; other rows become one table as they are.
//! 2. Stage the rows under common names, and what they say about images, one object or sentence a row.
//! 3. Check what no table could tell later: what belongs to what.
//! 4. Load the four tables.

mod boxes;
mod categories;
mod clashes;
mod columns;
mod form;
mod staged;

use std::borrow::Cow;

pub use self::boxes::Boxes;
use self::staged::Staged;
use super::{
    coco_json::Section,
    coco_tables::{TABLES, Table},
    load::{self, Extra, Mode, TableOutcome},
    rows::Rows,
};
use crate::{error::Result, lake::commit::Transaction};

/// Loads `rows`: into the tables of COCO if they have its columns, else into one table as they are.
///
/// # Errors
/// `InvalidArgument` for rows of COCO that contradict themselves or what the tables contain, and for boxes of unknown form;
/// those of [`load::load`].
pub(super) fn load(transaction: &mut Transaction<'_>, rows: &Rows<'_>) -> Result<Vec<TableOutcome>> {
    let connection = transaction.connection();
    let form = if rows.request.as_delivered { None } else { form::of(connection, rows)? };
    let Some(form) = form else { return rows.load(transaction) };
    let staged = Staged::new(connection, &form, rows)?;
    if rows.request.mode != Mode::Replace {
        clashes::check(connection, rows.table, &form)?;
    }
    let mut outcomes = Vec::new();
    for table in TABLES {
        let target = rows.table.with_suffix(table.suffix);
        let mode = mode(&rows.request.mode, table);
        let loaded = load::load(transaction, &target, &staged.query(table), &mode, Extra::landing(rows.landing));
        outcomes.push(loaded.map_err(|err| err.context(format_args!("load {target}")))?);
    }
    staged.drop()?;
    Ok(outcomes)
}

/// Further files name images and categories again that the tables have.
fn mode(mode: &Mode, table: Table) -> Cow<'_, Mode> {
    match (mode, table.section) {
        (Mode::Append, Section::Images | Section::Categories) => Cow::Owned(Mode::Difference),
        _ => Cow::Borrowed(mode),
    }
}

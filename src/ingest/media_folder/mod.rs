//! Folders of images or sounds, as the library `datasets` reads them (`imagefolder`, `audiofolder`): one row a medium, with
//! the name of its folder as label; or, if there are metadata files, one row for each of theirs.
//!
//! 1. The rows: those of the metadata files, or one for each medium.
//! 2. The media that each row names, as files of the source.
//! 3. They are stored as assets, and the rows get their URIs and side columns.

mod files;
mod metadata;
mod references;

use std::path::{Path, PathBuf};

use self::{files::MediaFiles, metadata::Metadata, references::resolve};
use super::{
    assets::Assets,
    format::Format,
    load::{self, Extra, Loaded, SPLIT},
    media_rows::{self, FILE},
    media_side::{self, SIDE},
    source::Files,
    work::Work,
};
use crate::{
    error::{Error, Result},
    lake::commit::Transaction,
    quote::identifier,
};

/// A column with names of files, and the column of media that is made of it.
struct MediumColumn {
    names: String,
    medium: String,
    references: PathBuf,
    stored: PathBuf,
}

/// Loads the folder as one table.
///
/// # Errors
/// `InvalidArgument` for a broken medium, for metadata without names of files, and for such a name that is
/// no file of the source.
pub async fn load(work: &Work<'_>, files: &Files, assets: &Assets) -> Result<Loaded> {
    let media = MediaFiles::of(files);
    let medium = if files.format == Format::Sounds { "audio" } else { "image" };
    let rows = metadata::rows(work, files, &media).await?;
    let columns = columns(&rows, medium, work.spool)?;
    check_names(&rows, &columns)?;
    for column in &columns {
        let used = resolve(work, &rows, &column.names, &media, &column.references).await?;
        work.progress.phase(format!("store assets of {}", column.medium), "assets", Some(used.len() as u64));
        media_rows::store_files(work, media.only(&used)?, &column.medium, &column.stored, assets).await?;
    }
    work.progress.phase("load table", "tables", Some(1));
    let query = query(&rows, &columns);
    let (mode, table) = (work.request.mode.clone(), work.table.clone());
    let names: Vec<_> = columns.into_iter().map(|column| column.medium).collect();
    let load = move |transaction: &mut Transaction<'_>| {
        let extra = Extra { media: &names, ..Extra::default() };
        Ok(vec![load::load(transaction, &table, &query, &mode, extra)?])
    };
    work.commit(load).await.map_err(|err| err.context(format_args!("load {}", work.table)))
}

/// The columns of media: `file_name` becomes `medium`, and `left_file_name` becomes `left`.
fn columns(rows: &Metadata, medium: &str, spool: &Path) -> Result<Vec<MediumColumn>> {
    let column = |(index, names): (usize, &String)| {
        let name = match names.strip_suffix("file_name")? {
            "" => medium,
            prefix => prefix.strip_suffix('_').filter(|name| !name.is_empty())?,
        };
        Some(MediumColumn {
            names: names.clone(),
            medium: name.to_owned(),
            references: spool.join(format!("references_{index}.ndjson")),
            stored: spool.join(format!("media_{index}.ndjson")),
        })
    };
    let columns: Vec<_> = rows.columns.iter().enumerate().filter_map(column).collect();
    if columns.is_empty() {
        return Err(Error::invalid(
            "the metadata files have no column \"file_name\", which names the file of each row, relative to the metadata \
             file; add it, or ingest the metadata files without the media",
        ));
    }
    Ok(columns)
}

/// Fails if a column has a name that is needed.
fn check_names(rows: &Metadata, columns: &[MediumColumn]) -> Result<()> {
    let media = columns.iter().map(|column| column.medium.clone());
    let side = columns.iter().flat_map(|column| media_side::of(&column.medium));
    let mut taken: Vec<_> = rows.columns.iter().map(|name| name.to_lowercase()).collect();
    for name in media.chain(side) {
        if taken.contains(&name.to_lowercase()) {
            return Err(Error::invalid(format!(
                "the metadata files cannot have a column \"{name}\", which is made of the media; rename it"
            )));
        }
        taken.push(name.to_lowercase());
    }
    Ok(())
}

fn query(rows: &Metadata, columns: &[MediumColumn]) -> String {
    let (mut joins, mut uris, mut files, mut sides) = (String::new(), Vec::new(), Vec::new(), Vec::new());
    for (index, column) in columns.iter().enumerate() {
        let (names, medium) = (identifier(&column.names), identifier(&column.medium));
        joins.push_str(&format!(
            " LEFT JOIN {} named_{index} ON named_{index}.place = rows.{FILE} AND named_{index}.name = rows.{names}::VARCHAR \
             LEFT JOIN {} stored_{index} ON stored_{index}.file = named_{index}.file",
            references::reader(&column.references),
            media_rows::stored(&column.stored)
        ));
        uris.push(format!("stored_{index}.uri AS {medium}"));
        files.push(format!("named_{index}.file AS {names}"));
        for ((side, _), name) in SIDE.iter().zip(media_side::of(&column.medium)) {
            sides.push(format!("stored_{index}.{side} AS {}", identifier(&name)));
        }
    }
    let has_split = rows.columns.iter().any(|name| name.eq_ignore_ascii_case(SPLIT));
    let splits: Vec<_> = (0..columns.len()).map(|index| format!("named_{index}.split")).collect();
    let split = if has_split { String::new() } else { format!("coalesce({}) AS {SPLIT}, ", splits.join(", ")) };
    format!(
        "SELECT {}, rows.* EXCLUDE ({FILE}) REPLACE ({}), {split}{} FROM ({}) rows{joins}",
        uris.join(", "),
        files.join(", "),
        sides.join(", "),
        rows.query
    )
}

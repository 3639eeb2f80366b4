//! The names of media in metadata files, as files of the source.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use serde::Deserialize;
use serde_json::json;

use super::{
    super::{media_rows::FILE, work::Work},
    files::MediaFiles,
    metadata::Metadata,
};
use crate::{
    error::{Error, Result},
    quote::{identifier, literal},
};

#[derive(Deserialize)]
struct Named {
    place: String,
    name: String,
}

/// Finds what `column` of `rows` names among `media`, and writes it to the file `to`, for [`reader`]. Returns the names of the
/// files in the source.
///
/// # Errors
/// `InvalidArgument` for a name that is none of them; errors of DuckDB.
pub(super) async fn resolve(
    work: &Work<'_>,
    rows: &Metadata,
    column: &str,
    media: &MediaFiles<'_>,
    to: &Path,
) -> Result<BTreeSet<String>> {
    let column = identifier(column);
    let sql = format!(
        "SELECT DISTINCT {FILE} AS place, {column}::VARCHAR AS name FROM ({}) WHERE {column} IS NOT NULL ORDER BY ALL",
        rows.query
    );
    let named: Vec<Named> = work.lake.engine().run(move |connection| connection.records(&sql, &[])).await?;
    let mut out = BufWriter::new(File::create(to)?);
    let mut used = BTreeSet::new();
    for Named { place, name } in named {
        let metadata = rows.files.get(&place).map_or("", String::as_str);
        let refused = |reason: &str| Error::invalid(format!("\"{metadata}\" names the file \"{name}\", {reason}"));
        let path = path(metadata, &name).ok_or_else(|| refused("which leads out of its folder"))?;
        let file = media.find(&path).ok_or_else(|| refused("which is not there"))?;
        writeln!(out, "{}", json!({ "place": place, "name": name, "file": file.name, "split": file.split }))?;
        used.insert(path);
    }
    out.flush()?;
    Ok(used)
}

/// What [`resolve`] has written, in a FROM clause.
pub(super) fn reader(file: &Path) -> String {
    format!(
        "read_json({}, format = 'newline_delimited', columns = {{place: 'VARCHAR', name: 'VARCHAR', file: 'VARCHAR', \
         split: 'VARCHAR'}})",
        literal(&file.display().to_string())
    )
}

/// The path of `name` in the source, relative to the folder of the file `metadata`; `None` if it leads out of that folder.
fn path(metadata: &str, name: &str) -> Option<String> {
    if name.starts_with(['/', '\\']) || name.contains("://") {
        return None;
    }
    let mut parts = Vec::new();
    for part in name.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return None;
    }
    let folder = metadata.rsplit_once('/').map(|(folder, _)| folder);
    Some(folder.into_iter().chain(parts).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_their_metadata_and_stay_in_its_folder() {
        for (metadata, name, expected) in [
            ("", "x/a.png", "x/a.png"),
            ("metadata.csv", "a.png", "a.png"),
            ("train/metadata.csv", "a.png", "train/a.png"),
            ("train/metadata.csv", "./x/../y\\a.png", "train/y/a.png"),
            ("train/metadata.csv", "x//a.png", "train/x/a.png"),
        ] {
            assert_eq!(path(metadata, name).as_deref(), Some(expected));
        }
        for name in ["..", "../a.png", "x/../../a.png", "/etc/passwd", "https://x/a.png", "", "x/..", "\\\\host\\a"] {
            assert_eq!(path("train/metadata.csv", name), None, "{name}");
        }
    }
}

//! A COCO folder: annotation files to four tables, pictures to assets.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::json;

use super::{
    assets::{Assets, Medium},
    coco_json::{self, Section, Spool},
    coco_tables::{TABLES, Table},
    load::{self, Extra, Loaded, Mode, TableOutcome},
    source::Files,
    work::Work,
};
use crate::{
    error::{Context, Error, Result},
    lake::{commit::Transaction, table::TableRef},
    quote::literal,
};

/// The largest row that is read: outlines of many points are long.
const MAX_ROW_BYTES: u64 = 256 << 20;

#[derive(Deserialize)]
struct ImageRow {
    file_name: String,
    split: Option<String>,
}

/// Loads annotations and pictures.
pub async fn load(work: &Work<'_>, files: &Files, assets: &Assets) -> Result<Loaded> {
    let spooled = spool_annotations(work, files).await?;
    let uris = work.spool.join("uris.ndjson");
    store_pictures(work, files, spooled.as_deref(), &uris, assets).await?;
    work.progress.phase("load tables", "tables", Some(TABLES.len() as u64));
    let (request, prefix) = (work.request.clone(), work.table.clone());
    let (spool, landing) = (work.spool.to_path_buf(), work.landing.time().to_owned());
    let progress = work.progress.clone();
    let load = move |transaction: &mut Transaction<'_>| {
        let mut tables = Vec::new();
        for rows in TABLES {
            let query = query(&spool, rows, request.max_rows)?;
            let table = prefix.with_suffix(rows.suffix);
            tables.push(load_table(transaction, &table, &query, mode(&request.mode, rows.section).as_ref(), &landing)?);
            progress.advance(1);
        }
        Ok(tables)
    };
    work.commit(load).await
}

fn load_table(
    transaction: &mut Transaction<'_>,
    table: &TableRef,
    query: &str,
    mode: &Mode,
    landing: &str,
) -> Result<TableOutcome> {
    load::load(transaction, table, query, mode, Extra::landing(landing))
        .map_err(|err| err.context(format_args!("load {table}")))
}

/// Captions of result files have no id; a key fits one table at the most, so merging goes by image and text.
fn mode(mode: &Mode, section: Section) -> Cow<'_, Mode> {
    match (mode, section) {
        (Mode::Merge { key, when_matched }, Section::Captions) if key == &["id"] => {
            Cow::Owned(Mode::Merge { key: vec!["image_id".into(), "caption".into()], when_matched: *when_matched })
        }
        _ => Cow::Borrowed(mode),
    }
}

/// The rows of a table as a query.
fn query(spool: &Path, rows: Table, max_rows: Option<u64>) -> Result<String> {
    let file = spool.join(rows.section.file_name());
    // A section without rows has no file; an empty one gives an empty table.
    File::options().create(true).append(true).open(&file)?;
    let reader = read_ndjson(&file, &rows.structure());
    let limit = max_rows.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
    Ok(match rows.section {
        Section::Images => {
            let uris =
                read_ndjson(&spool.join("uris.ndjson"), "{file: 'VARCHAR', in_split: 'VARCHAR', uri: 'VARCHAR'}");
            format!(
                "SELECT image.*, coalesce(stored.uri, image.coco_url) AS image FROM {reader} image \
                 LEFT JOIN {uris} stored ON stored.file = image.file_name AND stored.in_split IS NOT DISTINCT FROM image.split{limit}"
            )
        }
        Section::Annotations | Section::Captions | Section::Categories => {
            format!("FROM {reader}{limit}")
        }
    })
}

fn read_ndjson(file: &Path, columns: &str) -> String {
    let file = literal(&file.display().to_string());
    format!(
        "read_json({file}, format = 'newline_delimited', columns = {columns}, maximum_object_size = {MAX_ROW_BYTES})"
    )
}

/// Reads the annotation files into rows; gives the file with the images' rows, if there are any.
async fn spool_annotations(work: &Work<'_>, files: &Files) -> Result<Option<PathBuf>> {
    work.progress.phase("read annotations", "files", Some(files.data.len() as u64));
    let data = files.data.iter().map(|file| file.path().map(Path::to_owned)).collect::<Result<Vec<_>>>()?;
    let folder = work.spool.to_path_buf();
    let (split, progress) = (work.request.split.clone(), work.progress.clone());
    let read = tokio::task::spawn_blocking(move || {
        let mut spool = Spool::new(folder);
        for file in &data {
            progress.check()?;
            coco_json::read(file, split.as_deref(), &mut spool)?;
            progress.advance(1);
        }
        let sections = spool.finish()?;
        let images = sections.into_iter().find(|section| section.section == Section::Images);
        Ok(images.map(|images| images.path))
    });
    read.await.map_err(|err| Error::internal("read annotations").with_source(err))?
}

/// Stores the picture of every image that has one in the folder, and notes the URIs.
async fn store_pictures(
    work: &Work<'_>,
    files: &Files,
    images: Option<&Path>,
    uris: &Path,
    assets: &Assets,
) -> Result<()> {
    let mut out = BufWriter::new(File::create(uris)?);
    let Some(images) = images.filter(|_| work.request.extract_media) else { return Ok(out.flush()?) };
    let pictures = Pictures::new(files);
    work.progress.phase("store assets", "assets", Some(files.others.len() as u64));
    let mut stored = std::collections::HashSet::new();
    for line in BufReader::new(File::open(images)?).lines() {
        work.progress.check()?;
        let row: ImageRow = serde_json::from_str(&line?).map_err(|err| Error::internal(err.to_string()))?;
        let split = row.split.as_deref();
        let Some(file) = pictures.find(&row.file_name, split)? else { continue };
        if !stored.insert((row.file_name.clone(), row.split.clone())) {
            continue;
        }
        let bytes = tokio::fs::read(file).await.context(|| format!("read \"{}\"", file.display()))?;
        let medium = Medium::of(bytes.into(), Some(&row.file_name)).await?;
        let uri = assets.put("image", Some(&row.file_name), "image", &medium).await?;
        writeln!(out, "{}", json!({ "file": row.file_name, "in_split": row.split, "uri": uri }))?;
        work.progress.advance(1);
    }
    Ok(out.flush()?)
}

/// The files of a folder by their names; several folders may have one of the same name.
struct Pictures<'a>(HashMap<String, Vec<&'a Path>>);

impl<'a> Pictures<'a> {
    fn new(files: &'a Files) -> Self {
        let mut named = HashMap::<_, Vec<_>>::new();
        for file in &files.others {
            let path = file.strip_prefix(&files.root).unwrap_or(file);
            named.entry(base_name(path)).or_default().push(file.as_path());
        }
        Self(named)
    }

    /// The picture that an image names: of those with its name, the one whose path ends like `file_name`, or the one in
    /// the folder of the split.
    ///
    /// # Errors
    /// `InvalidArgument` if several fit.
    fn find(&self, file_name: &str, split: Option<&str>) -> Result<Option<&'a Path>> {
        let path = Path::new(file_name);
        let Some(named) = self.0.get(&base_name(path)) else { return Ok(None) };
        let in_split = |file: &Path| {
            let folder = file.parent().map(base_name).unwrap_or_default();
            split.is_some_and(|split| folder.contains(split))
        };
        let by_path = only(named, |file| file.ends_with(path));
        match by_path.or_else(|| only(named, in_split)).or_else(|| only(named, |_| true)) {
            Some(file) => Ok(Some(file)),
            None => Err(Error::invalid(format!(
                "\"{}\" and \"{}\" could both be the image \"{file_name}\"; write \"file_name\" with its folder",
                named[0].display(),
                named[1].display()
            ))),
        }
    }
}

/// The only file that fits.
fn only<'a>(files: &[&'a Path], fits: impl Fn(&Path) -> bool) -> Option<&'a Path> {
    let mut fitting = files.iter().filter(|file| fits(file));
    fitting.next().filter(|_| fitting.next().is_none()).copied()
}

fn base_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

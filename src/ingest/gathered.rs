//! The files of a source, gathered from where they are: this machine, downloads, and the landing of an earlier ingest.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{
    earlier::{Earlier, Seen, rows_of},
    landing::{Landing, ROOT},
    request::Request,
    source::{Content, DataFile, Downloads, Fetched, Files, Found, Item, Opened, Unpacked, tag_of, unpack},
};
use crate::{error::Result, jobs::Progress, storage::Storage};

/// The largest object that S3 copies at once.
const MAX_COPIED_BYTES: u64 = 5 << 30;

/// The files of a source.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// All files.
    pub files: Files,
    /// What was fetched, or is known from an earlier ingest. The landed files of an item are those with its path.
    pub items: Vec<Seen>,
    /// The folders of items that are archives, by their paths.
    archives: Vec<(String, String)>,
    /// What names the content of the source, if the source names it.
    pub revision: Option<String>,
    /// What identifies the files that are not landed.
    pub others: String,
    /// The number of bytes that were downloaded.
    pub downloaded: u64,
}

/// Gathers the files of an opened source.
#[derive(Clone, Copy, Debug)]
pub struct Gatherer<'a> {
    pub request: &'a Request,
    pub storage: &'a Storage,
    pub downloads: &'a Downloads,
    /// A folder for temporary files, removed at the end.
    pub spool: &'a Path,
    pub progress: &'a Progress,
}

// === impl Gatherer ===

impl Gatherer<'_> {
    /// Fetches what is not here. Files that `earlier` has landed are not fetched again, unless they are read together with
    /// others.
    ///
    /// # Errors
    /// Cancelled; errors of the source.
    pub async fn gather(&self, opened: Opened, earlier: Option<&Earlier>) -> Result<Gathered> {
        let shown = self.request.source.shown();
        match opened {
            Opened::Here(path) => {
                let found = Found::at(path, &shown).await?;
                let (unpacked, archives) = self.unpacked(found.clone()).await?;
                let files = Files::of(unpacked, shown).await?;
                // What is unpacked now has the time of now.
                let others = if archives.is_empty() { &files.others } else { &found.paths };
                let others = tag_of(&found.root, others)?;
                Ok(Gathered { files, items: Vec::new(), archives: Vec::new(), revision: None, others, downloaded: 0 })
            }
            Opened::Elsewhere { revision, items, .. } => {
                let kept = match earlier {
                    Some(earlier) => self.kept(earlier, &items).await?,
                    None => HashMap::new(),
                };
                let known = |item: &Item| kept.get(&item.path).map(|(tag, _)| tag.clone());
                let fetched = self.downloads.fetch(&items, known, self.progress).await?;
                let mut found = found(&items, &fetched, &kept, earlier);
                found.root = self.downloads.files();
                let mut downloaded = 0;
                for path in &found.paths {
                    downloaded += tokio::fs::metadata(path).await?.len();
                }
                let nothing_new = found.paths.is_empty();
                let (found, archives) = self.unpacked(found).await?;
                let files = Files::of(found, shown).await?;
                let others = match earlier {
                    Some(earlier) if nothing_new => earlier.others.clone().unwrap_or_default(),
                    // What is fetched now has the time of now.
                    _ => content_of(&files.root, &files.others).await?,
                };
                Ok(Gathered { files, items: seen(&items, fetched, &kept), archives, revision, others, downloaded })
            }
        }
    }

    /// The same files with those of archives in their place; and the folder of each archive, by its path.
    async fn unpacked(&self, found: Found) -> Result<(Found, Vec<(String, String)>)> {
        let into = self.spool.join("unpacked");
        // Those of archives have other names than what was fetched.
        let is_file = |file: &DataFile| found.items.contains(&file.name);
        if found.kept.iter().any(|(_, kept)| kept.iter().any(is_file)) {
            return Ok((found, Vec::new()));
        }
        let Some(unpacked) = unpack(&found.root, &found.paths, found.is_folder, into, self.progress).await? else {
            return Ok((found, Vec::new()));
        };
        let text = |path: &Path| path.display().to_string();
        let folder = |(archive, folder): &(PathBuf, PathBuf)| {
            (text(archive.strip_prefix(&found.root).unwrap_or(archive)), text(folder))
        };
        let archives: Vec<_> = unpacked.archives.iter().map(folder).collect();
        let Unpacked { root, files: paths, .. } = unpacked;
        // The split of an archive is that of its files.
        let mut splits = HashMap::new();
        for path in &paths {
            let name = path.strip_prefix(&root).unwrap_or(path);
            let archive = archives.iter().find(|(_, folder)| name.starts_with(folder));
            if let Some(split) = archive.and_then(|(archive, _)| found.splits.get(archive)) {
                splits.insert(text(name), split.clone());
            }
        }
        Ok((Found { root, is_folder: true, paths, splits, ..found }, archives))
    }

    /// The tags and landed files of the items that need not be fetched if they are unchanged, by path.
    async fn kept(&self, earlier: &Earlier, items: &[Item]) -> Result<HashMap<String, (String, Vec<DataFile>)>> {
        let tags: HashMap<_, _> = earlier.items.iter().map(|seen| (seen.path.as_str(), seen.tag.as_str())).collect();
        let is_same = |item: &Item| item.tag.is_none() || item.tag.as_deref() == tags.get(item.path.as_str()).copied();
        let is_unchanged = items.len() == tags.len() && items.iter().all(is_same);
        if !earlier.format.is_landed() && !is_unchanged {
            return Ok(HashMap::new());
        }
        let folder = format!("{ROOT}/{}/{}", self.request.dataset, earlier.landing);
        let there: BTreeSet<_> = self.storage.list(&folder).await?.into_iter().collect();
        let files: HashMap<_, _> = earlier.files.iter().map(|file| (file.path.as_str(), file)).collect();
        let splits: HashMap<_, _> = items.iter().map(|item| (item.path.as_str(), item.split.clone())).collect();
        let landed = |name: &String| {
            let (path, file) = (format!("{folder}/{name}"), files.get(name.as_str())?);
            let is_there = there.contains(&(path.clone(), file.bytes)) && file.bytes <= MAX_COPIED_BYTES;
            let content = Content::Landed { path, bytes: file.bytes, sha256: file.sha256.clone() };
            is_there.then(|| DataFile { name: name.clone(), split: None, content })
        };
        let kept = earlier.items.iter().filter_map(|seen| {
            let mut files = seen.files.iter().map(landed).collect::<Option<Vec<_>>>()?;
            let split = splits.get(seen.path.as_str())?;
            for file in &mut files {
                file.split.clone_from(split);
            }
            Some((seen.path.clone(), (seen.tag.clone(), files)))
        });
        Ok(kept.collect())
    }
}

/// What identifies the content of files below `root`: their names and hashes.
async fn content_of(root: &Path, files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap_or(file).display();
        hash.update(format!("{name}\0{}\n", Storage::checksum(file).await?.sha256));
    }
    Ok(format!("{:x}", hash.finalize()))
}

fn found(
    items: &[Item],
    fetched: &[Fetched],
    kept: &HashMap<String, (String, Vec<DataFile>)>,
    earlier: Option<&Earlier>,
) -> Found {
    let is_kept = |(item, fetched): &(&Item, &Fetched)| fetched.file.is_none().then(|| kept.get(&item.path)).flatten();
    let unchanged: Vec<_> = items.iter().zip(fetched).filter_map(|pair| is_kept(&pair)).collect();
    // Of frames without annotations, nothing is landed.
    let landed =
        |earlier: &Earlier| (earlier.format, unchanged.iter().flat_map(|(_, files)| files.clone()).collect::<Vec<_>>());
    let split = |item: &Item| Some((item.path.clone(), item.split.clone()?));
    Found {
        root: PathBuf::new(),
        is_folder: items.len() > 1,
        items: items.iter().map(|item| item.path.clone()).collect(),
        paths: fetched.iter().filter_map(|fetched| fetched.file.clone()).collect(),
        kept: earlier.filter(|_| !unchanged.is_empty()).map(landed),
        splits: items.iter().filter_map(split).collect(),
    }
}

/// What was fetched; the files of what was not are those of the earlier landing.
fn seen(items: &[Item], fetched: Vec<Fetched>, kept: &HashMap<String, (String, Vec<DataFile>)>) -> Vec<Seen> {
    let files = |item: &Item, fetched: &Fetched| match kept.get(&item.path) {
        Some((_, files)) if fetched.file.is_none() => files.iter().map(|file| file.name.clone()).collect(),
        _ => Vec::new(),
    };
    let seen = |(item, fetched): (&Item, Fetched)| Seen {
        path: item.path.clone(),
        files: files(item, &fetched),
        tag: fetched.tag,
    };
    items.iter().zip(fetched).map(seen).collect()
}

// === impl Gathered ===

impl Gathered {
    /// What identifies the rows of each data file. Files of this machine are read for that.
    ///
    /// # Errors
    /// Errors of the disk; Cancelled.
    pub async fn rows(&self, progress: &Progress) -> Result<Vec<String>> {
        progress.phase("compare", "files", Some(self.files.data.len() as u64));
        let mut rows = Vec::with_capacity(self.files.data.len());
        for file in &self.files.data {
            progress.check()?;
            let format = self.files.format;
            rows.push(match &file.content {
                Content::Here(path) => rows_of(&Storage::checksum(path).await?.sha256, file, format),
                Content::Landed { sha256, .. } => rows_of(sha256, file, format),
            });
            progress.advance(1);
        }
        Ok(rows)
    }

    /// What was fetched, with the files of `landing` that it became.
    pub fn items_of(&self, landing: &Landing) -> Vec<Seen> {
        let mut items = self.items.clone();
        let known: BTreeSet<_> = items.iter().flat_map(|item| item.files.clone()).collect();
        let mut places: HashMap<_, _> = items.iter_mut().map(|item| (item.path.clone(), &mut item.files)).collect();
        for file in landing.files().iter().filter(|file| !known.contains(&file.path)) {
            let inside = |(_, folder): &&(String, String)| Path::new(&file.path).starts_with(folder);
            let item = self.archives.iter().find(inside).map_or(&file.path, |(archive, _)| archive);
            if let Some(files) = places.get_mut(item) {
                files.push(file.path.clone());
            }
        }
        items
    }

    /// Whether a file that is wanted is in an earlier landing only.
    pub fn lacks(&self, is_wanted: &[bool]) -> bool {
        let is_landed = |file: &DataFile| matches!(file.content, Content::Landed { .. });
        self.files.data.iter().zip(is_wanted).any(|(file, wanted)| *wanted && is_landed(file))
    }

    /// The wanted files, those of earlier landings downloaded to the folder `to`.
    ///
    /// # Errors
    /// Errors of the store; Cancelled.
    pub async fn here(&self, is_wanted: &[bool], storage: &Storage, to: PathBuf, progress: &Progress) -> Result<Files> {
        let mut files = self.files.only(|index| is_wanted[index]);
        for file in &mut files.data {
            progress.check()?;
            if let Content::Landed { path, .. } = &file.content {
                let local = to.join(&file.name);
                if let Some(parent) = local.parent() {
                    tokio::fs::create_dir_all(parent).await?;
                }
                storage.download(path, &local).await?;
                file.content = Content::Here(local);
            }
        }
        Ok(files)
    }
}

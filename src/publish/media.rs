//! Media that become files of a data set. Their names are their SHA-256: equal ones are one file, and none ever changes.
//!
//! ```text
//! rows with URIs ─▶ each object is read for its SHA-256 ─▶ rows with the addresses of files
//! files that the data set lacks ─▶ some at a time to the disk, and from there to the Hub
//! ```
//!
//! A data set may have more media than fit on this machine, so their bytes are neither in memory nor, all at once, on its disk.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, BinaryArray, RecordBatch, StringArray},
    datatypes::SchemaRef,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::{
    place::{self, Uris, is_on_the_web, placed},
    provenance::PublishedMedia,
};
use crate::{
    engine::BatchStream,
    error::{Error, ErrorKind, Result},
    hub::{HubFile, NewContent, NewFile},
    storage::{Copied, Storage},
};

/// The folder of the files.
const FOLDER: &str = "media";
/// The most media: the Hub recommends that a data set has no more files.
const MAX_FILES: usize = 100_000;
/// How many objects are read at a time.
const READS: usize = 16;
/// The most bytes that are on the disk at a time, unless a single file has more.
const GROUP_BYTES: u64 = 1 << 30;
/// The most files that are.
const GROUP_FILES: usize = 256;

/// The media of a publication.
#[derive(Debug)]
pub struct MediaFiles {
    storage: Storage,
    /// What the addresses of files begin with.
    root: String,
    /// The columns with URIs.
    columns: BTreeSet<String>,
    /// The folder for files that are being sent.
    spool: PathBuf,
    known: Mutex<Known>,
}

/// What was read.
#[derive(Debug, Default)]
struct Known {
    /// The paths of files in the data set, by the URIs of their objects.
    paths: HashMap<String, String>,
    /// The files, by those paths.
    files: BTreeMap<String, Medium>,
}

/// A file of the data set, and the path of the object with its content.
#[derive(Clone, Debug)]
struct Medium {
    object: String,
    file: NewFile,
}

// === impl MediaFiles ===

impl MediaFiles {
    /// The media of `columns`, whose addresses begin with `root`; `spool` is for those that are being sent.
    pub fn new(storage: Storage, root: String, columns: BTreeSet<String>, spool: PathBuf) -> Self {
        Self { storage, root, columns, spool, known: Mutex::default() }
    }

    /// Rows with the addresses of files in place of URIs, in the form of `datasets`. What is on the web stays there.
    pub fn in_place(self: &Arc<Self>, rows: BatchStream) -> BatchStream {
        if self.columns.is_empty() {
            return rows;
        }
        let schema = placed(&rows.schema(), &self.columns);
        let (media, placed) = (Arc::clone(self), SchemaRef::clone(&schema));
        let batches = stream::unfold(rows, |mut rows| async move { rows.next().await.map(|batch| (batch, rows)) });
        let batches = batches.then(move |batch| {
            let (media, schema) = (Arc::clone(&media), SchemaRef::clone(&placed));
            async move { media.place(batch?, schema).await }
        });
        BatchStream::of(schema, batches.boxed())
    }

    /// The store with the objects.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The files, in the order of their paths.
    pub fn files(&self) -> Vec<NewFile> {
        self.known.lock().files.values().map(|medium| medium.file.clone()).collect()
    }

    /// Copies the content of those of `files` that are media to the disk.
    ///
    /// # Errors
    /// `Conflict` for an object that is another one by now; errors of the store and of the disk.
    pub async fn fetch(&self, files: &[NewFile]) -> Result<()> {
        let fetched = stream::iter(self.media_of(files)).map(|(medium, spool)| async move {
            self.storage.download(&medium.object, &spool).await?;
            if Storage::checksum(&spool).await?.sha256 == medium.file.sha256 {
                return Ok(());
            }
            let message = format!("\"{}\" was replaced while it was published: try again", medium.object);
            Err(Error::new(ErrorKind::Conflict, message))
        });
        fetched.buffer_unordered(READS).try_collect().await
    }

    /// Removes from the disk what [`fetch`](Self::fetch) has copied.
    ///
    /// # Errors
    /// Errors of the disk.
    pub async fn forget(&self, files: &[NewFile]) -> Result<()> {
        for (_, spool) in self.media_of(files) {
            tokio::fs::remove_file(spool).await?;
        }
        Ok(())
    }

    /// The media among `files`, and where they are on the disk.
    fn media_of(&self, files: &[NewFile]) -> Vec<(Medium, PathBuf)> {
        let known = self.known.lock();
        let media = files.iter().filter_map(|file| match (known.files.get(&file.path), &file.content) {
            (Some(medium), NewContent::File(spool)) => Some((medium.clone(), spool.clone())),
            _ => None,
        });
        media.collect()
    }

    async fn place(&self, batch: RecordBatch, schema: SchemaRef) -> Result<RecordBatch> {
        self.learn(&batch).await?;
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| {
            if self.columns.contains(field.name()) { self.addresses(column) } else { Ok(Arc::clone(column)) }
        });
        let columns = columns.collect::<Result<_>>()?;
        RecordBatch::try_new(schema, columns).map_err(|err| Error::internal("put addresses in rows").with_source(err))
    }

    /// Reads the objects that a batch has URIs of, and that are not known yet.
    async fn learn(&self, batch: &RecordBatch) -> Result<()> {
        let mut uris = BTreeSet::new();
        for column in self.columns.iter().filter_map(|name| batch.column_by_name(name)) {
            let (known, found) = (self.known.lock(), Uris::of(column)?.texts);
            let new = found.iter().flatten().filter(|uri| !is_on_the_web(uri) && !known.paths.contains_key(*uri));
            uris.extend(new.map(str::to_owned));
        }
        let reads: Vec<_> = uris.into_iter().map(|uri| self.read(uri)).collect();
        let read: Vec<_> = stream::iter(reads).buffer_unordered(READS).try_collect().await?;
        let mut known = self.known.lock();
        for (uri, medium) in read {
            known.paths.insert(uri, medium.file.path.clone());
            known.files.insert(medium.file.path.clone(), medium);
        }
        if known.paths.len() > MAX_FILES {
            return Err(Error::invalid(format!(
                "there are more than {MAX_FILES} media, which is too many files for a data set: embed them"
            )));
        }
        Ok(())
    }

    /// Reads the object with a URI.
    async fn read(&self, uri: String) -> Result<(String, Medium)> {
        let object = self.storage.readable_path(&uri)?;
        let Copied { bytes, sha256 } = self.storage.digest(&object).await?;
        // Large file storage has no empty objects.
        let content = match bytes {
            0 => NewContent::Text(Bytes::new()),
            _ => NewContent::File(self.spool.join(&sha256)),
        };
        Ok((uri, Medium { file: NewFile { path: path_of(&sha256, &object), bytes, sha256, content }, object }))
    }

    fn addresses(&self, column: &ArrayRef) -> Result<ArrayRef> {
        let (uris, known) = (Uris::of(column)?, self.known.lock());
        let address = |uri: &str| match known.paths.get(uri) {
            Some(path) => format!("{}{path}", self.root),
            None => uri.to_owned(),
        };
        let addresses: StringArray = uris.texts.iter().map(|uri| uri.map(address)).collect();
        Ok(uris.replaced(place::media(BinaryArray::new_null(addresses.len()), addresses)))
    }
}

/// The path of a file: not too many are in one folder, and the ending tells readers the format.
fn path_of(sha256: &str, object: &str) -> String {
    let name = object.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let ending = ending.filter(|ending| is_ending(ending)).map(|ending| format!(".{ending}")).unwrap_or_default();
    format!("{FOLDER}/{}/{sha256}{ending}", &sha256[..2])
}

fn is_ending(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// Whether a path is one that this program gives to media.
pub fn is_ours(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_sha256 = |text: &str| text.len() == 64 && text.chars().all(|c| "0123456789abcdef".contains(c));
    let sha256 = name.split('.').next().unwrap_or_default();
    is_sha256(sha256) && path_of(sha256, name) == path
}

/// What is told about the media of a publication; `None` if it has none.
pub fn of_new(files: &[NewFile]) -> Option<PublishedMedia> {
    of(files.iter().map(|file| (file.path.as_str(), file.bytes, file.sha256.as_str())))
}

/// The same about the media in a data set.
pub fn of_there(files: &[HubFile]) -> Option<PublishedMedia> {
    let media = files.iter().filter(|file| is_ours(&file.path));
    of(media.map(|file| (file.path.as_str(), file.bytes, file.oid.text())))
}

fn of<'a>(files: impl Iterator<Item = (&'a str, u64, &'a str)>) -> Option<PublishedMedia> {
    let (mut digest, mut count, mut sum) = (Sha256::new(), 0, 0);
    for (path, bytes, oid) in files {
        digest.update(format!("{oid} {path}\n"));
        (count, sum) = (count + 1, sum + bytes);
    }
    (count > 0).then(|| PublishedMedia { files: count, bytes: sum, sha256: format!("{:x}", digest.finalize()) })
}

/// `files` in groups of which each fits on the disk.
pub fn groups(mut files: &[NewFile]) -> Vec<&[NewFile]> {
    let mut groups = Vec::new();
    while !files.is_empty() {
        let sums = files.iter().take(GROUP_FILES).scan(0, |sum, file| {
            *sum += file.bytes;
            Some(*sum)
        });
        let fit = sums.take_while(|sum| *sum <= GROUP_BYTES).count();
        let (group, rest) = files.split_at(fit.max(1));
        groups.push(group);
        files = rest;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "ab54d286335d0a2f0b5cf5a4e2c8d6a5b1b5a0c1d2e3f405162738495a6b7c8d";

    fn file(bytes: u64) -> NewFile {
        let content = NewContent::File(PathBuf::new());
        NewFile { path: String::new(), bytes, sha256: SHA256.to_owned(), content }
    }

    #[test]
    fn names_are_safe_and_recognised() {
        let check = |object: &str, ending: &str| {
            let path = path_of(SHA256, object);
            assert_eq!(path, format!("media/ab/{SHA256}{ending}"), "{object}");
            assert!(is_ours(&path), "{path}");
        };
        check("assets/d/image/a.PNG", ".png");
        check("assets/d/image/a.tar.gz", ".gz");
        check("assets/d.x/image/a", "");
        check("assets/d/image/a.", "");
        check("assets/d/image/a.ü/..", "");
        check("assets/d/image/a.what is this", "");
        for path in [
            format!("media/ac/{SHA256}.png"),
            format!("media/ab/{SHA256}.PNG"),
            format!("media/ab/x/{SHA256}.png"),
            format!("media/ab/{SHA256}.a.png"),
            "media/ab/photo.png".to_owned(),
            "media/".to_owned(),
        ] {
            assert!(!is_ours(&path), "{path}");
        }
    }

    #[test]
    fn groups_are_small() {
        let sizes = |files: &[u64]| {
            let files: Vec<_> = files.iter().copied().map(file).collect();
            groups(&files).iter().map(|group| group.len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[]), [0_usize; 0]);
        assert_eq!(sizes(&[1, GROUP_BYTES, GROUP_BYTES + 1, 1, 2]), [1, 1, 1, 2]);
        assert_eq!(sizes(&[1; GROUP_FILES + 1]), [GROUP_FILES, 1]);
    }
}

//! Downloads: retried, and resumed where they were cut, also by a later process.

use std::{
    ffi::OsString,
    io::ErrorKind as Io,
    path::{Path, PathBuf},
};

use futures::StreamExt;
use reqwest::{
    Response, StatusCode,
    header::{self, HeaderMap},
};
use tokio::{
    fs,
    io::{AsyncSeekExt, AsyncWriteExt},
};

use super::{
    failure::Failure,
    http::{Http, Retry, shown},
    request::Request,
};
use crate::error::{Context, Error, ErrorKind, Result};

/// What a download gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Downloaded {
    /// The file is the one that is known already; nothing was downloaded.
    Unchanged,
    /// It was downloaded.
    File {
        /// What identifies its content at the server: a strong entity tag, or else the time of modification.
        validator: Option<String>,
        /// The MD5 that the server states, in base64.
        md5: Option<String>,
    },
}

// === impl Http ===

impl Http {
    /// Downloads to `file`, and tells `advance` the number of received bytes so far, and the size if it is known. A file
    /// whose validator is `known` is not downloaded. What arrived before a failure stays in `file`.part, and a later
    /// download continues there if the server still has the same file.
    ///
    /// # Errors
    /// `NotFound`, `FailedPrecondition` for a URL that needs a login; `InvalidArgument` for one that may not be reached;
    /// `Unavailable` if all attempts failed.
    pub(super) async fn download(
        &self,
        request: &Request,
        file: &Path,
        known: Option<&str>,
        mut advance: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<Downloaded> {
        self.check(&request.url)?;
        let mut part = Part::open(file).await?;
        let mut retry = Retry::default();
        let downloaded = loop {
            let before = part.bytes;
            let failure = match self.attempt(request, &mut part, known, &mut advance).await {
                Ok(downloaded) => break downloaded,
                Err(failure) => failure,
            };
            let waited = retry.after(failure, part.bytes > before).await;
            waited.context(|| format!("download \"{}\"", shown(&request.url)))?;
        };
        part.close(downloaded != Downloaded::Unchanged).await?;
        Ok(downloaded)
    }

    /// Fetches what is missing of a file.
    async fn attempt(
        &self,
        request: &Request,
        part: &mut Part,
        known: Option<&str>,
        advance: &mut (impl FnMut(u64, Option<u64>) + Send),
    ) -> Result<Downloaded, Failure> {
        let mut sent = request.build(&self.client);
        match (part.bytes, &part.validator, known) {
            (1.., Some(validator), _) => {
                let range = format!("bytes={}-", part.bytes);
                sent = sent.header(header::RANGE, range).header(header::IF_RANGE, validator);
            }
            (_, _, Some(tag)) if tag.starts_with('"') => sent = sent.header(header::IF_NONE_MATCH, tag),
            (_, _, Some(date)) => sent = sent.header(header::IF_MODIFIED_SINCE, date),
            _ => {}
        }
        let response = sent.send().await.map_err(|err| Failure::of_transport(&err))?;
        match response.status() {
            StatusCode::NOT_MODIFIED if known.is_some() => return Ok(Downloaded::Unchanged),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                // The file has another size now.
                part.restart(None).await?;
                return Err(Failure::again("the rest of the file is not there".to_owned()));
            }
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            _ => return Err(Failure::of_status(&response)),
        }
        let size = part.begin(&response).await?;
        let md5 = google_md5(response.headers());
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|err| Failure::of_transport(&err))?;
            part.file.write_all(&chunk).await?;
            part.bytes += chunk.len() as u64;
            advance(part.bytes, size);
        }
        part.file.flush().await?;
        match size {
            Some(size) if size != part.bytes => {
                Err(Failure::again(format!("the file ends after {} of {size} bytes", part.bytes)))
            }
            _ => Ok(Downloaded::File { validator: part.validator.clone(), md5 }),
        }
    }
}

/// The part of a file that was downloaded, beside the place of the whole.
struct Part {
    whole: PathBuf,
    path: PathBuf,
    /// The file with the validator.
    tag: PathBuf,
    file: fs::File,
    bytes: u64,
    /// What is fetched later must be of the same file.
    validator: Option<String>,
}

// === impl Part ===

impl Part {
    /// Continues what an earlier download left, if it is known of which file that is a part.
    async fn open(whole: &Path) -> Result<Self> {
        let (path, tag) = (with(whole, ".part"), with(whole, ".part.tag"));
        let validator = fs::read_to_string(&tag).await.ok();
        let mut file = fs::File::options().create(true).write(true).truncate(validator.is_none()).open(&path).await?;
        let bytes = file.seek(std::io::SeekFrom::End(0)).await?;
        Ok(Self { whole: whole.to_owned(), path, tag, file, bytes, validator })
    }

    /// Continues with the body of a response, or starts again; gives the size of the whole file.
    async fn begin(&mut self, response: &Response) -> Result<Option<u64>, Failure> {
        let headers = response.headers();
        if response.status() == StatusCode::PARTIAL_CONTENT {
            // A proxy may know ranges, and not the condition.
            let is_same = validator(headers).is_none_or(|found| Some(found) == self.validator);
            return match content_range(headers) {
                Some((start, size)) if start == self.bytes && is_same => Ok(size),
                _ => {
                    self.restart(None).await?;
                    Err(Failure::again("the server sent another part of the file".to_owned()))
                }
            };
        }
        self.restart(validator(headers)).await?;
        Ok(response.content_length())
    }

    async fn restart(&mut self, validator: Option<String>) -> std::io::Result<()> {
        // The bytes of one file must never stand beside the validator of another.
        remove(&self.tag).await?;
        self.bytes = 0;
        self.file.set_len(0).await?;
        self.file.rewind().await?;
        if let Some(validator) = &validator {
            fs::write(&self.tag, validator).await?;
        }
        self.validator = validator;
        Ok(())
    }

    /// Puts the whole file into its place, or removes what there is of it.
    async fn close(self, is_whole: bool) -> Result<()> {
        remove(&self.tag).await?;
        if is_whole {
            fs::rename(&self.path, &self.whole).await?;
        } else {
            remove(&self.path).await?;
        }
        Ok(())
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

async fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path).await {
        Err(err) if err.kind() != Io::NotFound => Err(err),
        _ => Ok(()),
    }
}

/// The first byte of a partial response, and the size of the whole file, if the server knows it.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (bytes, size) = range.strip_prefix("bytes ")?.split_once('/')?;
    Some((bytes.split_once('-')?.0.parse().ok()?, size.parse().ok()))
}

/// A strong entity tag, or else the time of modification.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    text(header::ETAG).filter(|tag| !tag.starts_with("W/")).or_else(|| text(header::LAST_MODIFIED))
}

/// The MD5 that storage of Google states, in base64.
fn google_md5(headers: &HeaderMap) -> Option<String> {
    let stated = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let mut hashes = stated.flat_map(|value| value.split(','));
    hashes.find_map(|hash| Some(hash.trim().strip_prefix("md5=")?.to_owned()))
}

/// An error for a file whose content is not what the server states.
pub(super) fn spoiled(what: &str) -> Error {
    let text = format!("download \"{what}\": what arrived does not have the stated checksum: try again");
    Error::new(ErrorKind::Unavailable, text)
}

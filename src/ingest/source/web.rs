//! Files on web servers.

use std::path::PathBuf;

use url::Url;

use super::{download::Download, path};
use crate::{
    error::{Error, Result},
    hub,
};

/// Downloads the file at `url`.
pub(super) async fn download(url: &Url, download: Download<'_>) -> Result<PathBuf> {
    let name = hub::file_name(url);
    let name = name.ok_or_else(|| Error::invalid(format!("\"{}\" names no file", hub::shown(url))))?;
    let file = download.folder.join(path::inside(&name)?);
    std::fs::create_dir_all(download.folder)?;
    let progress = download.progress;
    progress.phase("download", "bytes", None);
    let mut done = 0;
    let advance = |bytes, total: Option<u64>| {
        done += bytes;
        match total {
            Some(total) => progress.set(done, total),
            None => progress.advance(bytes),
        }
    };
    progress.unless_cancelled(download.outside.http.download(url, &file, advance)).await?;
    Ok(file)
}

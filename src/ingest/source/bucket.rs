//! Objects in buckets.

use std::path::PathBuf;

use futures::{StreamExt, TryStreamExt, stream};
use url::Url;

use super::{download::Download, path};
use crate::{
    error::{Error, ErrorKind, Result},
    hub,
    storage::{Access, Storage},
};

/// The number of concurrent downloads.
const DOWNLOADS: usize = 8;

/// The bucket and the key of `s3://BUCKET/KEY`.
pub(super) fn parse(url: &Url) -> Result<(String, String)> {
    let invalid = || Error::invalid(format!("\"{}\" is not a bucket: write s3://BUCKET/PREFIX", hub::shown(url)));
    let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(invalid)?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.port().is_some() {
        return Err(invalid());
    }
    let key = percent_encoding::percent_decode_str(url.path()).decode_utf8().map_err(|_| invalid())?;
    Ok((bucket.to_owned(), key.trim_matches('/').to_owned()))
}

/// Checks that there are credentials.
///
/// # Errors
/// `FailedPrecondition` with the variables to set.
pub(super) fn check_access(access: &Access) -> Result<()> {
    if access.key_id.is_empty() {
        return Err(Error::precondition(
            "sources on S3 need credentials: start the server with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and \
             AWS_ENDPOINT_URL for a store other than Amazon S3",
        ));
    }
    Ok(())
}

/// Downloads the object `key`, or else all objects below it; gives the file or folder.
pub(super) async fn download(bucket: &Storage, key: &str, download: Download<'_>) -> Result<PathBuf> {
    let Download { folder, progress, .. } = download;
    progress.phase("list objects", "objects", None);
    let objects = progress.unless_cancelled(bucket.list(key)).await?;
    std::fs::create_dir_all(folder)?;
    if objects.is_empty() {
        return one(bucket, key, download).await;
    }
    let objects = without_markers(objects, key);
    progress.phase("download", "bytes", Some(objects.iter().map(|(_, bytes)| bytes).sum()));
    let downloads = stream::iter(objects).map(|(object, _)| async move {
        let name = object.strip_prefix(key).unwrap_or(&object).trim_start_matches('/');
        let file = folder.join(path::inside(name)?);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent)?;
        }
        progress.advance(bucket.download(&object, &file).await?);
        Ok::<_, Error>(())
    });
    progress.unless_cancelled(downloads.buffer_unordered(DOWNLOADS).try_collect::<()>()).await?;
    Ok(folder.to_path_buf())
}

/// The objects without the empty ones that stand for folders: `key` itself, or a name that others continue.
fn without_markers(mut objects: Vec<(String, u64)>, key: &str) -> Vec<(String, u64)> {
    objects.sort();
    let is_folder = |(path, bytes): &(String, u64)| {
        let inside = format!("{path}/");
        let next = objects.partition_point(|(other, _)| *other < inside);
        *bytes == 0 && (path == key || objects.get(next).is_some_and(|(other, _)| other.starts_with(&inside)))
    };
    objects.iter().filter(|object| !is_folder(object)).cloned().collect()
}

async fn one(bucket: &Storage, key: &str, download: Download<'_>) -> Result<PathBuf> {
    let name = key.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Err(Error::not_found("the bucket contains no objects"));
    }
    let file = download.folder.join(path::inside(name)?);
    download.progress.phase("download", "bytes", None);
    match download.progress.unless_cancelled(bucket.download(key, &file)).await {
        Ok(_) => Ok(file),
        Err(err) if err.kind() == ErrorKind::NotFound => {
            Err(Error::not_found(format!("there is no object \"{key}\", nor one below it")))
        }
        Err(err) => Err(err),
    }
}

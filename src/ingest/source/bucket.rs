//! Objects in buckets.

use std::sync::Arc;

use url::Url;

use super::item::{Item, Place};
use crate::{
    error::{Error, Result},
    hub,
    jobs::Progress,
    storage::{Access, Object, Storage},
};

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

/// The object `key`, or else all objects below it.
pub(super) async fn items(bucket: &Arc<Storage>, key: &str, progress: &Progress) -> Result<Vec<Item>> {
    progress.phase("list objects", "objects", None);
    let objects = progress.unless_cancelled(bucket.objects(key)).await?;
    if !objects.is_empty() {
        let inside =
            |object: &Object| object.path.strip_prefix(key).unwrap_or(&object.path).trim_start_matches('/').to_owned();
        // As in folders of this machine.
        let is_hidden = |object: &Object| inside(object).split('/').any(|part| part.starts_with('.'));
        let objects = without_markers(objects, key).into_iter().filter(|object| !is_hidden(object));
        return Ok(objects.map(|object| item(bucket, inside(&object), object)).collect());
    }
    if key.is_empty() {
        return Err(Error::not_found("the bucket contains no objects"));
    }
    match progress.unless_cancelled(bucket.object(key)).await? {
        Some(object) => Ok(vec![item(bucket, key.rsplit('/').next().unwrap_or(key).to_owned(), object)]),
        None => Err(Error::not_found(format!("there is no object \"{key}\", nor one below it"))),
    }
}

fn item(bucket: &Arc<Storage>, path: String, object: Object) -> Item {
    let Object { path: key, bytes, tag } = object;
    Item { path, bytes: Some(bytes), tag, split: None, place: Place::Bucket(Arc::clone(bucket), key) }
}

/// The objects without the empty ones that stand for folders: `key` itself, or a name that others continue.
fn without_markers(mut objects: Vec<Object>, key: &str) -> Vec<Object> {
    objects.sort_by(|a, b| a.path.cmp(&b.path));
    let is_folder = |object: &Object| {
        let inside = format!("{}/", object.path);
        let next = objects.partition_point(|other| other.path < inside);
        let continued = objects.get(next).is_some_and(|other| other.path.starts_with(&inside));
        object.bytes == 0 && (object.path == key || continued)
    };
    objects.iter().filter(|object| !is_folder(object)).cloned().collect()
}

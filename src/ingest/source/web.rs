//! Files on web servers.

use url::Url;

use super::{
    item::{Item, Place},
    outside::Outside,
};
use crate::{
    error::{Error, Result},
    hub,
};

/// The file at `url`.
pub(super) fn item(url: &Url, outside: &Outside) -> Result<Item> {
    let name = hub::file_name(url);
    let path = name.ok_or_else(|| Error::invalid(format!("\"{}\" names no file", hub::shown(url))))?;
    let place = Place::Web(outside.http.clone(), url.clone());
    Ok(Item { path, bytes: None, tag: None, split: None, place })
}

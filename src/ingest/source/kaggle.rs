//! Data sets on Kaggle: `kaggle://OWNER/SLUG`, or `kaggle://OWNER/SLUG@VERSION`.

use std::sync::Arc;

use super::item::{Item, Place};
use crate::{
    error::{Error, Result},
    hub::Kaggle,
};

/// The name `OWNER/SLUG` and the version.
pub(super) fn parse(text: &str) -> Result<(String, Option<u64>)> {
    let invalid = || Error::invalid(format!("\"kaggle://{text}\" is not a data set: write kaggle://OWNER/SLUG"));
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version.parse().map_err(|_| invalid())?)),
        None => (text, None),
    };
    let is_part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !part.starts_with('.')
    };
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [owner, slug] if is_part(owner) && is_part(slug) => Ok((name.to_owned(), version)),
        _ => Err(invalid()),
    }
}

/// The archive of a version, by default the current one; gives its number too.
pub(super) async fn item(name: &str, version: Option<u64>, kaggle: &Arc<Kaggle>) -> Result<(String, Item)> {
    let version = kaggle.version(name, version).await?;
    let number = version.number.to_string();
    let slug = name.rsplit('/').next().unwrap_or(name);
    let item = Item {
        path: format!("{slug}.zip"),
        bytes: None,
        tag: Some(number.clone()),
        split: None,
        place: Place::Kaggle(Arc::clone(kaggle), version),
    };
    Ok((number, item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_sets_have_an_owner() {
        assert_eq!(parse("a/b-c").unwrap(), ("a/b-c".into(), None));
        assert_eq!(parse("a/b@3").unwrap(), ("a/b".into(), Some(3)));
        for text in ["", "a", "a/", "/b", "a/b/c", "a/b@x", "a/..", "a/b?x", "a b/c"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

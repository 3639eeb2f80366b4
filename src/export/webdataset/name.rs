//! Names of members: a key up to the first dot of its last part, and a field behind it.

use sha2::{Digest, Sha256};

/// The length in bytes up to which an id is a key as it is.
const MAX_KEY: usize = 200;
/// What is kept of an id that cannot be a key: the rest is its digest.
const KEPT: usize = 64;
/// The endings by which readers know what to decode.
const ENDINGS: [&str; 24] = [
    "jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "mp3", "wav", "flac", "ogg", "opus", "m4a",
    "mp4", "mov", "webm", "mkv", "avi", "bin", "npy", "npz", "pth",
];

/// The key of a sample. An id of other characters than letters, digits, `_` and `-` (and, with `slashes`, names of folders),
/// or a long one, becomes a key with a digest of it, so that no two ids have one key.
pub fn key(id: &str, slashes: bool) -> String {
    let fits = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let is_name = |part: &str| !part.is_empty() && part.chars().all(fits);
    let is_key = if slashes { id.split('/').all(is_name) } else { is_name(id) };
    if is_key && id.len() <= MAX_KEY && !is_passed_over(id) && !ends_with_digest(id) {
        return id.to_owned();
    }
    let mut kept = String::new();
    for c in id.chars().map(|c| if fits(c) { c } else { '_' }) {
        if kept.len() + c.len_utf8() > KEPT {
            break;
        }
        kept.push(c);
    }
    let digest = format!("{:x}", Sha256::digest(id));
    format!("{kept}-{}", &digest[..16])
}

/// Whether an id looks like the key of another one.
fn ends_with_digest(id: &str) -> bool {
    let is_digit = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
    id.rsplit_once('-').is_some_and(|(_, end)| end.len() == 16 && end.bytes().all(is_digit))
}

/// The key and the field of a member; `None` if it has none.
pub fn split(name: &str) -> Option<(&str, &str)> {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = start + name[start..].find('.')?;
    Some((&name[..dot], &name[dot + 1..]))
}

/// Whether readers know what to do with a field by its ending.
pub fn has_ending(field: &str) -> bool {
    let ending = field.rsplit('.').next().unwrap_or_default();
    ENDINGS.contains(&ending)
}

/// Readers take what is below such folders for metadata.
fn is_passed_over(id: &str) -> bool {
    let first = id.split('/').next().unwrap_or_default();
    id.contains('/') && first.starts_with("__") && first.ends_with("__")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_ids_have_one_key() {
        let long = "x".repeat(201);
        let taken = key("a.b", false);
        let ids = ["a.b", &taken, "a_b", "a b", "a/b", "", ".", "ä", "A.b", &long, &long[..200], "__m__/1"];
        let keys: HashSet<_> = ids.iter().map(|id| key(id, false)).collect();
        assert_eq!(keys.len(), ids.len());
        for key in &keys {
            assert!(!key.contains('.') && !key.contains('/') && key.len() <= 200, "{key}");
        }
        for same in ["a_b", "ä", "0-1", &long[..200]] {
            assert_eq!(key(same, false), same);
        }
        assert_eq!(key("a/b", true), "a/b");
        for other in ["../b", "a//b", "/a", "__m__/1", "a/.b"] {
            assert_ne!(key(other, true), other);
        }
    }

    #[test]
    fn names_are_split_like_readers_do_it() {
        assert_eq!(split("a/b.0.jpg"), Some(("a/b", "0.jpg")));
        assert_eq!(split("a.b/c.json"), Some(("a.b/c", "json")));
        assert_eq!(split("a"), None);
    }
}

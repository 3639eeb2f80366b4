//! Names of files that come from outside.

use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};

/// The longest part of a path, in bytes, that file systems take.
const MAX_PART_BYTES: usize = 255;

/// A relative path of `name` that stays in the folder it is joined to.
///
/// # Errors
/// `InvalidArgument` for an absolute path, one that leads out of its folder, and one that no file system takes.
pub(super) fn inside(name: &str) -> Result<PathBuf> {
    let refused = |reason: &str| {
        Err(Error::invalid(format!("\"{}\" is not a valid name of a file: {reason}", name.escape_debug())))
    };
    if name.is_empty() {
        return refused("it is empty");
    }
    if name.contains(|c: char| c.is_control()) {
        return refused("it contains a control character");
    }
    let path = Path::new(name);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) || name.contains('\\') {
        return refused("it leads out of its folder");
    }
    if path.components().any(|part| part.as_os_str().len() > MAX_PART_BYTES) {
        return refused("a part of it is longer than 255 bytes");
    }
    Ok(path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for name in ["a.csv", "a/b.csv", "..a", "a/...", "ä 🦆.csv"] {
            assert_eq!(inside(name).unwrap(), Path::new(name));
        }
        let long = "x".repeat(256);
        for name in ["", "/a", "..", "a/../b", "./a", "../a", "a\0b", "a\nb", "..\\a", "C:\\a", long.as_str()] {
            assert!(inside(name).is_err(), "{name}");
        }
    }
}

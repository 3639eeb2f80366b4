//! Names of entries.

use std::path::{Component, PathBuf};

use crate::{
    error::{Error, Result},
    ingest::source::path,
};

/// Every `/` may cost a folder, and the operating system has a limit of 4096.
const MAX_BYTES: usize = 1024;

/// Where the entry `name` goes, relative to the folder; `None` for the folder itself, hidden files, and what macOS
/// adds.
///
/// # Errors
/// `InvalidArgument` for names that lead elsewhere, and names that no file system takes.
pub(super) fn place(name: &str) -> Result<Option<PathBuf>> {
    let mut relative = name;
    while let Some(rest) = relative.strip_prefix("./") {
        relative = rest;
    }
    if name.len() > MAX_BYTES {
        let start: String = name.escape_debug().take(100).collect();
        return Err(Error::invalid(format!("the name \"{start}…\" is longer than {MAX_BYTES} bytes")));
    }
    if relative == "." || (relative.is_empty() && !name.is_empty()) {
        return Ok(None);
    }
    if relative.as_bytes().get(1) == Some(&b':') && relative.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Error::invalid(format!(
            "\"{}\" is not a valid name of a file: it starts with a drive",
            name.escape_debug()
        )));
    }
    let path: PathBuf = path::inside(relative)?.components().collect();
    Ok(if is_unwanted(&path) { None } else { Some(path) })
}

fn is_unwanted(path: &std::path::Path) -> bool {
    let hidden = |part: Component<'_>| part.as_os_str().as_encoded_bytes().starts_with(b".");
    path.starts_with("__MACOSX") || path.components().any(hidden)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn names_have_a_place() {
        for (name, expected) in
            [("a.csv", "a.csv"), ("./a/b.csv", "a/b.csv"), ("././a", "a"), ("a//b/", "a/b"), ("a/./b", "a/b")]
        {
            assert_eq!(place(name).unwrap().as_deref(), Some(Path::new(expected)), "{name}");
        }
    }

    #[test]
    fn hidden_names_have_none() {
        for name in ["./", ".", ".DS_Store", "a/.git/config", "a/._b.jpg", "__MACOSX/a/._b.jpg", "./.a"] {
            assert_eq!(place(name).unwrap(), None, "{name}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long_part = "x".repeat(256);
        let long = "x/".repeat(600);
        for name in [
            "",
            "..",
            "../a",
            "a/../../b",
            "./../a",
            ".git/../../a",
            "/etc/passwd",
            ".//etc/passwd",
            "C:/a",
            "c:a",
            "C:\\a",
            "..\\a",
            "a\\b",
            "a\0b",
            "a\nb",
            "a\u{7f}",
            &long_part,
            &long,
        ] {
            assert!(place(name).is_err(), "{name}");
        }
    }
}

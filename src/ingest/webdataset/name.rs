//! Names of members.

/// The key and the field of a member: what is in front of the first dot of the last part of its name, and what follows.
/// `None` for names without a dot, hidden files, and metadata (`__NAME__` and what is below it).
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    let first = name.split('/').next().unwrap_or_default();
    if first.len() >= 4 && first.starts_with("__") && first.ends_with("__") {
        return None;
    }
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name[start..].find('.').filter(|dot| *dot > 0)?;
    Some((&name[..start + dot], &name[start + dot + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_first_dot_of_the_last_part() {
        for (name, key, field) in [
            ("1.jpg", "1", "jpg"),
            ("a/1.jpg", "a/1", "jpg"),
            ("./1.jpg", "./1", "jpg"),
            ("/1.jpg", "/1", "jpg"),
            ("v1.0/1.left.JPG", "v1.0/1", "left.JPG"),
            ("1..jpg", "1", ".jpg"),
            ("1.", "1", ""),
            ("ä/ü.jpg", "ä/ü", "jpg"),
            ("__1.jpg", "__1", "jpg"),
            ("a/__b__.jpg", "a/__b__", "jpg"),
            ("___.jpg", "___", "jpg"),
        ] {
            assert_eq!(split(name), Some((key, field)), "{name}");
        }
    }

    #[test]
    fn other_names_are_no_parts_of_samples() {
        for name in
            ["", "README", "a.b/c", ".jpg", "a/.DS_Store", "a/._1.jpg", "__meta__", "__a.b__", "__m__/1.jpg", "a.b/"]
        {
            assert_eq!(split(name), None, "{name}");
        }
    }
}

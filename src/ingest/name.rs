//! Names of data sets.

use deunicode::deunicode;
use heck::ToSnakeCase;

use crate::error::{Error, Result};

/// Checks the name of a data set.
///
/// # Errors
/// `InvalidArgument` with the rule for names.
pub fn check_dataset(name: &str) -> Result<()> {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && name.len() <= 64 && name.chars().all(sound) {
        return Ok(());
    }
    let text = "use 1 to 64 lower case letters, digits and underscores, a letter first";
    Err(Error::invalid(format!("\"{name}\" is not a valid name of a data set: {text}")))
}

/// A name for a data set from any text: in ASCII letters, with underscores between its words.
pub fn snake_case(text: &str) -> String {
    deunicode(text).to_snake_case()
}

/// The name of a file without its extension, and without `.gz` after it.
pub(super) fn stem(name: &str) -> &str {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// The split in the name of a file or folder, as in `instances_train2017.json`, if it is unambiguous.
pub(super) fn split_in(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let mut splits = name.split(|letter: char| !letter.is_alphabetic()).filter_map(|word| match word {
        "train" => Some("train"),
        "val" => Some("val"),
        "test" => Some("test"),
        _ => None,
    });
    let first = splits.next()?;
    splits.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_snake_case() {
        for (text, name) in [
            ("Your Dataset Name", "your_dataset_name"),
            ("cocoKarpathy", "coco_karpathy"),
            ("HuggingFaceM4-COCO", "hugging_face_m4_coco"),
            ("Ünïcode Dätá 2024!", "unicode_data_2024"),
            ("a__b--c", "a_b_c"),
            ("COCO", "coco"),
        ] {
            assert_eq!(snake_case(text), name);
        }
    }

    #[test]
    fn extensions_are_no_part_of_a_name() {
        for (file, name) in [("a.csv", "a"), ("a.csv.gz", "a"), ("a.1.csv", "a.1"), ("a", "a"), ("", "")] {
            assert_eq!(stem(file), name);
        }
    }
}

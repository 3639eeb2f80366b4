//! The splits that paths name, by the rules of the library `datasets`
//! (<https://huggingface.co/docs/hub/datasets-file-names-and-splits>).

/// The words for each split.
const WORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// The splits of files; `None` for those that belong to none. If no path names a split, all are `train`.
pub(super) fn of(paths: &[&str]) -> Vec<Option<String>> {
    for rule in [of_shard, of_conversion, of_folders, of_name] {
        let found: Vec<_> = paths.iter().map(|path| rule(path)).collect();
        if found.iter().any(Option::is_some) {
            return found;
        }
    }
    vec![Some("train".to_owned()); paths.len()]
}

/// Whether a text, such as the name of a folder, names a split.
pub fn names_split(text: &str) -> bool {
    of_text(text).is_some()
}

/// `data/<split>-00000-of-00001.parquet`
fn of_shard(path: &str) -> Option<String> {
    let name = path.strip_prefix("data/")?;
    let (split, rest) = name.split_once('-')?;
    let (number, rest) = rest.split_once("-of-")?;
    let is_split = !split.is_empty() && split.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_split && digits(number) && rest.get(..5).is_some_and(digits)).then(|| split.to_owned())
}

/// `<config>/<split>/0000.parquet`, in the branch where the Hub keeps its own conversions.
fn of_conversion(path: &str) -> Option<String> {
    let [_, split, name] = path.split('/').collect::<Vec<_>>()[..] else { return None };
    let number = name.strip_suffix(".parquet")?;
    (number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| split.trim_start_matches("partial-").to_owned())
}

pub(super) fn of_folders(path: &str) -> Option<String> {
    let (folders, _) = path.rsplit_once('/')?;
    folders.split('/').find_map(of_text)
}

fn of_name(path: &str) -> Option<String> {
    of_text(path.rsplit('/').next().unwrap_or(path))
}

/// The first split with a word that stands alone in `text`.
fn of_text(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let parts: Vec<_> = text.split(|c: char| !c.is_alphabetic()).collect();
    let named = WORDS.iter().find(|(_, words)| parts.iter().any(|part| words.contains(part)));
    named.map(|(split, _)| (*split).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(paths: &[&str], splits: &[&str]) {
        let found = of(paths);
        let found: Vec<_> = found.iter().map(|split| split.as_deref().unwrap_or("-")).collect();
        assert_eq!(found, splits);
    }

    #[test]
    fn paths_name_splits() {
        check(&["a.csv", "b/c.csv"], &["train", "train"]);
        check(&["train.csv", "test.csv", "my_val-2.csv", "x.csv"], &["train", "test", "validation", "-"]);
        check(&["training/a.csv", "dev/train.csv"], &["train", "validation"]);
        check(&["data/restval-00000-of-00002.parquet", "data/notes.csv"], &["restval", "-"]);
        check(&["default/restval/0000.parquet", "default/train/0001.parquet"], &["restval", "train"]);
        check(&["contest.csv", "trainer.csv", "values.csv"], &["train", "train", "train"]);
    }
}

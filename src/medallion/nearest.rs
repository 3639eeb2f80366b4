//! "Did you mean": the known word that is nearest to a mistyped one.

/// Words with a larger edit distance are not suggested.
const MAX_DISTANCE: usize = 2;

/// The candidate that `word` was probably meant to be, ignoring case.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let distances =
        candidates.into_iter().map(|candidate| (strsim::levenshtein(&word, &candidate.to_lowercase()), candidate));
    distances.filter(|(distance, _)| *distance <= MAX_DISTANCE).min().map(|(_, candidate)| candidate)
}

/// `; did you mean "…"`, or nothing.
pub(super) fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|candidate| format!("; did you mean \"{candidate}\"")).unwrap_or_default()
}

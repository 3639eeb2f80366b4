//! What of a source is read, and what becomes of the rows: an ingest that is repeated does only what is missing.
//!
//! | mode | nothing has changed | files were added | files were changed, or other limits set |
//! |---|---|---|---|
//! | append | nothing | the new files are appended | of all rows, those that the table does not have are added |
//! | merge | nothing | the new files are merged | the changed files are merged |
//! | replace | nothing | everything is replaced | everything is replaced |
//!
//! Merge and replace do this if the earlier ingest had the same mode; else they read everything.
//!
//! Rows that were deleted from the source stay in the table, except with replace. If somebody else has written the table
//! since, replace and merge read everything again. If the table is gone, everything is read as if for the first time; if it
//! was rolled back, append adds the rows that it does not have.

use std::collections::BTreeSet;

use super::{coco_rows::Boxes, earlier::Earlier, format::Format, load::Mode};
use crate::lake::standing::Standing;

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: all of it was.
    Nothing,
    /// Some data files, by their numbers.
    Read {
        /// What becomes of the rows.
        mode: Mode,
        /// Whether each file is read.
        files: Vec<bool>,
    },
}

/// A source as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// Its format.
    pub format: Format,
    /// What identifies the rows of each data file.
    pub rows: &'a [String],
    /// What identifies its other files, if they are read.
    pub others: Option<&'a str>,
    /// The limit of rows.
    pub max_rows: Option<u64>,
    /// The form of boxes that is stated.
    pub boxes: Boxes,
}

/// What is to be done in `mode`.
pub fn plan(mode: &Mode, now: Now<'_>, earlier: Option<(&Earlier, Standing)>) -> Plan {
    let all = |mode: &Mode| Plan::Read { mode: mode.clone(), files: vec![true; now.rows.len()] };
    let (earlier, standing) = match earlier {
        Some((_, Standing::Reverted)) if *mode == Mode::Append => return all(&Mode::Difference),
        None | Some((_, Standing::Gone | Standing::Reverted)) => return all(mode),
        Some(earlier) => earlier,
    };
    let present: BTreeSet<_> = now.rows.iter().collect();
    let added: Vec<_> = now.rows.iter().map(|rows| !earlier.loaded.contains(rows)).collect();
    let nothing_new = !added.contains(&true)
        && (now.others == earlier.others.as_deref() || !now.format.is_whole())
        && now.max_rows == earlier.max_rows
        && now.boxes == earlier.boxes;
    let nothing_gone = earlier.loaded.iter().all(|rows| present.contains(rows));
    // Of limited files, and of those that belong together, no part stands for itself; nor if what was read is read in
    // another way now.
    let in_parts =
        !now.format.is_whole() && now.max_rows.is_none() && earlier.max_rows.is_none() && now.boxes == earlier.boxes;
    // What merge and replace have left out, or done to other rows, append has not.
    let is_settled = standing == Standing::Untouched && *mode == earlier.mode;
    match mode {
        Mode::Replace if nothing_new && nothing_gone && is_settled => Plan::Nothing,
        Mode::Merge { .. } if nothing_new && is_settled => Plan::Nothing,
        Mode::Append | Mode::Difference if nothing_new => Plan::Nothing,
        Mode::Merge { .. } if in_parts && is_settled => Plan::Read { mode: mode.clone(), files: added },
        Mode::Replace | Mode::Merge { .. } => all(mode),
        Mode::Append | Mode::Difference if in_parts && nothing_gone => Plan::Read { mode: Mode::Append, files: added },
        // Rows of unchanged files count too: the table may have equal ones of theirs only.
        Mode::Append | Mode::Difference => all(&Mode::Difference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::SnapshotId, ingest::load::WhenMatched};

    fn earlier(mode: Mode, loaded: &[&str], max_rows: Option<u64>) -> Earlier {
        Earlier {
            source: String::new(),
            revision: None,
            landing: String::new(),
            format: Format::Parquet,
            mode,
            items: Vec::new(),
            files: Vec::new(),
            loaded: loaded.iter().map(|rows| (*rows).to_owned()).collect(),
            others: None,
            max_rows,
            boxes: Boxes::Inferred,
            tables: Vec::new(),
            snapshot_id: SnapshotId(1),
            committed: true,
        }
    }

    fn merge() -> Mode {
        Mode::Merge { key: vec!["id".into()], when_matched: WhenMatched::Update }
    }

    #[track_caller]
    fn check(
        mode: &Mode,
        rows: &[&str],
        limits: [Option<u64>; 2],
        standing: Standing,
        expected: Option<(Mode, &[bool])>,
    ) {
        let rows: Vec<_> = rows.iter().map(|rows| (*rows).to_owned()).collect();
        let now =
            Now { format: Format::Parquet, rows: &rows, others: None, max_rows: limits[1], boxes: Boxes::Inferred };
        let planned = plan(mode, now, Some((&earlier(mode.clone(), &["a", "b"], limits[0]), standing)));
        let expected = expected.map_or(Plan::Nothing, |(mode, files)| Plan::Read { mode, files: files.to_vec() });
        assert_eq!(planned, expected);
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        use Standing::{Gone, Reverted, Touched, Untouched};
        const NO: [Option<u64>; 2] = [None; 2];
        for mode in [Mode::Append, Mode::Replace, merge()] {
            check(&mode, &["a", "b"], NO, Untouched, None);
            check(&mode, &["a", "b"], NO, Gone, Some((mode.clone(), &[true, true])));
        }
        check(&Mode::Append, &["a", "b"], NO, Reverted, Some((Mode::Difference, &[true, true])));
        check(&Mode::Append, &["a", "b"], NO, Touched, None);
        check(&Mode::Replace, &["a", "b"], NO, Touched, Some((Mode::Replace, &[true, true])));
        check(&merge(), &["a", "b"], NO, Touched, Some((merge(), &[true, true])));
        check(&Mode::Append, &["a", "b", "c"], NO, Touched, Some((Mode::Append, &[false, false, true])));
        check(&Mode::Append, &["a", "c"], NO, Touched, Some((Mode::Difference, &[true, true])));
        check(&Mode::Append, &["a"], NO, Touched, None);
        check(&merge(), &["a", "c"], NO, Untouched, Some((merge(), &[false, true])));
        let adding = Mode::Merge { key: vec!["id".into()], when_matched: WhenMatched::DoNothing };
        let merged = earlier(merge(), &["a"], None);
        let now = Now {
            format: Format::Parquet,
            rows: &["a".to_owned()],
            others: None,
            max_rows: None,
            boxes: Boxes::Inferred,
        };
        let everything = Plan::Read { mode: adding.clone(), files: vec![true] };
        assert_eq!(plan(&adding, now, Some((&merged, Untouched))), everything);
        check(&Mode::Replace, &["a"], NO, Untouched, Some((Mode::Replace, &[true])));
        let rows = ["a".to_owned()];
        let now = Now { format: Format::Parquet, rows: &rows, others: None, max_rows: None, boxes: Boxes::Inferred };
        let appended = earlier(Mode::Append, &["a"], None);
        let replaced = Plan::Read { mode: Mode::Replace, files: vec![true] };
        assert_eq!(plan(&Mode::Replace, now, Some((&appended, Untouched))), replaced);
        let rows = ["a".to_owned(), "b".to_owned()];
        let stated = Now { format: Format::Parquet, rows: &rows, others: None, max_rows: None, boxes: Boxes::Xyxy };
        let everything = Plan::Read { mode: Mode::Difference, files: vec![true, true] };
        assert_eq!(plan(&Mode::Append, stated, Some((&appended, Untouched))), everything);
        check(&Mode::Append, &["a", "b"], [Some(5); 2], Touched, None);
        check(&Mode::Append, &["a", "b"], [Some(5), None], Touched, Some((Mode::Difference, &[true, true])));
    }
}

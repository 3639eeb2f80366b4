//! The text of an annotation file, with what is odd about it, and the numbers of what it says.

use std::collections::BTreeSet;

use super::annotation::Line;
use super::category::Category;
use super::plan::{Oddity, Order, Sequence};
use super::summary::Counts;
use crate::dice::Dice;

/// How many percent of the lines end with a comma, where some do.
const COMMAS: u32 = 4;

/// The text of the file. Counts the lines that end with a comma; the first one does, if any.
pub(super) fn text(mut lines: Vec<Line>, sequence: &Sequence, counts: &mut Counts, dice: &mut Dice) -> String {
    match sequence.order {
        Order::Frames => {}
        Order::Targets => lines.sort_by_key(|line| (line.target, line.frame)),
        Order::Shuffled => dice.shuffle(&mut lines),
    }
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        text.push_str(&line.to_string());
        if sequence.has(Oddity::TrailingCommas) && (index == 0 || dice.chance(COMMAS)) {
            text.push(',');
            counts.trailing_commas += 1;
        }
        text.push('\n');
    }
    if sequence.has(Oddity::BlankLastLine) {
        text.push('\n');
    }
    text
}

/// The numbers of a sequence, but for the flaws of its text.
pub(super) fn count(frames: u32, lines: &[Line]) -> Counts {
    let number = |counts: fn(&Line) -> bool| lines.iter().filter(|line| counts(line)).count() as u64;
    let counted = || lines.iter().filter(|line| line.counts());
    let named: BTreeSet<u32> = lines.iter().map(|line| line.frame).collect();
    let tracks: BTreeSet<u32> = counted().map(|line| line.target).collect();
    let mut counts = Counts {
        frames: u64::from(frames),
        lines: lines.len() as u64,
        counted_boxes: number(Line::counts),
        tracks: tracks.len() as u64,
        ignored_lines: number(|line| line.category == Category::Ignored),
        other_lines: number(|line| line.category == Category::Others),
        unscored_lines: number(|line| line.category.counts() && !line.scored),
        empty_frames: u64::from(frames) - named.len() as u64,
        ..Counts::default()
    };
    for line in counted() {
        *counts.boxes_by_category.entry(line.category.id()).or_default() += 1;
    }
    counts
}

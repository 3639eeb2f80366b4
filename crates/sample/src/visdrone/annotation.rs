//! The lines of an annotation file, and how what is seen in a frame becomes some.

use std::collections::BTreeMap;
use std::fmt;

use super::cast::Body;
use super::category::Category;
use super::shot::Sighting;
use crate::canvas::Rect;

/// Who comes as the sixth gets the score 0, if one is to have it.
const UNSCORED: u32 = 5;

/// One line: one target in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The number of the frame, from 1.
    pub(super) frame: u32,
    /// The number of the target in its sequence, from 0.
    pub(super) target: u32,
    /// Left, top, width and height in pixels.
    pub(super) bbox: [i32; 4],
    /// Whether the score is 1.
    pub(super) scored: bool,
    /// The category.
    pub(super) category: Category,
    /// 0 for whole targets, 1 if a part lies outside of the frame.
    pub(super) truncation: u8,
    /// 0 for less than one percent, 1 for up to a half, 2 for more.
    pub(super) occlusion: u8,
}

/// Gives the targets of a sequence their numbers, in the order in which they come.
#[derive(Debug)]
pub(super) struct Annotator {
    /// By the numbers of bodies.
    targets: BTreeMap<usize, u32>,
    next: u32,
    /// The ignored region, and its target.
    ignored: Option<(Rect, u32)>,
    /// Whether somebody is still to get the score 0.
    seeks_unscored: bool,
    unscored: Option<u32>,
}

// === impl Line ===

impl Line {
    /// Whether it counts in evaluations.
    pub(super) fn counts(&self) -> bool {
        self.scored && self.category.counts()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frame, target, bbox: [left, top, width, height], scored, category, truncation, occlusion } = self;
        let (score, category) = (u8::from(*scored), category.id());
        write!(f, "{frame},{target},{left},{top},{width},{height},{score},{category},{truncation},{occlusion}")
    }
}

// === impl Annotator ===

impl Annotator {
    /// For a sequence with or without an ignored region, and with or without a target whose score is 0.
    pub(super) fn new(region: Option<Rect>, unscored: bool) -> Self {
        let next = u32::from(region.is_some());
        let ignored = region.map(|region| (region, 0));
        Self { targets: BTreeMap::new(), next, ignored, seeks_unscored: unscored, unscored: None }
    }

    /// The lines of a frame.
    pub(super) fn lines(&mut self, frame: u32, bodies: &[Body], sightings: &[Option<Sighting>]) -> Vec<Line> {
        let mut lines: Vec<Line> =
            self.ignored.map(|(region, target)| ignored_line(frame, target, region)).into_iter().collect();
        for (body, sighting) in bodies.iter().zip(sightings) {
            let Some((category, sighting)) = body.look.category().zip(*sighting) else { continue };
            if !body.is_inside {
                continue;
            }
            let target = self.target(body.number, category);
            lines.push(Line {
                frame,
                target,
                bbox: sighting.bbox,
                scored: self.unscored != Some(target),
                category,
                truncation: u8::from(sighting.outside > 0),
                occlusion: match sighting.hidden {
                    0 => 0,
                    1..=50 => 1,
                    _ => 2,
                },
            });
        }
        lines
    }

    fn target(&mut self, number: usize, category: Category) -> u32 {
        if let Some(&target) = self.targets.get(&number) {
            return target;
        }
        let target = self.next;
        self.next += 1;
        self.targets.insert(number, target);
        if self.seeks_unscored && target >= UNSCORED && category.counts() {
            (self.seeks_unscored, self.unscored) = (false, Some(target));
        }
        target
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a rectangle inside the frame, whole pixels")]
fn ignored_line(frame: u32, target: u32, region: Rect) -> Line {
    let bbox = [region.x, region.y, region.w, region.h].map(|edge| edge as i32);
    Line { frame, target, bbox, scored: false, category: Category::Ignored, truncation: 0, occlusion: 0 }
}

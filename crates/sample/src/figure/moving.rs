//! People in motion, seen from the side. `swing` from -1 to 1 says how far a step has got.

use super::living::{DARK, HAIRS, SKINS, TROUSERS};
use crate::canvas::{Ink, Pen, Point};

/// What a person looks like, apart from the shirt.
#[derive(Clone, Copy, Debug)]
struct Look {
    skin: Ink,
    hair: Ink,
    trousers: Ink,
}

/// A person who walks.
pub(crate) fn walker(pen: &mut Pen<'_>, shirt: Ink, variant: u32, swing: f64) {
    const HIP: Point = (0.48, 0.54);
    const SHOULDER: Point = (0.48, 0.24);
    let look = Look::new(variant);
    let hand = |side: f64| (0.48 + 0.30 * side, 0.52);
    let foot = |side: f64| (0.46 + 0.30 * side, 0.96);
    limb(pen, SHOULDER, hand(swing), 0.055, shirt.darker().darker(), look.skin);
    leg(pen, HIP, foot(-swing), look.trousers.darker());
    leg(pen, HIP, foot(swing), look.trousers);
    pen.block([0.42, 0.14, 0.58, 0.24], look.skin.darker());
    pen.rounded([0.28, 0.19, 0.68, 0.57], 0.06, shirt);
    limb(pen, SHOULDER, hand(-swing), 0.06, shirt.darker(), look.skin);
    if (variant / 128).is_multiple_of(2) {
        pen.rounded([0.24, 0.03, 0.50, 0.25], 0.05, look.hair);
    }
    head(pen, [0.28, 0.0, 0.70, 0.18], look);
    if (variant / 64).is_multiple_of(3) {
        pen.rounded([0.12, 0.22, 0.34, 0.44], 0.05, DARK.lighter());
    }
}

/// A person who rides a bicycle or something like it: the saddle is at the lower left, the handlebar at the right.
pub(crate) fn rider(pen: &mut Pen<'_>, shirt: Ink, variant: u32, swing: f64) {
    let look = Look::new(variant);
    let (hip, knee, foot) = ((0.24, 0.60), (0.62, 0.66 + 0.05 * swing), (0.46, 0.93 + 0.04 * swing));
    pen.line(hip, knee, 0.12, look.trousers);
    pen.line((knee.0, knee.1 - 0.02), foot, 0.10, look.trousers);
    pen.rounded([foot.0 - 0.06, foot.1 - 0.03, foot.0 + 0.18, foot.1 + 0.03], 0.02, DARK);
    pen.polygon(&[(0.10, 0.62), (0.32, 0.20), (0.62, 0.20), (0.66, 0.30), (0.40, 0.66)], shirt);
    pen.line((0.54, 0.27), (0.72, 0.45), 0.08, shirt.darker());
    pen.line((0.70, 0.43), (0.98, 0.46), 0.06, look.skin);
    pen.block([0.44, 0.14, 0.56, 0.22], look.skin.darker());
    head(pen, [0.32, 0.0, 0.72, 0.20], look);
}

/// A person who sits.
pub(crate) fn sitter(pen: &mut Pen<'_>, shirt: Ink, variant: u32) {
    let look = Look::new(variant);
    pen.line((0.34, 0.62), (0.84, 0.64), 0.13, look.trousers);
    pen.line((0.80, 0.60), (0.80, 0.96), 0.11, look.trousers.darker());
    pen.rounded([0.70, 0.94, 1.0, 1.0], 0.02, DARK);
    pen.block([0.32, 0.18, 0.46, 0.28], look.skin.darker());
    pen.rounded([0.14, 0.24, 0.58, 0.68], 0.08, shirt);
    pen.line((0.36, 0.32), (0.44, 0.52), 0.08, shirt.darker());
    pen.line((0.43, 0.51), (0.74, 0.56), 0.06, look.skin);
    head(pen, [0.20, 0.0, 0.60, 0.24], look);
}

/// A head that looks to the right, in the given box.
fn head(pen: &mut Pen<'_>, [left, top, right, bottom]: [f64; 4], look: Look) {
    let (w, h) = (right - left, bottom - top);
    pen.oval([left, top, right, bottom], look.hair);
    pen.oval([left + 0.22 * w, top + 0.2 * h, right, bottom], look.skin);
    pen.oval([left + 0.72 * w, top + 0.42 * h, left + 0.82 * w, top + 0.56 * h], DARK);
}

/// An arm with a sleeve to the elbow.
fn limb(pen: &mut Pen<'_>, from: Point, to: Point, width: f64, sleeve: Ink, skin: Ink) {
    let elbow = (f64::midpoint(from.0, to.0), f64::midpoint(from.1, to.1));
    pen.line(from, to, width, skin);
    pen.line(from, elbow, width * 1.3, sleeve);
}

fn leg(pen: &mut Pen<'_>, hip: Point, foot: Point, trousers: Ink) {
    pen.polygon(&[(hip.0 - 0.18, hip.1), (hip.0 + 0.18, hip.1), (foot.0 + 0.09, foot.1), (foot.0 - 0.09, foot.1)], {
        trousers
    });
    pen.rounded([foot.0 - 0.10, 0.95, foot.0 + 0.20, 1.0], 0.02, DARK);
}

// === impl Look ===

impl Look {
    fn new(variant: u32) -> Self {
        let choose = |inks: &[Ink; 4], divisor: u32| inks[(variant / divisor % 4) as usize];
        Self { skin: choose(&SKINS, 1), hair: choose(&HAIRS, 4), trousers: choose(&TROUSERS, 16) }
    }
}

//! Vehicles, furniture and what people carry.

use crate::canvas::{Ink, Pen, Point};

pub(crate) const METAL: Ink = Ink::new(70, 72, 78);
pub(crate) const TYRE: Ink = Ink::new(40, 40, 44);
pub(crate) const GLASS: Ink = Ink::new(190, 218, 232);
const POT: Ink = Ink::new(186, 98, 66);
pub(crate) const STEEL: Ink = Ink::new(196, 198, 202);

/// The polygon around [`bicycle`].
pub(crate) const BICYCLE: [Point; 10] = [
    (0.0, 0.68),
    (0.10, 0.40),
    (0.24, 0.08),
    (0.42, 0.08),
    (0.62, 0.0),
    (0.78, 0.0),
    (0.92, 0.42),
    (1.0, 0.70),
    (0.88, 1.0),
    (0.10, 1.0),
];
/// The polygon around [`car`].
pub(crate) const CAR: [Point; 10] = [
    (0.0, 0.52),
    (0.18, 0.42),
    (0.34, 0.0),
    (0.68, 0.0),
    (0.84, 0.42),
    (1.0, 0.54),
    (1.0, 0.80),
    (0.86, 1.0),
    (0.14, 1.0),
    (0.0, 0.80),
];
/// The polygon around [`backpack`].
pub(crate) const BACKPACK: [Point; 8] =
    [(0.36, 0.0), (0.64, 0.0), (0.92, 0.22), (1.0, 0.60), (0.92, 1.0), (0.08, 1.0), (0.0, 0.60), (0.08, 0.22)];
/// The polygon around [`umbrella`].
pub(crate) const UMBRELLA: [Point; 11] = [
    (0.46, 0.0),
    (0.54, 0.0),
    (0.86, 0.16),
    (1.0, 0.42),
    (0.56, 0.40),
    (0.58, 1.0),
    (0.42, 1.0),
    (0.44, 0.40),
    (0.0, 0.42),
    (0.14, 0.16),
    (0.30, 0.06),
];
/// The polygon around [`bottle`].
pub(crate) const BOTTLE: [Point; 8] =
    [(0.34, 0.0), (0.66, 0.0), (0.68, 0.24), (1.0, 0.40), (1.0, 1.0), (0.0, 1.0), (0.0, 0.40), (0.32, 0.24)];
/// The polygon around [`chair`].
pub(crate) const CHAIR: [Point; 6] = [(0.0, 0.0), (0.20, 0.0), (0.20, 0.46), (1.0, 0.46), (1.0, 1.0), (0.0, 1.0)];
/// The polygon around [`potted_plant`].
pub(crate) const POTTED_PLANT: [Point; 8] =
    [(0.50, 0.0), (0.86, 0.14), (1.0, 0.40), (0.78, 0.64), (0.70, 1.0), (0.30, 1.0), (0.22, 0.64), (0.0, 0.40)];

/// A bicycle with a frame of the given colour.
pub(crate) fn bicycle(pen: &mut Pen<'_>, frame: Ink) {
    for left in [0.0, 0.62] {
        pen.hoop([left, 0.40, left + 0.38, 1.0], 0.06, TYRE);
        pen.hoop([left + 0.025, 0.44, left + 0.355, 0.96], 0.015, STEEL);
        pen.line((left + 0.03, 0.70), (left + 0.35, 0.70), 0.012, STEEL);
        pen.line((left + 0.19, 0.45), (left + 0.19, 0.95), 0.012, STEEL);
    }
    let (rear, front, crank, seat, head) = ((0.19, 0.70), (0.81, 0.70), (0.45, 0.72), (0.36, 0.28), (0.70, 0.24));
    for (from, to) in [(rear, crank), (rear, seat), (crank, seat), (seat, head), (crank, head), (head, front)] {
        pen.line(from, to, 0.06, frame);
    }
    pen.line(seat, (0.33, 0.12), 0.05, METAL);
    pen.rounded([0.24, 0.08, 0.43, 0.15], 0.03, TYRE);
    pen.line(head, (0.66, 0.04), 0.05, METAL);
    pen.rounded([0.62, 0.0, 0.79, 0.06], 0.03, TYRE);
    pen.oval([0.41, 0.65, 0.49, 0.79], METAL);
}

/// A car.
pub(crate) fn car(pen: &mut Pen<'_>, colour: Ink) {
    pen.polygon(&[(0.17, 0.44), (0.30, 0.03), (0.35, 0.0), (0.66, 0.0), (0.71, 0.03), (0.85, 0.44)], colour.darker());
    pen.polygon(&[(0.23, 0.42), (0.33, 0.08), (0.48, 0.08), (0.48, 0.42)], GLASS);
    pen.polygon(&[(0.52, 0.42), (0.52, 0.08), (0.67, 0.08), (0.79, 0.42)], GLASS);
    pen.polygon(&[(0.56, 0.42), (0.62, 0.08), (0.66, 0.08), (0.62, 0.42)], GLASS.lighter());
    pen.rounded([0.0, 0.40, 1.0, 0.82], 0.16, colour);
    pen.block([0.02, 0.64, 0.98, 0.68], colour.darker());
    pen.block([0.497, 0.42, 0.503, 0.78], colour.darker());
    pen.rounded([0.53, 0.50, 0.60, 0.54], 0.02, METAL);
    pen.oval([0.92, 0.48, 0.99, 0.60], Ink::new(255, 240, 168));
    pen.rounded([0.01, 0.48, 0.06, 0.60], 0.04, Ink::new(186, 34, 40));
    for left in [0.12, 0.68] {
        pen.oval([left - 0.015, 0.56, left + 0.215, 1.0], colour.darker().darker());
        pen.oval([left, 0.58, left + 0.20, 1.0], TYRE);
        pen.oval([left + 0.055, 0.69, left + 0.145, 0.89], STEEL);
    }
}

/// A backpack on the ground.
pub(crate) fn backpack(pen: &mut Pen<'_>, colour: Ink) {
    pen.hoop([0.34, 0.0, 0.66, 0.24], 0.05, METAL);
    pen.rounded([0.0, 0.44, 0.18, 0.96], 0.08, colour.darker());
    pen.rounded([0.82, 0.44, 1.0, 0.96], 0.08, colour.darker());
    pen.rounded([0.08, 0.08, 0.92, 1.0], 0.26, colour);
    pen.rounded([0.18, 0.54, 0.82, 0.94], 0.08, colour.lighter());
    pen.block([0.18, 0.64, 0.82, 0.67], colour.darker());
    pen.block([0.12, 0.36, 0.88, 0.40], colour.darker());
    pen.block([0.47, 0.66, 0.53, 0.74], METAL);
}

/// An open umbrella.
pub(crate) fn umbrella(pen: &mut Pen<'_>, colour: Ink) {
    pen.line((0.50, 0.0), (0.50, 0.96), 0.035, METAL);
    pen.rounded([0.465, 0.86, 0.535, 1.0], 0.03, Ink::new(110, 70, 42));
    let half = |radius: f64| -> Vec<Point> {
        let rows = [0.42, 0.36, 0.30, 0.24, 0.18, 0.12, 0.07, 0.05];
        let side = |v: f64| radius * (1.0 - ((v - 0.42) / 0.37) * ((v - 0.42) / 0.37)).max(0.0).sqrt();
        let left = rows.iter().map(|&v| (0.5 - side(v), v));
        left.chain(rows.iter().rev().map(|&v| (0.5 + side(v), v))).collect()
    };
    pen.polygon(&half(0.50), colour);
    pen.polygon(&half(0.34), colour.lighter());
    pen.polygon(&half(0.14), colour);
    for (left, right) in [(0.0, 0.16), (0.16, 0.36), (0.36, 0.64), (0.64, 0.84), (0.84, 1.0)] {
        pen.oval([left, 0.39, right, 0.45], colour.darker());
    }
}

/// A bottle with a label.
pub(crate) fn bottle(pen: &mut Pen<'_>, colour: Ink) {
    pen.block([0.34, 0.02, 0.66, 0.36], colour);
    pen.rounded([0.30, 0.0, 0.70, 0.08], 0.02, METAL);
    pen.rounded([0.0, 0.28, 1.0, 1.0], 0.14, colour);
    pen.block([0.0, 0.52, 1.0, 0.80], Ink::new(240, 234, 214));
    pen.block([0.16, 0.60, 0.84, 0.64], colour.darker());
    pen.block([0.16, 0.69, 0.66, 0.72], colour.darker());
    pen.rounded([0.14, 0.34, 0.26, 0.50], 0.03, colour.lighter());
}

/// A chair, seen from the side.
pub(crate) fn chair(pen: &mut Pen<'_>, colour: Ink) {
    let shade = colour.darker();
    pen.block([0.14, 0.50, 0.24, 0.94], shade.darker());
    pen.block([0.80, 0.50, 0.90, 0.94], shade.darker());
    pen.block([0.0, 0.48, 0.12, 1.0], shade);
    pen.block([0.88, 0.52, 1.0, 1.0], shade);
    pen.rounded([0.0, 0.0, 0.16, 0.56], 0.04, colour);
    pen.block([0.04, 0.12, 0.12, 0.40], colour.lighter());
    pen.rounded([0.0, 0.46, 1.0, 0.58], 0.04, colour);
    pen.block([0.08, 0.72, 0.94, 0.76], shade);
}

/// A plant with big leaves in a pot; the variant chooses whether it flowers.
pub(crate) fn potted_plant(pen: &mut Pen<'_>, colour: Ink, variant: u32) {
    for (top, side) in [((0.50, 0.0), 0.14), ((0.20, 0.14), 0.12), ((0.80, 0.14), 0.12)] {
        let root = (0.50, 0.70);
        pen.polygon(&[root, (top.0 - side, 0.34), top, (top.0 + side, 0.34)], colour.darker());
        pen.line(root, top, 0.015, colour.lighter());
    }
    pen.polygon(&[(0.50, 0.70), (0.06, 0.52), (0.0, 0.38), (0.30, 0.40)], colour);
    pen.polygon(&[(0.50, 0.70), (0.94, 0.52), (1.0, 0.38), (0.70, 0.40)], colour);
    pen.polygon(&[(0.50, 0.70), (0.34, 0.42), (0.50, 0.20), (0.66, 0.42)], colour.lighter());
    if variant.is_multiple_of(2) {
        for [left, top] in [[0.44, 0.0], [0.14, 0.08], [0.74, 0.08]] {
            pen.oval([left, top, left + 0.14, top + 0.10], Ink::new(226, 92, 124));
            pen.oval([left + 0.045, top + 0.03, left + 0.095, top + 0.07], Ink::new(250, 220, 110));
        }
    }
    pen.polygon(&[(0.24, 0.68), (0.76, 0.68), (0.68, 1.0), (0.32, 1.0)], POT);
    pen.rounded([0.20, 0.64, 0.80, 0.73], 0.02, POT.lighter());
}

//! Vehicles of a busy road, seen from the side, that touch all four sides of their box.

use super::thing::{GLASS, METAL, STEEL, TYRE};
use crate::canvas::{Ink, Pen};

const LAMP: Ink = Ink::new(255, 240, 168);
const TAIL: Ink = Ink::new(186, 34, 40);
const CARGO: Ink = Ink::new(226, 224, 216);

/// A wheel that stands on the lower edge; `radius` in heights, `aspect` the width of the box in heights.
fn wheel(pen: &mut Pen<'_>, middle: f64, radius: f64, aspect: f64) {
    let ring = |share: f64| {
        let (wide, high) = (share * radius / aspect, share * radius);
        [middle - wide, 1.0 - radius - high, middle + wide, 1.0 - radius + high]
    };
    pen.oval(ring(1.0), TYRE);
    pen.oval(ring(0.5), STEEL);
    pen.oval(ring(0.2), METAL);
}

/// A van with a windowless rear.
pub(crate) fn van(pen: &mut Pen<'_>, colour: Ink) {
    let side = [(0.0, 0.10), (0.05, 0.0), (0.68, 0.0), (0.84, 0.36), (1.0, 0.46), (1.0, 0.84), (0.0, 0.84)];
    pen.polygon(&side, colour);
    pen.block([0.0, 0.70, 1.0, 0.84], colour.darker());
    pen.polygon(&[(0.70, 0.08), (0.80, 0.36), (0.58, 0.36), (0.58, 0.08)], GLASS);
    pen.polygon(&[(0.70, 0.08), (0.74, 0.19), (0.64, 0.36), (0.58, 0.36), (0.66, 0.08)], GLASS.lighter());
    pen.block([0.36, 0.10, 0.54, 0.34], GLASS.darker());
    pen.block([0.558, 0.06, 0.566, 0.76], colour.darker());
    pen.block([0.32, 0.06, 0.328, 0.76], colour.darker());
    pen.rounded([0.0, 0.40, 0.025, 0.60], 0.03, TAIL);
    pen.oval([0.955, 0.50, 1.0, 0.62], LAMP);
    wheel(pen, 0.20, 0.17, 2.1);
    wheel(pen, 0.80, 0.17, 2.1);
}

/// A truck whose cab has the given colour.
pub(crate) fn truck(pen: &mut Pen<'_>, colour: Ink) {
    pen.block([0.02, 0.76, 0.96, 0.88], METAL);
    pen.rounded([0.0, 0.0, 0.69, 0.80], 0.02, CARGO);
    pen.block([0.0, 0.70, 0.69, 0.80], CARGO.darker());
    for part in 1..6 {
        let left = 0.115 * f64::from(part);
        pen.block([left, 0.04, left + 0.006, 0.70], CARGO.darker());
    }
    pen.polygon(&[(0.71, 0.22), (0.90, 0.22), (0.975, 0.52), (1.0, 0.56), (1.0, 0.88), (0.71, 0.88)], colour);
    pen.polygon(&[(0.77, 0.28), (0.89, 0.28), (0.945, 0.52), (0.77, 0.52)], GLASS);
    pen.block([0.71, 0.80, 1.0, 0.88], colour.darker());
    pen.oval([0.965, 0.64, 1.0, 0.73], LAMP);
    for middle in [0.13, 0.27, 0.85] {
        wheel(pen, middle, 0.13, 2.4);
    }
}

/// A bus with a row of windows and two doors.
pub(crate) fn bus(pen: &mut Pen<'_>, colour: Ink) {
    pen.rounded([0.0, 0.0, 1.0, 0.90], 0.07, colour);
    pen.block([0.02, 0.0, 0.90, 0.05], colour.lighter());
    pen.block([0.0, 0.64, 1.0, 0.70], colour.lighter().lighter());
    pen.block([0.0, 0.78, 1.0, 0.88], colour.darker());
    for part in 0..6 {
        let left = 0.03 + 0.125 * f64::from(part);
        pen.rounded([left, 0.14, left + 0.112, 0.50], 0.03, GLASS);
        pen.polygon(&[(left + 0.02, 0.50), (left + 0.07, 0.14), (left + 0.09, 0.14), (left + 0.04, 0.50)], {
            GLASS.lighter()
        });
    }
    for left in [0.385, 0.845] {
        pen.block([left, 0.14, left + 0.075, 0.84], METAL);
        pen.block([left + 0.008, 0.18, left + 0.034, 0.80], GLASS.darker());
        pen.block([left + 0.041, 0.18, left + 0.067, 0.80], GLASS.darker());
    }
    pen.rounded([0.94, 0.12, 1.0, 0.54], 0.03, GLASS);
    pen.oval([0.965, 0.66, 1.0, 0.75], LAMP);
    pen.rounded([0.0, 0.56, 0.014, 0.74], 0.02, TAIL);
    wheel(pen, 0.20, 0.13, 2.9);
    wheel(pen, 0.76, 0.13, 2.9);
}

/// A tricycle with a box of goods behind the saddle.
pub(crate) fn tricycle(pen: &mut Pen<'_>, colour: Ink) {
    pen.line((0.50, 0.70), (0.86, 0.72), 0.06, colour);
    pen.line((0.86, 0.76), (0.78, 0.06), 0.06, METAL);
    pen.line((0.56, 0.70), (0.80, 0.32), 0.05, colour);
    pen.rounded([0.70, 0.0, 0.84, 0.08], 0.03, TYRE);
    pen.block([0.04, 0.12, 0.46, 0.40], Ink::new(188, 150, 104));
    pen.block([0.14, 0.06, 0.32, 0.20], Ink::new(168, 126, 82));
    pen.block([0.0, 0.34, 0.52, 0.74], colour);
    pen.block([0.0, 0.34, 0.52, 0.42], colour.lighter());
    pen.block([0.0, 0.66, 0.52, 0.74], colour.darker());
    pen.rounded([0.53, 0.40, 0.66, 0.48], 0.03, TYRE);
    pen.line((0.60, 0.46), (0.58, 0.70), 0.05, METAL);
    wheel(pen, 0.27, 0.24, 1.7);
    wheel(pen, 0.86, 0.24, 1.7);
}

/// A tricycle with a closed cabin under an awning.
pub(crate) fn awning_tricycle(pen: &mut Pen<'_>, colour: Ink) {
    pen.polygon(&[(0.04, 0.10), (0.80, 0.10), (0.94, 0.52), (1.0, 0.60), (1.0, 0.82), (0.04, 0.82)], colour);
    pen.rounded([0.0, 0.0, 0.86, 0.12], 0.05, colour.darker());
    pen.polygon(&[(0.56, 0.18), (0.78, 0.18), (0.89, 0.50), (0.56, 0.50)], GLASS);
    pen.rounded([0.12, 0.18, 0.48, 0.48], 0.03, GLASS.darker());
    pen.block([0.50, 0.14, 0.52, 0.80], colour.darker());
    pen.block([0.04, 0.70, 1.0, 0.82], colour.darker());
    pen.oval([0.93, 0.60, 1.0, 0.70], LAMP);
    wheel(pen, 0.24, 0.17, 1.35);
    wheel(pen, 0.84, 0.17, 1.35);
}

/// A motor scooter.
pub(crate) fn motor(pen: &mut Pen<'_>, colour: Ink) {
    pen.line((0.84, 0.76), (0.72, 0.06), 0.08, METAL);
    pen.rounded([0.60, 0.0, 0.80, 0.10], 0.04, TYRE);
    wheel(pen, 0.16, 0.25, 1.6);
    wheel(pen, 0.84, 0.25, 1.6);
    pen.polygon(&[(0.04, 0.50), (0.10, 0.36), (0.50, 0.36), (0.54, 0.70), (0.36, 0.78), (0.20, 0.64)], colour);
    pen.polygon(&[(0.48, 0.68), (0.68, 0.68), (0.70, 0.22), (0.80, 0.22), (0.80, 0.62), (0.70, 0.80), (0.40, 0.80)], {
        colour.darker()
    });
    pen.polygon(&[(0.72, 0.22), (0.82, 0.20), (0.88, 0.52), (0.80, 0.58)], colour);
    pen.rounded([0.08, 0.26, 0.50, 0.38], 0.05, TYRE);
    pen.oval([0.76, 0.22, 0.86, 0.36], LAMP);
    pen.oval([0.03, 0.42, 0.11, 0.52], TAIL);
}

/// A tractor.
pub(crate) fn tractor(pen: &mut Pen<'_>, colour: Ink) {
    pen.line((0.80, 0.44), (0.80, 0.16), 0.04, METAL);
    pen.polygon(&[(0.10, 0.06), (0.50, 0.06), (0.56, 0.50), (0.10, 0.50)], GLASS);
    pen.block([0.06, 0.0, 0.54, 0.07], colour.darker());
    for (from, to) in [((0.12, 0.04), (0.12, 0.50)), ((0.48, 0.04), (0.54, 0.50)), ((0.30, 0.04), (0.30, 0.50))] {
        pen.line(from, to, 0.035, colour.darker());
    }
    pen.polygon(&[(0.08, 0.48), (0.56, 0.42), (0.94, 0.44), (1.0, 0.52), (1.0, 0.76), (0.08, 0.80)], colour);
    pen.block([0.62, 0.54, 0.92, 0.58], colour.darker());
    pen.block([0.62, 0.62, 0.92, 0.66], colour.darker());
    wheel(pen, 0.30, 0.34, 1.25);
    wheel(pen, 0.84, 0.20, 1.25);
}

//! What stands at the edge of a road and hides a part of those who pass behind it.

use super::thing::METAL;
use crate::canvas::{Ink, Pen};

/// A street lamp.
pub(crate) fn lamp(pen: &mut Pen<'_>) {
    pen.block([0.42, 0.06, 0.58, 1.0], METAL);
    pen.block([0.30, 0.94, 0.70, 1.0], METAL.darker());
    pen.block([0.10, 0.03, 0.58, 0.06], METAL);
    pen.rounded([0.0, 0.0, 0.50, 0.045], 0.02, METAL.darker());
    pen.block([0.06, 0.045, 0.44, 0.055], Ink::new(255, 240, 190));
}

/// A column with posters.
pub(crate) fn column(pen: &mut Pen<'_>, poster: Ink) {
    pen.block([0.08, 0.12, 0.92, 1.0], Ink::new(214, 206, 186));
    pen.block([0.72, 0.12, 0.92, 1.0], Ink::new(184, 176, 156));
    pen.block([0.14, 0.24, 0.68, 0.56], poster);
    pen.oval([0.26, 0.30, 0.54, 0.44], poster.lighter());
    pen.block([0.20, 0.48, 0.62, 0.51], poster.lighter());
    pen.block([0.14, 0.60, 0.68, 0.84], poster.lighter().lighter());
    pen.block([0.20, 0.66, 0.56, 0.69], poster.darker());
    pen.block([0.20, 0.73, 0.62, 0.76], poster.darker());
    pen.block([0.0, 0.90, 1.0, 1.0], METAL);
    pen.polygon(&[(0.0, 0.14), (0.18, 0.05), (0.50, 0.0), (0.82, 0.05), (1.0, 0.14)], Ink::new(66, 104, 92));
}

/// A bench.
pub(crate) fn bench(pen: &mut Pen<'_>) {
    let wood = Ink::new(150, 106, 66);
    for left in [0.08, 0.84] {
        pen.block([left, 0.30, left + 0.08, 1.0], METAL);
    }
    pen.block([0.0, 0.0, 1.0, 0.16], wood);
    pen.block([0.0, 0.22, 1.0, 0.36], wood.darker());
    pen.block([0.0, 0.50, 1.0, 0.64], wood.lighter());
}

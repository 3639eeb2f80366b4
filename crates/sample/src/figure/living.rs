//! People and animals.

use crate::canvas::{Ink, Pen, Point};

pub(crate) const DARK: Ink = Ink::new(38, 34, 36);
pub(crate) const SKINS: [Ink; 4] =
    [Ink::new(244, 208, 178), Ink::new(222, 170, 130), Ink::new(168, 114, 78), Ink::new(116, 76, 54)];
pub(crate) const HAIRS: [Ink; 4] =
    [Ink::new(52, 38, 32), Ink::new(112, 72, 40), Ink::new(206, 166, 92), Ink::new(148, 142, 138)];
pub(crate) const TROUSERS: [Ink; 4] =
    [Ink::new(58, 70, 104), Ink::new(70, 70, 76), Ink::new(124, 104, 80), Ink::new(40, 46, 60)];
const BEAK: Ink = Ink::new(236, 158, 48);

/// The polygon around [`person`].
pub(crate) const PERSON: [Point; 14] = [
    (0.30, 0.0),
    (0.70, 0.0),
    (0.74, 0.17),
    (0.86, 0.22),
    (1.0, 0.50),
    (0.94, 0.58),
    (0.80, 0.54),
    (0.86, 1.0),
    (0.14, 1.0),
    (0.20, 0.54),
    (0.06, 0.58),
    (0.0, 0.50),
    (0.14, 0.22),
    (0.26, 0.17),
];
/// The polygon around [`bird`].
pub(crate) const BIRD: [Point; 9] = [
    (0.0, 0.36),
    (0.24, 0.38),
    (0.54, 0.20),
    (0.62, 0.0),
    (0.86, 0.0),
    (1.0, 0.22),
    (0.80, 0.66),
    (0.62, 1.0),
    (0.40, 1.0),
];
/// The polygon around [`flying_bird`].
pub(crate) const FLYING_BIRD: [Point; 7] =
    [(0.0, 0.54), (0.34, 0.48), (0.20, 0.0), (0.62, 0.46), (0.80, 0.36), (1.0, 0.58), (0.52, 1.0)];
/// The polygon around [`cat`].
pub(crate) const CAT: [Point; 9] = [
    (0.40, 0.22),
    (0.44, 0.0),
    (0.95, 0.0),
    (1.0, 0.30),
    (0.92, 1.0),
    (0.20, 1.0),
    (0.0, 0.76),
    (0.06, 0.54),
    (0.34, 0.44),
];
/// The polygon around [`dog`].
pub(crate) const DOG: [Point; 10] = [
    (0.0, 0.14),
    (0.12, 0.34),
    (0.62, 0.30),
    (0.64, 0.0),
    (0.86, 0.0),
    (1.0, 0.24),
    (0.90, 0.42),
    (0.80, 0.52),
    (0.78, 1.0),
    (0.10, 1.0),
];
/// The polygon around [`horse`].
pub(crate) const HORSE: [Point; 10] = [
    (0.0, 0.44),
    (0.10, 0.34),
    (0.56, 0.36),
    (0.74, 0.08),
    (0.84, 0.0),
    (1.0, 0.22),
    (0.94, 0.30),
    (0.80, 0.58),
    (0.76, 1.0),
    (0.04, 1.0),
];

/// A person in a shirt of the given colour; the variant chooses skin, hair, trousers and step.
pub(crate) fn person(pen: &mut Pen<'_>, shirt: Ink, variant: u32) {
    let choose = |inks: &[Ink; 4], divisor: u32| inks[(variant / divisor % 4) as usize];
    let (skin, hair, trousers) = (choose(&SKINS, 1), choose(&HAIRS, 4), choose(&TROUSERS, 16));
    let (walking, long_hair) = ((variant / 64).is_multiple_of(2), (variant / 128).is_multiple_of(2));
    if long_hair {
        pen.rounded([0.28, 0.02, 0.72, 0.26], 0.06, hair);
    }
    pen.line((0.24, 0.24), (0.07, 0.50), 0.055, skin);
    pen.line((0.76, 0.24), (0.93, 0.50), 0.055, skin);
    pen.oval([0.0, 0.47, 0.13, 0.54], skin);
    pen.oval([0.87, 0.47, 1.0, 0.54], skin);
    let (left, right) = if walking { (0.22, 0.78) } else { (0.36, 0.64) };
    pen.polygon(&[(0.29, 0.52), (0.51, 0.52), (left + 0.09, 0.97), (left - 0.08, 0.97)], trousers);
    pen.polygon(&[(0.49, 0.52), (0.71, 0.52), (right + 0.08, 0.97), (right - 0.09, 0.97)], trousers.darker());
    pen.rounded([left - 0.09, 0.95, left + 0.16, 1.0], 0.02, DARK);
    pen.rounded([right - 0.09, 0.95, right + 0.16, 1.0], 0.02, DARK);
    pen.block([0.42, 0.14, 0.58, 0.22], skin.darker());
    pen.rounded([0.24, 0.19, 0.76, 0.56], 0.06, shirt);
    pen.polygon(&[(0.26, 0.21), (0.34, 0.30), (0.21, 0.40), (0.11, 0.34)], shirt.darker());
    pen.polygon(&[(0.74, 0.21), (0.66, 0.30), (0.79, 0.40), (0.89, 0.34)], shirt.darker());
    pen.oval([0.30, 0.0, 0.70, 0.17], hair);
    pen.oval([0.33, 0.035, 0.69, 0.18], skin);
    pen.oval([0.44, 0.09, 0.49, 0.11], DARK);
    pen.oval([0.57, 0.09, 0.62, 0.11], DARK);
}

/// A bird on its feet.
pub(crate) fn bird(pen: &mut Pen<'_>, colour: Ink) {
    pen.line((0.48, 0.72), (0.46, 0.97), 0.05, BEAK);
    pen.line((0.56, 0.72), (0.58, 0.97), 0.05, BEAK);
    pen.block([0.42, 0.95, 0.66, 1.0], BEAK);
    pen.polygon(&[(0.0, 0.36), (0.36, 0.46), (0.30, 0.66), (0.02, 0.48)], colour.darker());
    pen.oval([0.18, 0.30, 0.82, 0.80], colour);
    pen.oval([0.56, 0.0, 0.90, 0.42], colour);
    pen.polygon(&[(0.87, 0.12), (1.0, 0.22), (0.87, 0.28)], BEAK);
    pen.oval([0.26, 0.38, 0.62, 0.66], colour.darker());
    pen.oval([0.54, 0.50, 0.78, 0.78], colour.lighter());
    pen.oval([0.74, 0.12, 0.80, 0.20], DARK);
}

/// A bird in the air.
pub(crate) fn flying_bird(pen: &mut Pen<'_>, colour: Ink) {
    pen.polygon(&[(0.44, 0.62), (0.34, 0.16), (0.48, 0.10), (0.64, 0.56)], colour.darker());
    pen.polygon(&[(0.0, 0.54), (0.30, 0.56), (0.26, 0.74), (0.04, 0.70)], colour.darker());
    pen.oval([0.18, 0.46, 0.84, 0.80], colour);
    pen.oval([0.70, 0.38, 0.92, 0.70], colour);
    pen.polygon(&[(0.90, 0.50), (1.0, 0.58), (0.90, 0.62)], BEAK);
    pen.polygon(&[(0.36, 0.60), (0.20, 0.0), (0.38, 0.08), (0.62, 0.60)], colour.lighter());
    pen.polygon(&[(0.44, 0.74), (0.62, 0.70), (0.52, 1.0)], colour.lighter());
    pen.oval([0.80, 0.46, 0.85, 0.54], DARK);
}

/// A cat that sits.
pub(crate) fn cat(pen: &mut Pen<'_>, colour: Ink) {
    const EYE: Ink = Ink::new(214, 214, 96);
    pen.hoop([0.0, 0.46, 0.50, 0.98], 0.09, colour.darker());
    pen.oval([0.18, 0.40, 0.92, 1.0], colour);
    pen.rounded([0.58, 0.58, 0.86, 1.0], 0.08, colour);
    pen.oval([0.44, 0.90, 0.70, 1.0], colour.lighter());
    pen.oval([0.66, 0.90, 0.92, 1.0], colour.lighter());
    pen.polygon(&[(0.44, 0.24), (0.46, 0.0), (0.68, 0.14)], colour.darker());
    pen.polygon(&[(0.74, 0.14), (0.93, 0.0), (0.96, 0.24)], colour.darker());
    pen.oval([0.40, 0.08, 1.0, 0.52], colour);
    pen.oval([0.60, 0.32, 0.88, 0.48], colour.lighter());
    for left in [0.54, 0.78] {
        pen.oval([left, 0.22, left + 0.11, 0.32], EYE);
        pen.oval([left + 0.035, 0.23, left + 0.075, 0.31], DARK);
    }
    pen.polygon(&[(0.69, 0.34), (0.79, 0.34), (0.74, 0.39)], Ink::new(210, 120, 120));
}

/// A dog on its legs.
pub(crate) fn dog(pen: &mut Pen<'_>, colour: Ink) {
    pen.polygon(&[(0.0, 0.14), (0.06, 0.10), (0.20, 0.38), (0.12, 0.46)], colour.darker());
    for (left, ink) in [(0.20, colour.darker()), (0.62, colour.darker()), (0.10, colour), (0.70, colour)] {
        pen.rounded([left, 0.52, left + 0.11, 1.0], 0.05, ink);
    }
    pen.rounded([0.08, 0.34, 0.82, 0.70], 0.17, colour);
    pen.polygon(&[(0.60, 0.40), (0.66, 0.18), (0.84, 0.22), (0.82, 0.56)], colour);
    pen.oval([0.60, 0.0, 0.88, 0.42], colour);
    pen.rounded([0.76, 0.18, 1.0, 0.40], 0.09, colour.lighter());
    pen.rounded([0.60, 0.06, 0.70, 0.40], 0.06, colour.darker());
    pen.oval([0.94, 0.19, 1.0, 0.28], DARK);
    pen.oval([0.77, 0.14, 0.82, 0.21], DARK);
    pen.block([0.64, 0.42, 0.84, 0.47], Ink::new(206, 60, 54));
}

/// A horse on its legs.
pub(crate) fn horse(pen: &mut Pen<'_>, colour: Ink) {
    let mane = colour.darker().darker();
    pen.polygon(&[(0.10, 0.38), (0.16, 0.46), (0.08, 0.72), (0.0, 0.78), (0.03, 0.50)], mane);
    for (left, ink) in [(0.22, colour.darker()), (0.60, colour.darker()), (0.11, colour), (0.70, colour)] {
        pen.polygon(&[(left, 0.56), (left + 0.11, 0.56), (left + 0.08, 0.97), (left + 0.02, 0.97)], ink);
        pen.block([left + 0.015, 0.94, left + 0.085, 1.0], DARK);
    }
    pen.rounded([0.08, 0.36, 0.82, 0.68], 0.15, colour);
    pen.polygon(&[(0.58, 0.44), (0.72, 0.08), (0.88, 0.16), (0.82, 0.54)], colour);
    pen.polygon(&[(0.52, 0.40), (0.70, 0.04), (0.77, 0.06), (0.64, 0.42)], mane);
    pen.polygon(&[(0.75, 0.08), (0.80, 0.0), (0.84, 0.10)], colour.darker());
    pen.polygon(&[(0.72, 0.10), (0.84, 0.06), (1.0, 0.24), (0.95, 0.31), (0.86, 0.28), (0.76, 0.24)], colour);
    pen.polygon(&[(0.93, 0.17), (1.0, 0.24), (0.95, 0.31), (0.89, 0.27)], colour.lighter());
    pen.oval([0.83, 0.11, 0.86, 0.15], DARK);
}

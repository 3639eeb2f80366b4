//! The figures: how things look, each in the unit square of its box, looking to the right.
//!
//! Those of `living` and `thing` stand still, touch all four sides of the square, and have a polygon around them, so
//! that box, polygon and drawing agree. `moving` people and the `traffic` around them, and what stands at the `kerb`,
//! have no polygon; their boxes follow from the pixels.

pub(super) mod living;
pub(super) mod thing;
pub(super) mod moving;
pub(super) mod traffic;
pub(super) mod kerb;

use self::thing::METAL;
use crate::canvas::{Canvas, Ink, Rect};

const SHADOW: Ink = Ink::new(20, 24, 32).sheer(58);

/// Draws a distant crowd: three rows of small people that cannot be told apart.
pub(super) fn draw_crowd(canvas: &mut Canvas, region: Rect) {
    const SHIRTS: [Ink; 5] = [
        Ink::new(150, 74, 70),
        Ink::new(70, 92, 140),
        Ink::new(188, 170, 110),
        Ink::new(96, 124, 96),
        Ink::new(198, 196, 190),
    ];
    const SKIN: Ink = Ink::new(206, 164, 134);
    let mut shirts = SHIRTS.iter().cycle();
    let (height, width) = (region.h * 0.78, region.h * 0.3);
    for row in 0..3_u32 {
        let y = region.y + f64::from(row) * 0.11 * region.h;
        let mut x = region.x + f64::from(row % 2) * 0.5 * width;
        while x + width <= region.right() {
            let pen = &mut canvas.figure_pen(Rect::new(x, y, width, height), false);
            let shirt = shirts.next().copied().unwrap_or(METAL);
            pen.rounded([0.06, 0.24, 0.94, 0.72], 0.12, shirt);
            pen.block([0.2, 0.6, 0.8, 1.0], METAL);
            pen.oval([0.24, 0.0, 0.76, 0.26], SKIN);
            x += width * 0.92;
        }
    }
}

/// Draws the shadow of a thing that stands on the ground.
pub(super) fn cast_shadow(canvas: &mut Canvas, rect: Rect) {
    let height = (rect.w * 0.14).min(rect.h * 0.12);
    let shadow = Rect::new(rect.x - 0.04 * rect.w, rect.bottom() - 0.6 * height, rect.w * 1.08, height);
    canvas.pen().oval(shadow, SHADOW);
}

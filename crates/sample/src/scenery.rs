//! What lies behind things in several places: the sky, a row of houses, trees, and the light over all of it.

use crate::canvas::{Ink, Pen, Rect};
use crate::dice::Dice;
use crate::stage::{Light, Stage};

const WHITE: Ink = Ink::new(250, 250, 250);
const SUN: Ink = Ink::new(255, 236, 150);
const SUNSET: Ink = Ink::new(255, 170, 84);
const BARK: Ink = Ink::new(104, 74, 50);

/// The sky with sun and clouds, down to the horizon.
pub(super) fn draw_sky(pen: &mut Pen<'_>, stage: &Stage, dice: &mut Dice) {
    let (width, horizon) = (stage.width(), stage.horizon);
    let (top, bottom) = sky(stage.light);
    pen.gradient(Rect::new(0.0, 0.0, width, horizon), top, bottom);
    let x = width * dice.between(0.1, 0.85);
    match stage.light {
        Light::Sunny => {
            pen.oval(Rect::new(x - 8.0, horizon * 0.12 - 8.0, 42.0, 42.0), SUN.sheer(90));
            pen.oval(Rect::new(x, horizon * 0.12, 26.0, 26.0), SUN);
        }
        Light::Dusk => pen.oval(Rect::new(x, horizon - 44.0, 40.0, 40.0), SUNSET),
        Light::Cloudy => {}
    }
    let clouds = if stage.light == Light::Cloudy { dice.count(4, 6) } else { dice.count(1, 3) };
    for _ in 0..clouds {
        let (x, y) = (width * dice.between(-0.1, 0.95), horizon * dice.between(0.04, 0.45));
        let size = dice.between(0.7, 1.3);
        for [left, up, wide, high] in [[0.0, 6.0, 34.0, 11.0], [10.0, 0.0, 26.0, 15.0], [24.0, 4.0, 32.0, 12.0]] {
            pen.oval(Rect::new(x + left * size, y + up * size, wide * size, high * size), WHITE.sheer(150));
        }
    }
}

/// The colours of the sky: above, and at the horizon.
pub(super) fn sky(light: Light) -> (Ink, Ink) {
    match light {
        Light::Sunny => (Ink::new(98, 168, 230), Ink::new(214, 236, 250)),
        Light::Cloudy => (Ink::new(150, 164, 180), Ink::new(216, 222, 226)),
        Light::Dusk => (Ink::new(88, 96, 166), Ink::new(255, 190, 132)),
    }
}

/// A row of houses along the horizon.
pub(super) fn draw_houses(pen: &mut Pen<'_>, stage: &Stage, dice: &mut Dice) {
    const FRONTS: [Ink; 6] = [
        Ink::new(188, 128, 104),
        Ink::new(206, 186, 154),
        Ink::new(150, 160, 172),
        Ink::new(172, 148, 160),
        Ink::new(222, 206, 180),
        Ink::new(136, 120, 112),
    ];
    let width = stage.width();
    let mut x = -width * dice.between(0.0, 0.1);
    while x < width {
        let house = width * dice.between(0.13, 0.24);
        let height = stage.horizon * dice.between(0.45, 0.88);
        let front = Rect::new(x, stage.horizon - height, house, height + 2.0);
        draw_house(pen, front, dice.pick(&FRONTS), stage.light == Light::Dusk, dice);
        x += house;
    }
}

fn draw_house(pen: &mut Pen<'_>, front: Rect, ink: Ink, night: bool, dice: &mut Dice) {
    pen.block(front, ink);
    pen.block(Rect::new(front.x, front.y, front.w, 3.0), ink.darker());
    pen.block(Rect::new(front.right() - 1.0, front.y, 1.0, front.h), ink.darker());
    let (lit, unlit) = (Ink::new(255, 220, 130), Ink::new(96, 116, 138));
    let mut y = front.y + 8.0;
    while y + 10.0 < front.bottom() - 13.0 {
        let mut x = front.x + 5.0;
        while x + 7.0 < front.right() - 3.0 {
            let glass = if night && dice.chance(55) { lit } else { unlit };
            pen.block(Rect::new(x - 0.8, y - 0.8, 8.6, 11.6), ink.lighter());
            pen.block(Rect::new(x, y, 7.0, 10.0), glass);
            x += 13.0;
        }
        y += 18.0;
    }
    pen.block(Rect::new(front.x + front.w * 0.42, front.bottom() - 12.0, 8.0, 12.0), ink.darker().darker());
}

/// A tree whose stem stands at `x` on the line `ground`.
pub(super) fn draw_tree(pen: &mut Pen<'_>, x: f64, ground: f64, height: f64, dice: &mut Dice) {
    let leaves =
        dice.pick(&[Ink::new(58, 124, 66), Ink::new(82, 140, 62), Ink::new(46, 108, 74), Ink::new(188, 132, 58)]);
    let crown = height * 0.72;
    pen.oval(Rect::new(x - crown * 0.4, ground - 3.0, crown * 0.8, 6.0), Ink::new(30, 50, 30).sheer(70));
    pen.block(Rect::new(x - height * 0.04, ground - height * 0.5, height * 0.08, height * 0.5), BARK);
    let spots = [(-0.5, 0.28, 0.6, leaves.darker()), (-0.08, 0.30, 0.6, leaves), (-0.32, 0.0, 0.66, leaves)];
    for (left, down, size, ink) in spots {
        pen.oval(Rect::new(x + left * crown, ground - height + down * crown, size * crown, size * crown), ink);
    }
    pen.oval(Rect::new(x - 0.2 * crown, ground - height + 0.08 * crown, 0.3 * crown, 0.24 * crown), leaves.lighter());
}

/// Lays the light of the hour over the finished picture.
pub(super) fn draw_light(pen: &mut Pen<'_>, stage: &Stage) {
    let veil = match stage.light {
        Light::Sunny => Ink::new(255, 244, 214).sheer(12),
        Light::Cloudy => Ink::new(112, 124, 140).sheer(30),
        Light::Dusk => Ink::new(96, 52, 84).sheer(46),
    };
    pen.block(Rect::new(0.0, 0.0, stage.width(), stage.height()), veil);
}

//! What lies behind those who move: sky, houses, trees, the ground, and a crowd that is too far away to tell apart.

use super::place::Place;
use crate::canvas::{Canvas, Ink, Pen, Rect};
use crate::dice::Dice;
use crate::figure;
use crate::scenery;
use crate::stage::Stage;

/// Draws it; the crowd, if there is one, fills its region.
pub(super) fn draw(canvas: &mut Canvas, place: Place, stage: &Stage, crowd: Option<Rect>, dice: &mut Dice) {
    let pen = &mut canvas.pen();
    scenery::draw_sky(pen, stage, dice);
    scenery::draw_houses(pen, stage, dice);
    draw_paving(pen, stage);
    if let Some(road) = place.road() {
        draw_road(pen, place, stage, road);
    }
    draw_trees(pen, stage, dice);
    if let Some(region) = crowd {
        figure::draw_crowd(canvas, region);
    }
}

/// The region of a crowd: whole pixels, in front of the houses.
pub(super) fn crowd_region(stage: &Stage, dice: &mut Dice) -> Rect {
    let (width, height) = (f64::from(dice.count(90, 150)), 22.0);
    let x = dice.between(20.0, stage.width() - width - 20.0).round();
    Rect::new(x, (stage.ground(0.22) - height).round(), width, height)
}

fn strip(stage: &Stage, (from, to): (f64, f64)) -> Rect {
    Rect::new(0.0, stage.ground(from), stage.width(), stage.ground(to) - stage.ground(from))
}

fn draw_paving(pen: &mut Pen<'_>, stage: &Stage) {
    let seam = Ink::new(156, 152, 146);
    pen.gradient(strip(stage, (0.0, 1.0)), Ink::new(186, 184, 180), Ink::new(178, 173, 165));
    for depth in [0.12, 0.19, 0.27, 0.37, 0.49, 0.63, 0.80] {
        pen.line((0.0, stage.ground(depth)), (stage.width(), stage.ground(depth)), 0.8, seam);
    }
    for part in -12..=12 {
        let (far, near) = (f64::from(part) * 24.0, f64::from(part) * 96.0);
        let middle = stage.width() / 2.0;
        pen.line((middle + far, stage.horizon), (middle + near, stage.height()), 0.8, seam);
    }
}

fn draw_road(pen: &mut Pen<'_>, place: Place, stage: &Stage, (far, near): (f64, f64)) {
    let paint = Ink::new(232, 228, 210);
    pen.gradient(strip(stage, (far, near)), Ink::new(104, 106, 112), Ink::new(84, 86, 92));
    pen.block(strip(stage, (far - 0.015, far)), Ink::new(208, 205, 198));
    pen.block(strip(stage, (near, near + 0.02)), Ink::new(222, 220, 214));
    for pair in place.lanes().windows(2) {
        let [one, other] = pair else { continue };
        let y = stage.ground(one.depth + 0.3 * (other.depth - one.depth));
        let thick = 0.012 * (y - stage.horizon);
        if one.leftwards != other.leftwards {
            pen.block(Rect::new(0.0, y - thick, stage.width(), thick), paint);
            pen.block(Rect::new(0.0, y + thick, stage.width(), thick), paint);
            continue;
        }
        let dash = 0.36 * (y - stage.horizon);
        let mut x = -0.5 * dash;
        while x < stage.width() {
            pen.block(Rect::new(x, y, dash, thick), paint);
            x += 2.0 * dash;
        }
    }
}

/// A row of trees on the far pavement.
fn draw_trees(pen: &mut Pen<'_>, stage: &Stage, dice: &mut Dice) {
    let trees = dice.count(3, 6);
    for tree in 0..trees {
        let x = stage.width() * (f64::from(tree) + dice.between(0.1, 0.9)) / f64::from(trees);
        scenery::draw_tree(pen, x, stage.ground(0.1), stage.horizon * dice.between(0.6, 0.9), dice);
    }
}

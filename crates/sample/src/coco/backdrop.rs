//! What lies behind the objects of a scene: sky, ground, houses, trees. None of it belongs to a category of
//! [`super::category`], so that nothing in a picture lacks its annotation.

use super::scene::{Scene, Setting};
use crate::canvas::{Ink, Pen, Rect};
use crate::dice::Dice;
use crate::scenery;

const WHITE: Ink = Ink::new(250, 250, 250);
const WOOD: Ink = Ink::new(148, 104, 66);
const HILL: Ink = Ink::new(108, 150, 112);

/// Draws everything but the objects.
pub(super) fn draw(pen: &mut Pen<'_>, scene: &Scene, dice: &mut Dice) {
    if scene.setting == Setting::Room {
        return draw_room(pen, scene, dice);
    }
    scenery::draw_sky(pen, &scene.stage, dice);
    match scene.setting {
        Setting::Street => draw_street(pen, scene, dice),
        Setting::Beach => draw_beach(pen, scene, dice),
        Setting::Park => draw_park(pen, scene, dice),
        Setting::Meadow | Setting::Room => draw_meadow(pen, scene, dice),
    }
}

fn draw_street(pen: &mut Pen<'_>, scene: &Scene, dice: &mut Dice) {
    scenery::draw_houses(pen, &scene.stage, dice);
    let width = scene.stage.width();
    let ground = |depth| scene.stage.ground(depth);
    let strip = |from: f64, to: f64| Rect::new(0.0, ground(from), width, ground(to) - ground(from));
    // Down to the lower edge: where strips share a row of pixels, nothing darker shines through.
    pen.block(strip(0.0, 1.0), Ink::new(186, 184, 180));
    pen.gradient(strip(0.14, 0.52), Ink::new(104, 106, 112), Ink::new(84, 86, 92));
    pen.gradient(strip(0.52, 1.0), Ink::new(196, 192, 186), Ink::new(172, 168, 160));
    pen.block(strip(0.50, 0.53), Ink::new(222, 220, 214));
    let mut dash = width * dice.between(-0.1, 0.0);
    while dash < width {
        pen.block(Rect::new(dash, ground(0.31), width * 0.07, 2.0), Ink::new(232, 228, 210));
        dash += width * 0.14;
    }
    let seam = Ink::new(150, 146, 140);
    pen.line((0.0, ground(0.74)), (width, ground(0.74)), 0.8, seam);
    for part in 0..9 {
        let x = width * f64::from(part) / 8.0;
        pen.line((x, ground(0.53)), (x + (x - width / 2.0) * 0.6, ground(1.0)), 0.8, seam);
    }
}

fn draw_beach(pen: &mut Pen<'_>, scene: &Scene, dice: &mut Dice) {
    let (width, horizon, shore) = (scene.stage.width(), scene.stage.horizon, scene.stage.ground(0.26));
    let (_, glow) = scenery::sky(scene.stage.light);
    let sea = Ink::new(52, 130, 172).mixed(glow, 50);
    pen.gradient(Rect::new(0.0, horizon, width, shore - horizon + 6.0), sea, Ink::new(110, 190, 202));
    for _ in 0..26 {
        let (x, y) = (width * dice.between(0.0, 1.0), dice.between(horizon + 2.0, shore - 4.0));
        pen.block(Rect::new(x, y, dice.between(5.0, 16.0), 1.0), WHITE.sheer(90));
    }
    pen.gradient(
        Rect::new(0.0, shore, width, scene.stage.height() - shore),
        Ink::new(238, 218, 168),
        Ink::new(222, 190, 130),
    );
    let mut x = -20.0;
    while x < width {
        let swell = dice.between(40.0, 80.0);
        pen.oval(Rect::new(x, shore - 5.0, swell, 10.0), WHITE.sheer(220));
        pen.oval(Rect::new(x, shore - 8.0, swell, 10.0), Ink::new(110, 190, 202));
        x += swell * 0.75;
    }
    scatter(pen, scene, 0.34, 50, Ink::new(176, 142, 92), dice);
}

fn draw_park(pen: &mut Pen<'_>, scene: &Scene, dice: &mut Dice) {
    let (width, height, horizon) = (scene.stage.width(), scene.stage.height(), scene.stage.horizon);
    draw_hills(pen, scene, dice);
    pen.gradient(Rect::new(0.0, horizon, width, height - horizon), Ink::new(142, 190, 96), Ink::new(86, 150, 70));
    let (start, end) = (width * dice.between(0.3, 0.7), width * dice.between(0.2, 0.6));
    let path = [(start - 3.0, horizon), (start + 5.0, horizon), (end + width * 0.3, height), (end, height)];
    pen.polygon(&path, Ink::new(214, 196, 154));
    scatter(pen, scene, 0.06, 60, Ink::new(64, 122, 56), dice);
    let trees = dice.count(3, 5);
    for tree in 0..trees {
        let x = width * (f64::from(tree) + dice.between(0.1, 0.9)) / f64::from(trees);
        scenery::draw_tree(
            pen,
            x,
            scene.stage.ground(dice.between(0.02, 0.14)),
            horizon * dice.between(0.5, 0.85),
            dice,
        );
    }
}

fn draw_meadow(pen: &mut Pen<'_>, scene: &Scene, dice: &mut Dice) {
    let (width, height, horizon) = (scene.stage.width(), scene.stage.height(), scene.stage.horizon);
    draw_hills(pen, scene, dice);
    if dice.chance(60) {
        draw_barn(pen, width * dice.between(0.08, 0.72), horizon + 3.0, horizon * 0.42);
    }
    pen.gradient(Rect::new(0.0, horizon, width, height - horizon), Ink::new(170, 196, 98), Ink::new(110, 156, 66));
    let (top, bottom) = (scene.stage.ground(0.02) - 14.0, scene.stage.ground(0.12));
    for rail in [0.3, 0.65] {
        pen.block(Rect::new(0.0, top + rail * (bottom - top), width, 3.0), WOOD);
    }
    let mut x = dice.between(0.0, 20.0);
    while x < width {
        pen.block(Rect::new(x, top, 4.0, bottom - top), WOOD.darker());
        x += 34.0;
    }
    scatter(pen, scene, 0.14, 70, Ink::new(88, 132, 54), dice);
    scatter(pen, scene, 0.2, 22, Ink::new(250, 232, 120), dice);
}

fn draw_barn(pen: &mut Pen<'_>, x: f64, ground: f64, height: f64) {
    let (width, red) = (height * 1.25, Ink::new(160, 58, 50));
    pen.block(Rect::new(x, ground - height * 0.6, width, height * 0.6), red);
    let roof = [
        (x - 4.0, ground - height * 0.58),
        (x + width * 0.2, ground - height * 0.9),
        (x + width * 0.5, ground - height),
        (x + width * 0.8, ground - height * 0.9),
        (x + width + 4.0, ground - height * 0.58),
    ];
    pen.polygon(&roof, red.darker());
    pen.block(Rect::new(x + width * 0.34, ground - height * 0.36, width * 0.32, height * 0.36), WHITE.darker());
    pen.block(Rect::new(x + width * 0.37, ground - height * 0.33, width * 0.26, height * 0.33), red.darker());
}

fn draw_hills(pen: &mut Pen<'_>, scene: &Scene, dice: &mut Dice) {
    let (_, haze) = scenery::sky(scene.stage.light);
    for (share, rise) in [(130, 0.36), (60, 0.22)] {
        let x = scene.stage.width() * dice.between(-0.5, 0.4);
        let high = scene.stage.horizon * rise * dice.between(0.8, 1.2);
        for shift in [0.0, 0.72] {
            let hill = Rect::new(
                x + shift * scene.stage.width(),
                scene.stage.horizon - high,
                scene.stage.width() * 0.95,
                2.0 * high,
            );
            pen.oval(hill, HILL.mixed(haze, share));
        }
    }
}

/// Little strokes on the ground, longer towards the viewer.
fn scatter(pen: &mut Pen<'_>, scene: &Scene, from: f64, number: u32, ink: Ink, dice: &mut Dice) {
    for _ in 0..number {
        let depth = dice.between(from, 1.0);
        let (x, y, size) = (scene.stage.width() * dice.between(0.0, 1.0), scene.stage.ground(depth), 1.0 + 1.6 * depth);
        pen.oval(Rect::new(x, y, size * 1.6, size), ink.sheer(120));
    }
}

fn draw_room(pen: &mut Pen<'_>, scene: &Scene, dice: &mut Dice) {
    const WALLS: [Ink; 4] =
        [Ink::new(228, 214, 190), Ink::new(186, 208, 206), Ink::new(216, 196, 204), Ink::new(206, 212, 184)];
    let (width, height, horizon) = (scene.stage.width(), scene.stage.height(), scene.stage.horizon);
    let wall = dice.pick(&WALLS);
    pen.gradient(Rect::new(0.0, 0.0, width, horizon), wall.lighter(), wall);
    pen.gradient(Rect::new(0.0, horizon, width, height - horizon), WOOD.lighter(), WOOD);
    let plank = WOOD.darker().sheer(120);
    for line in [0.12, 0.3, 0.56, 0.86] {
        pen.block(Rect::new(0.0, scene.stage.ground(line), width, 1.0), plank);
    }
    for part in 0..10 {
        let x = width * f64::from(part) / 9.0;
        pen.line((x, horizon), (x + (x - width / 2.0) * 0.8, height), 0.8, plank);
    }
    pen.block(Rect::new(0.0, horizon - 5.0, width, 5.0), WHITE);
    let rug = dice.pick(&[Ink::new(164, 70, 74), Ink::new(72, 100, 140), Ink::new(116, 134, 96)]);
    let carpet = Rect::new(width * 0.18, scene.stage.ground(0.38), width * 0.64, (height - horizon) * 0.52);
    pen.oval(carpet, rug);
    pen.hoop(carpet, 4.0, rug.lighter());
    draw_window(pen, scene, dice);
    draw_table(pen, scene.table);
}

fn draw_window(pen: &mut Pen<'_>, scene: &Scene, dice: &mut Dice) {
    let (width, horizon) = (scene.stage.width(), scene.stage.horizon);
    let on_left = dice.chance(50);
    let frame = Rect::new(width * if on_left { 0.10 } else { 0.58 }, horizon * 0.14, width * 0.30, horizon * 0.48);
    let (top, bottom) = scenery::sky(scene.stage.light);
    pen.block(Rect::new(frame.x - 4.0, frame.y - 4.0, frame.w + 8.0, frame.h + 8.0), WHITE);
    pen.gradient(frame, top, bottom);
    pen.block(Rect::new(frame.x + frame.w / 2.0 - 1.5, frame.y, 3.0, frame.h), WHITE);
    pen.block(Rect::new(frame.x, frame.y + frame.h * 0.45, frame.w, 3.0), WHITE);
    pen.block(Rect::new(frame.x - 7.0, frame.bottom() + 4.0, frame.w + 14.0, 4.0), WHITE.darker());
    let x = width * if on_left { 0.62 } else { 0.14 };
    let picture = Rect::new(x, horizon * 0.2, width * 0.18, horizon * 0.28);
    pen.block(Rect::new(picture.x - 3.0, picture.y - 3.0, picture.w + 6.0, picture.h + 6.0), WOOD.darker());
    pen.gradient(picture, Ink::new(246, 214, 170), Ink::new(226, 150, 110));
    let peak = [
        (x, picture.bottom()),
        (x + picture.w * 0.45, picture.y + picture.h * 0.35),
        (picture.right(), picture.bottom()),
    ];
    pen.polygon(&peak, Ink::new(92, 108, 128));
}

fn draw_table(pen: &mut Pen<'_>, table: Rect) {
    let wood = Ink::new(112, 74, 48);
    pen.oval(Rect::new(table.x, table.bottom() - 5.0, table.w, 9.0), Ink::new(20, 20, 20).sheer(60));
    for leg in [0.06, 0.88] {
        pen.block(Rect::new(table.x + leg * table.w, table.y, table.w * 0.06, table.h), wood.darker());
    }
    pen.rounded(Rect::new(table.x, table.y, table.w, 7.0), 2.0, wood);
    pen.block(Rect::new(table.x + 2.0, table.y, table.w - 4.0, 2.0), wood.lighter());
}

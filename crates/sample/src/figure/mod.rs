//! The figures: how each category looks, and the polygon around it.
//!
//! A figure is described in the unit square of its box, looking to the right, and touches all four sides, so that box,
//! polygon and drawing agree.

mod living;
mod thing;

use self::thing::METAL;
use crate::canvas::{Canvas, Ink, Point, Rect};
use crate::category::Category;
use crate::scene::{Object, Stance};

const SHADOW: Ink = Ink::new(20, 24, 32).sheer(58);

/// Draws an object, and its shadow if it stands on something.
pub(super) fn draw(canvas: &mut Canvas, object: &Object) {
    if matches!(object.stance, Stance::Ground | Stance::Table) {
        cast_shadow(canvas, object.rect);
    }
    let colour = object.colour.ink;
    let variant = object.variant;
    let pen = &mut canvas.figure_pen(object.rect, object.flipped);
    match object.category {
        Category::Person => living::person(pen, colour, variant),
        Category::Bird if object.stance == Stance::Wings => living::flying_bird(pen, colour),
        Category::Bird => living::bird(pen, colour),
        Category::Cat => living::cat(pen, colour),
        Category::Dog => living::dog(pen, colour),
        Category::Horse => living::horse(pen, colour),
        Category::Bicycle => thing::bicycle(pen, colour),
        Category::Car => thing::car(pen, colour),
        Category::Backpack => thing::backpack(pen, colour),
        Category::Umbrella => thing::umbrella(pen, colour),
        Category::Bottle => thing::bottle(pen, colour),
        Category::Chair => thing::chair(pen, colour),
        Category::PottedPlant => thing::potted_plant(pen, colour, variant),
    }
}

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

/// The polygon around an object, in the picture.
pub(super) fn outline(object: &Object) -> Vec<Point> {
    let corners: &[Point] = match object.category {
        Category::Person => &living::PERSON,
        Category::Bird if object.stance == Stance::Wings => &living::FLYING_BIRD,
        Category::Bird => &living::BIRD,
        Category::Cat => &living::CAT,
        Category::Dog => &living::DOG,
        Category::Horse => &living::HORSE,
        Category::Bicycle => &thing::BICYCLE,
        Category::Car => &thing::CAR,
        Category::Backpack => &thing::BACKPACK,
        Category::Umbrella => &thing::UMBRELLA,
        Category::Bottle => &thing::BOTTLE,
        Category::Chair => &thing::CHAIR,
        Category::PottedPlant => &thing::POTTED_PLANT,
    };
    let rect = object.rect;
    let place = |&(u, v): &Point| {
        let u = if object.flipped { 1.0 - u } else { u };
        (rect.x + u * rect.w, rect.y + v * rect.h)
    };
    corners.iter().map(place).collect()
}

fn cast_shadow(canvas: &mut Canvas, rect: Rect) {
    let height = (rect.w * 0.14).min(rect.h * 0.12);
    let shadow = Rect::new(rect.x - 0.04 * rect.w, rect.bottom() - 0.6 * height, rect.w * 1.08, height);
    canvas.pen().oval(shadow, SHADOW);
}

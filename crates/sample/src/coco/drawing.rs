//! How the objects of a scene are drawn, and the polygons around them.

use super::category::Category;
use super::scene::{Object, Stance};
use crate::canvas::{Canvas, Point};
use crate::figure::{cast_shadow, living, thing};

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

//! What stands or moves in a street: its size, its category and how it is drawn.

use super::category::Category;
use crate::canvas::Pen;
use crate::figure::{kerb, moving, thing, traffic};
use crate::palette::{BLACK, BLUE, CLOTHES, Colour, GREEN, GREY, ORANGE, RED, WHITE, YELLOW};

/// A kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A person who walks.
    Walker,
    /// A person on a bicycle, a motor or a tricycle.
    Rider,
    /// A person on a bench.
    Sitter,
    /// A bicycle.
    Bicycle,
    /// A car.
    Car,
    /// A van.
    Van,
    /// A truck.
    Truck,
    /// A tricycle with a box of goods.
    Tricycle,
    /// A tricycle with a cabin.
    AwningTricycle,
    /// A bus.
    Bus,
    /// A motor scooter.
    Motor,
    /// A tractor.
    Tractor,
    /// A street lamp.
    Lamp,
    /// A column with posters.
    Column,
    /// A bench.
    Bench,
}

/// What changes from one thing of a kind to the next, or from frame to frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Details {
    /// The main colour.
    pub(super) colour: Colour,
    /// A number from which people take their hair, skin and clothes.
    pub(super) variant: u32,
    /// How far a step has got, from -1 to 1.
    pub(super) swing: f64,
}

// === impl Look ===

impl Look {
    /// Its category; `None` for what is not annotated.
    pub(super) fn category(self) -> Option<Category> {
        Some(match self {
            Self::Walker => Category::Pedestrian,
            Self::Rider | Self::Sitter => Category::People,
            Self::Bicycle => Category::Bicycle,
            Self::Car => Category::Car,
            Self::Van => Category::Van,
            Self::Truck => Category::Truck,
            Self::Tricycle => Category::Tricycle,
            Self::AwningTricycle => Category::AwningTricycle,
            Self::Bus => Category::Bus,
            Self::Motor => Category::Motor,
            Self::Tractor => Category::Others,
            Self::Lamp | Self::Column | Self::Bench => return None,
        })
    }

    /// The height in heights of a person, and the width in heights of the thing itself.
    pub(super) fn size(self) -> (f64, f64) {
        match self {
            Self::Walker => (1.0, 0.5),
            Self::Rider => (0.86, 0.6),
            Self::Sitter => (0.76, 0.62),
            Self::Bicycle => (0.58, 1.6),
            Self::Car => (0.84, 2.2),
            Self::Van => (1.18, 2.1),
            Self::Truck => (1.5, 2.4),
            Self::Tricycle => (0.66, 1.7),
            Self::AwningTricycle => (1.08, 1.35),
            Self::Bus => (1.6, 2.9),
            Self::Motor => (0.6, 1.6),
            Self::Tractor => (1.36, 1.25),
            Self::Lamp => (2.6, 0.14),
            Self::Column => (1.7, 0.5),
            Self::Bench => (0.5, 2.6),
        }
    }

    /// The colours it comes in.
    pub(super) fn colours(self) -> &'static [Colour] {
        match self {
            Self::Walker | Self::Rider | Self::Sitter => CLOTHES,
            Self::Car => &[RED, BLUE, WHITE, GREY, BLACK, YELLOW, GREEN],
            Self::Van => &[WHITE, WHITE, BLUE, GREY],
            Self::Tractor => &[GREEN, RED],
            _ => &[RED, BLUE, GREEN, ORANGE],
        }
    }

    /// Where its rider sits, as left, top, right and bottom in the unit square of the vehicle.
    pub(super) fn saddle(self) -> Option<[f64; 4]> {
        match self {
            Self::Bicycle => Some([0.25, -0.66, 0.79, 0.82]),
            Self::Motor => Some([0.22, -0.72, 0.76, 0.74]),
            Self::Tricycle => Some([0.47, -0.54, 0.87, 0.76]),
            _ => None,
        }
    }

    /// Draws it into the unit square of the pen.
    pub(super) fn draw(self, pen: &mut Pen<'_>, details: &Details) {
        let Details { colour: Colour { ink, .. }, variant, swing } = *details;
        match self {
            Self::Walker => moving::walker(pen, ink, variant, swing),
            Self::Rider => moving::rider(pen, ink, variant, swing),
            Self::Sitter => moving::sitter(pen, ink, variant),
            Self::Bicycle => thing::bicycle(pen, ink),
            Self::Car => thing::car(pen, ink),
            Self::Van => traffic::van(pen, ink),
            Self::Truck => traffic::truck(pen, ink),
            Self::Tricycle => traffic::tricycle(pen, ink),
            Self::AwningTricycle => traffic::awning_tricycle(pen, ink),
            Self::Bus => traffic::bus(pen, ink),
            Self::Motor => traffic::motor(pen, ink),
            Self::Tractor => traffic::tractor(pen, ink),
            Self::Lamp => kerb::lamp(pen),
            Self::Column => kerb::column(pen, ink),
            Self::Bench => kerb::bench(pen),
        }
    }
}

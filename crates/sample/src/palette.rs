//! The colours that things come in, by their names.

use crate::canvas::Ink;

/// A named colour that a figure is mainly painted in; captions use the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour {
    /// The word for it.
    pub(super) name: &'static str,
    /// The paint.
    pub(super) ink: Ink,
}

pub(super) const BLACK: Colour = Colour { name: "black", ink: Ink::new(52, 50, 54) };
pub(super) const BLUE: Colour = Colour { name: "blue", ink: Ink::new(48, 102, 190) };
pub(super) const BROWN: Colour = Colour { name: "brown", ink: Ink::new(134, 88, 52) };
pub(super) const GREEN: Colour = Colour { name: "green", ink: Ink::new(54, 138, 84) };
pub(super) const GREY: Colour = Colour { name: "grey", ink: Ink::new(132, 136, 142) };
pub(super) const ORANGE: Colour = Colour { name: "orange", ink: Ink::new(226, 126, 44) };
pub(super) const PURPLE: Colour = Colour { name: "purple", ink: Ink::new(124, 74, 158) };
pub(super) const RED: Colour = Colour { name: "red", ink: Ink::new(200, 48, 46) };
pub(super) const WHITE: Colour = Colour { name: "white", ink: Ink::new(236, 234, 228) };
pub(super) const YELLOW: Colour = Colour { name: "yellow", ink: Ink::new(238, 196, 52) };
/// What people wear.
pub(super) const CLOTHES: &[Colour] = &[RED, BLUE, GREEN, YELLOW, WHITE, ORANGE, PURPLE];

//! The things that can stand in a scene: twelve of COCO's categories, with their true ids, and their looks.

use crate::palette::{BLACK, BLUE, BROWN, CLOTHES, Colour, GREEN, GREY, ORANGE, PURPLE, RED, WHITE, YELLOW};

/// One of COCO's categories, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Category {
    /// COCO 1.
    Person,
    /// COCO 2.
    Bicycle,
    /// COCO 3.
    Car,
    /// COCO 16.
    Bird,
    /// COCO 17.
    Cat,
    /// COCO 18.
    Dog,
    /// COCO 19.
    Horse,
    /// COCO 27.
    Backpack,
    /// COCO 28.
    Umbrella,
    /// COCO 44.
    Bottle,
    /// COCO 62.
    Chair,
    /// COCO 64.
    PottedPlant,
}

/// What there is to know about a category.
#[derive(Debug)]
pub(super) struct Kind {
    /// COCO's id.
    pub(super) id: u32,
    /// COCO's name, which is the English singular.
    pub(super) name: &'static str,
    /// The English plural.
    pub(super) plural: &'static str,
    /// COCO's group of categories.
    pub(super) supercategory: &'static str,
    /// The height, in heights of a person.
    pub(super) height: f64,
    /// The width, in heights of the thing itself.
    pub(super) aspect: f64,
    /// How near to the viewer it may stand: 0 is the horizon, 1 the lower edge of the picture.
    pub(super) depth: (f64, f64),
    /// The colours it comes in.
    pub(super) colours: &'static [Colour],
}

const KINDS: [Kind; 12] = [
    kind(1, ["person", "people", "person"], [1.0, 0.42], (0.34, 0.96), CLOTHES),
    kind(2, ["bicycle", "bicycles", "vehicle"], [0.56, 1.6], (0.30, 0.70), &[RED, BLUE, BLACK, GREEN]),
    kind(3, ["car", "cars", "vehicle"], [0.66, 2.2], (0.24, 0.44), &[RED, BLUE, WHITE, YELLOW, GREEN]),
    kind(16, ["bird", "birds", "animal"], [0.22, 1.25], (0.55, 0.96), &[BLUE, RED, BLACK, WHITE]),
    kind(17, ["cat", "cats", "animal"], [0.38, 0.84], (0.60, 0.96), &[BLACK, ORANGE, GREY, WHITE]),
    kind(18, ["dog", "dogs", "animal"], [0.42, 1.3], (0.50, 0.96), &[BROWN, BLACK, WHITE, GREY]),
    kind(19, ["horse", "horses", "animal"], [1.05, 1.2], (0.22, 0.60), &[BROWN, BLACK, WHITE]),
    kind(27, ["backpack", "backpacks", "accessory"], [0.34, 0.8], (0.60, 0.96), &[RED, BLUE, ORANGE, GREEN]),
    kind(28, ["umbrella", "umbrellas", "accessory"], [1.15, 1.05], (0.32, 0.60), &[RED, YELLOW, BLUE, GREEN, PURPLE]),
    kind(44, ["bottle", "bottles", "kitchen"], [0.24, 0.34], (0.60, 0.96), &[GREEN, BROWN, BLUE]),
    kind(62, ["chair", "chairs", "furniture"], [0.66, 0.62], (0.30, 0.55), &[BROWN, RED, WHITE, BLUE]),
    kind(64, ["potted plant", "potted plants", "furniture"], [0.60, 0.72], (0.22, 0.50), &[GREEN]),
];

/// One line of the table: id; name, plural, group; height, aspect; depth; colours.
const fn kind(
    id: u32,
    [name, plural, supercategory]: [&'static str; 3],
    [height, aspect]: [f64; 2],
    depth: (f64, f64),
    colours: &'static [Colour],
) -> Kind {
    Kind { id, name, plural, supercategory, height, aspect, depth, colours }
}

// === impl Category ===

impl Category {
    /// All of them, in the order of their ids.
    pub(super) const ALL: [Self; 12] = [
        Self::Person,
        Self::Bicycle,
        Self::Car,
        Self::Bird,
        Self::Cat,
        Self::Dog,
        Self::Horse,
        Self::Backpack,
        Self::Umbrella,
        Self::Bottle,
        Self::Chair,
        Self::PottedPlant,
    ];

    /// What there is to know about it.
    pub(super) fn kind(self) -> &'static Kind {
        &KINDS[self as usize]
    }

    /// Whether it is alive, and so can be the subject of "standing near".
    pub(super) fn alive(self) -> bool {
        matches!(self, Self::Person | Self::Bird | Self::Cat | Self::Dog | Self::Horse)
    }
}

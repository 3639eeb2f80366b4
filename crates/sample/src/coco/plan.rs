//! Which pictures there are, in which split, and which flaw each of them carries.
//!
//! Pictures come in blocks of [`BLOCK`]; each whole block holds every role as often as [`ROLES`] lists it, in an order
//! of its own. No picture has two roles, so that no two flaws meet and each can be counted for itself.

use super::options::CocoOptions;
use crate::dice::Dice;

/// The size of a block of pictures.
const BLOCK: u32 = 40;
/// The roles of a block; the rest of it is [`Role::Plain`].
const ROLES: [Role; 25] = [
    Role::Crowded,
    Role::Crowded,
    Role::Crowded,
    Role::Crowded,
    Role::CrowdRegion,
    Role::NearlyCrowded,
    Role::RepeatedAnnotation,
    Role::RenumberedAnnotation,
    Role::RepeatedEntry,
    Role::Twin,
    Role::Twin,
    Role::NoAnnotations,
    Role::NoCaptions,
    Role::Degenerate,
    Role::MissingLicense,
    Role::MissingDate,
    Role::EmptyDate,
    Role::NullCaption,
    Role::EmptyCaption,
    Role::BlankCaption,
    Role::PaddedCaption,
    Role::PaddedCaption,
    Role::RepeatedCaption,
    Role::RenumberedCaption,
    Role::RenumberedCaption,
];
/// Every fifth picture is for validation.
const SPLIT: u32 = 5;
/// The ids of the COCO of 2017 end near this number.
const LAST_ID: u32 = 581_000;

/// The part of the data that a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// `train2017`.
    Train,
    /// `val2017`.
    Val,
}

/// What is special about a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Plain,
    /// Five to fourteen people.
    Crowded,
    /// As crowded, and a distant crowd as one region (`iscrowd` 1).
    CrowdRegion,
    /// Four people, whose repeated annotations make it look crowded.
    NearlyCrowded,
    /// An annotation stands in the file twice, under one id.
    RepeatedAnnotation,
    /// An annotation stands in the file twice, under two ids.
    RenumberedAnnotation,
    /// The entry of the picture stands in the file twice.
    RepeatedEntry,
    /// The file equals that of another picture, byte for byte.
    Twin,
    /// Nothing is in the picture.
    NoAnnotations,
    /// Nothing is said about the picture.
    NoCaptions,
    /// An annotation has a box without width.
    Degenerate,
    /// The entry names no licence.
    MissingLicense,
    /// The entry has no date.
    MissingDate,
    /// The entry has a date without text.
    EmptyDate,
    /// One more caption is null.
    NullCaption,
    /// One more caption is the empty text.
    EmptyCaption,
    /// One more caption is nothing but white space.
    BlankCaption,
    /// A caption has white space around it.
    PaddedCaption,
    /// A caption stands in the file twice, under one id.
    RepeatedCaption,
    /// A caption stands in the file twice, under two ids.
    RenumberedCaption,
}

/// One picture to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    /// COCO's id, which also names the file.
    pub(super) id: u32,
    /// Where it belongs.
    pub(super) split: Split,
    /// What is special about it.
    pub(super) role: Role,
    /// The stream of [`Dice`] that composes and draws it; twins share one.
    pub(super) stream: u64,
    /// The number of its block: the same role takes turns between variants from block to block.
    pub(super) block: u32,
    /// Whether it is the later one of two twins.
    pub(super) copied: bool,
}

/// All pictures, ids ascending.
pub(super) fn pictures(options: &CocoOptions) -> Vec<Picture> {
    let mut dice = Dice::new(options.seed, 0);
    let step = (LAST_ID / options.images.max(1)).max(2);
    let mut id = dice.count(1, step);
    let mut roles = Vec::new();
    let mut twin = None;
    let mut pictures = Vec::new();
    for index in 0..options.images {
        if index % BLOCK == 0 {
            roles = shuffled_roles(&mut dice);
            twin = None;
        }
        let role = roles.pop().unwrap_or(Role::Plain);
        let own_stream = u64::from(index) + 1;
        let first_twin = if role == Role::Twin { twin.replace(own_stream) } else { None };
        let split = if index % SPLIT == SPLIT - 1 { Split::Val } else { Split::Train };
        let stream = first_twin.unwrap_or(own_stream);
        pictures.push(Picture { id, split, role, stream, block: index / BLOCK, copied: first_twin.is_some() });
        id += dice.count(1, 2 * step - 1);
    }
    pictures
}

fn shuffled_roles(dice: &mut Dice) -> Vec<Role> {
    let mut roles = ROLES.to_vec();
    roles.resize(BLOCK as usize, Role::Plain);
    dice.shuffle(&mut roles);
    roles
}

// === impl Split ===

impl Split {
    /// The folder of its pictures and the end of the names of its files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train2017",
            Self::Val => "val2017",
        }
    }
}

// === impl Picture ===

impl Picture {
    /// COCO's name of the file.
    pub(super) fn file_name(&self) -> String {
        format!("{:012}.jpg", self.id)
    }
}

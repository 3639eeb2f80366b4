//! Which sequences there are, in which split, and what is special about each of them.
//!
//! Four kinds take turns: rush hour on a boulevard, a street, an almost empty street, and people on a square.

use super::options::VisdroneOptions;
use super::place::Place;
use crate::dice::Dice;
use crate::stage::Light;

/// Every fourth sequence is for validation.
const KINDS: u32 = 4;

/// The part of the data that a sequence belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// `VisDrone2019-MOT-train`.
    Train,
    /// `VisDrone2019-MOT-val`.
    Val,
}

/// How much there is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bustle {
    /// Nothing at the beginning, and little later.
    Quiet,
    /// Gaps everywhere.
    Steady,
    /// Hardly a gap.
    Rush,
}

/// The order of the lines in the annotation file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Frame by frame.
    Frames,
    /// Target by target.
    Targets,
    /// None.
    Shuffled,
}

/// What is odd about annotations, as in real ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// Some lines end with a comma.
    TrailingCommas,
    /// The last line is blank.
    BlankLastLine,
    /// A distant crowd is an ignored region.
    IgnoredRegion,
    /// One target has the score 0.
    UnscoredTarget,
}

/// One sequence to be made.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    /// The name, such as `uav0000086_00000_v`.
    pub(super) name: String,
    /// Where it belongs.
    pub(super) split: Split,
    /// Where it plays.
    pub(super) place: Place,
    /// When it plays.
    pub(super) light: Light,
    /// How much there is to see.
    pub(super) bustle: Bustle,
    /// The order of its lines.
    pub(super) order: Order,
    /// What else is odd about its annotations.
    oddities: &'static [Oddity],
    /// The stream of [`Dice`] that composes it.
    pub(super) stream: u64,
}

/// All sequences, in the order of their names.
pub(super) fn sequences(options: &VisdroneOptions) -> Vec<Sequence> {
    let mut dice = Dice::new(options.seed, 0);
    let mut number = 0;
    let sequence = |index: u32| {
        number += dice.count(5, 90);
        let start = if dice.chance(50) { 0 } else { dice.count(1, 60) * 30 };
        let name = format!("uav{number:07}_{start:05}_v");
        let light = dice.pick(&[Light::Sunny, Light::Sunny, Light::Cloudy, Light::Dusk]);
        let split = if index % KINDS == KINDS - 1 { Split::Val } else { Split::Train };
        let (place, bustle, order, oddities) = kind(index);
        Sequence { name, split, place, light, bustle, order, oddities, stream: u64::from(index) + 1 }
    };
    (0..options.sequences).map(sequence).collect()
}

fn kind(index: u32) -> (Place, Bustle, Order, &'static [Oddity]) {
    use Oddity::{BlankLastLine, IgnoredRegion, TrailingCommas, UnscoredTarget};
    match index % KINDS {
        0 => (Place::Boulevard, Bustle::Rush, Order::Frames, &[IgnoredRegion, UnscoredTarget, TrailingCommas]),
        1 => (Place::Street, Bustle::Steady, Order::Shuffled, &[IgnoredRegion, UnscoredTarget]),
        // Without an ignored region, so that frames are without any line.
        2 => (Place::Street, Bustle::Quiet, Order::Frames, &[BlankLastLine]),
        _ => (Place::Square, Bustle::Steady, Order::Targets, &[IgnoredRegion, UnscoredTarget, TrailingCommas]),
    }
}

// === impl Sequence ===

impl Sequence {
    /// Whether its annotations are odd in this way.
    pub(super) fn has(&self, oddity: Oddity) -> bool {
        self.oddities.contains(&oddity)
    }
}

// === impl Split ===

impl Split {
    /// The name of its folder.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Train => "VisDrone2019-MOT-train",
            Self::Val => "VisDrone2019-MOT-val",
        }
    }

    /// The short name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
        }
    }
}

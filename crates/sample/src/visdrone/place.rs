//! Where a sequence plays: what moves on which line of the ground, and in which direction.

use super::look::Look;
use crate::stage::{Light, Stage};

/// The width of a frame in pixels.
pub(super) const WIDTH: u32 = 480;
/// The height of a frame in pixels.
pub(super) const HEIGHT: u32 = 270;
/// The height of a person, in parts of the distance between feet and horizon: the camera hangs three people high.
const PERSON: f64 = 0.31;

/// Where a sequence plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Two lanes in each direction and a cycle path.
    Boulevard,
    /// One lane in each direction.
    Street,
    /// Paving from edge to edge.
    Square,
}

/// A line on which vehicles move behind one another, all of them at the speed of the lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    /// Where the wheels are: 0 is the horizon, 1 the lower edge of the frame.
    pub(super) depth: f64,
    /// Traffic keeps to the right, so the far lanes lead to the left.
    pub(super) leftwards: bool,
    /// The full speed, in heights of a person per frame.
    pub(super) speed: f64,
    /// What moves there; the more often it is listed, the more often it comes.
    pub(super) traffic: &'static [Look],
}

const CARS: &[Look] = {
    use Look::{AwningTricycle, Bus, Car, Motor, Truck, Van};
    &[Car, Car, Van, Truck, Bus, Motor, AwningTricycle]
};
const SMALL_CARS: &[Look] = {
    use Look::{AwningTricycle, Car, Motor, Tricycle, Van};
    &[Car, Car, Car, Car, Van, Motor, Motor, Tricycle, AwningTricycle]
};
const CYCLES: &[Look] = {
    use Look::{Bicycle, Motor, Tricycle};
    &[Bicycle, Bicycle, Bicycle, Bicycle, Motor, Tricycle]
};

const BOULEVARD: &[Lane] = &[
    lane(0.43, true, 0.13, CARS),
    lane(0.51, true, 0.16, SMALL_CARS),
    lane(0.61, false, 0.15, SMALL_CARS),
    lane(0.71, false, 0.12, CARS),
    lane(0.79, false, 0.075, CYCLES),
];
const STREET: &[Lane] =
    &[lane(0.48, true, 0.13, CARS), lane(0.60, false, 0.12, CARS), lane(0.69, false, 0.075, CYCLES)];
const SQUARE: &[Lane] = &[lane(0.40, true, 0.07, CYCLES), lane(0.66, false, 0.06, CYCLES)];

const fn lane(depth: f64, leftwards: bool, speed: f64, traffic: &'static [Look]) -> Lane {
    Lane { depth, leftwards, speed, traffic }
}

/// The height in pixels of a person whose feet are at `ground`.
pub(super) fn person_height(stage: &Stage, ground: f64) -> f64 {
    PERSON * (ground - stage.horizon)
}

// === impl Place ===

impl Place {
    /// The picture, empty.
    pub(super) fn stage(self, light: Light) -> Stage {
        let horizon = if self == Self::Square { 52.0 } else { 58.0 };
        Stage { width: WIDTH, height: HEIGHT, light, horizon }
    }

    /// Its lanes, the farthest first.
    pub(super) fn lanes(self) -> &'static [Lane] {
        match self {
            Self::Boulevard => BOULEVARD,
            Self::Street => STREET,
            Self::Square => SQUARE,
        }
    }

    /// The strips on which people walk, from depth to depth.
    pub(super) fn walks(self) -> &'static [(f64, f64)] {
        match self {
            Self::Boulevard => &[(0.28, 0.34), (0.87, 0.98)],
            Self::Street => &[(0.28, 0.36), (0.78, 0.98)],
            Self::Square => &[(0.27, 0.39), (0.42, 0.62), (0.69, 0.98)],
        }
    }

    /// From where to where the road reaches.
    pub(super) fn road(self) -> Option<(f64, f64)> {
        match self {
            Self::Boulevard => Some((0.36, 0.83)),
            Self::Street => Some((0.38, 0.73)),
            Self::Square => None,
        }
    }
}

//! Who takes part in a sequence, and where everybody is in each frame.
//!
//! Before the first frame everybody who will come is lined up, far outside of the picture if need be; from then on all
//! of them only move. Vehicles of a lane share one speed, which rises and falls, so that none runs into another; people
//! walk at their own.

use super::look::{Details, Look};
use super::place::{Lane, Place, person_height};
use super::plan::Bustle;
use crate::canvas::Rect;
use crate::dice::Dice;
use crate::stage::Stage;

/// A part of the full speed by which a lane slows down or speeds up per frame, at most.
const ACCELERATION: f64 = 0.03;

/// Everybody and everything that is drawn over the backdrop.
#[derive(Debug)]
pub(super) struct Cast {
    stage: Stage,
    members: Vec<Member>,
    /// For each lane, how far it has moved until each frame, in pixels.
    travels: Vec<Vec<f64>>,
}

/// One that takes part.
#[derive(Debug)]
struct Member {
    look: Look,
    details: Details,
    /// The middle before the first frame.
    start: f64,
    /// The ground under it at the left and at the right edge of the picture.
    ground: (f64, f64),
    leftwards: bool,
    gait: Gait,
    /// The rider, if it has one.
    rider: Option<Details>,
}

/// How one moves.
#[derive(Clone, Copy, Debug)]
enum Gait {
    /// Not at all.
    Still,
    /// By so many pixels per frame.
    Steady(f64),
    /// With the lane of this number.
    Lane(usize),
}

/// One member in one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    /// Which member it is, or whose rider: equal from frame to frame, different from all others.
    pub(super) number: usize,
    /// What it is.
    pub(super) look: Look,
    /// Its details in this frame.
    pub(super) details: Details,
    /// Into where it is drawn, in whole pixels; it may lie outside of the picture.
    pub(super) rect: Rect,
    /// Whether it looks to the left.
    pub(super) flipped: bool,
    /// Whether its middle is in the picture: it enters once and leaves once, whatever its arms and legs do.
    pub(super) is_inside: bool,
    /// The ground under it: who stands lower is nearer.
    ground: f64,
}

/// The speed of a lane in each of the frames, added up.
fn travel(full: f64, frames: u32, dice: &mut Dice) -> Vec<f64> {
    let (mut speed, mut aim, mut distance) = (full, full, 0.0);
    let mut until = 0;
    let step = |frame| {
        if frame == until {
            until += dice.count(25, 70);
            aim = full * dice.pick(&[1.0, 1.0, 0.8, 0.6, 0.3]);
        }
        speed = (speed + ACCELERATION * full).min(aim).max(speed - ACCELERATION * full);
        let reached = distance;
        distance += speed;
        reached
    };
    (0..frames).map(step).collect()
}

/// From -1 to 1 and back while one moves by `stride`.
fn swing(distance: f64, stride: f64) -> f64 {
    let steps = distance / stride;
    4.0 * (steps - steps.floor() - 0.5).abs() - 1.0
}

// === impl Bustle ===

impl Bustle {
    /// The distance between two vehicles of a lane, in heights of a person.
    fn gap(self) -> (f64, f64) {
        match self {
            Self::Quiet => (5.0, 14.0),
            Self::Steady => (1.0, 5.0),
            Self::Rush => (0.5, 3.5),
        }
    }

    /// The distance between two people who walk one way, in heights of a person.
    fn spacing(self) -> (f64, f64) {
        match self {
            Self::Quiet => (14.0, 30.0),
            Self::Steady => (3.0, 10.0),
            Self::Rush => (1.5, 7.0),
        }
    }
}

// === impl Cast ===

impl Cast {
    /// Lines up everybody for a sequence of so many frames.
    pub(super) fn new(place: Place, stage: &Stage, bustle: Bustle, frames: u32, dice: &mut Dice) -> Self {
        let mut cast = Self { stage: *stage, members: Vec::new(), travels: Vec::new() };
        if bustle != Bustle::Quiet {
            cast.furnish(place, dice);
        }
        for lane in place.lanes() {
            cast.fill_lane(lane, bustle, frames, dice);
        }
        for &strip in place.walks() {
            for leftwards in [true, false] {
                cast.fill_walk(strip, leftwards, bustle, frames, dice);
            }
        }
        cast
    }

    /// Who is in the picture in a frame, or near it, the farthest first. Frames count from 0.
    pub(super) fn bodies(&self, frame: u32) -> Vec<Body> {
        let members = self.members.iter().enumerate();
        let mut bodies: Vec<Body> = members.flat_map(|(index, member)| self.pose(index, member, frame)).collect();
        bodies.retain(|body| body.rect.right() > 0.0 && body.rect.x < self.stage.width());
        bodies.sort_by(|one, other| one.ground.total_cmp(&other.ground));
        bodies
    }

    /// Puts lamps, a column with posters, benches with people, and parked vehicles where they stand.
    fn furnish(&mut self, place: Place, dice: &mut Dice) {
        let width = self.stage.width();
        let kerb = place.road().map_or(0.41, |(_, near)| near + 0.02);
        let shift = dice.between(0.0, 0.3);
        for part in 0..3 {
            self.stand(Look::Lamp, width * (shift + 0.33 * f64::from(part)), kerb, dice);
        }
        self.stand(Look::Column, width * dice.between(0.2, 0.8), kerb + 0.04, dice);
        let bench = width * dice.between(0.1, 0.9);
        self.stand(Look::Bench, bench, kerb + 0.05, dice);
        for side in [-0.55, 0.45] {
            let ground = self.stage.ground(kerb + 0.055);
            self.stand(Look::Sitter, bench + side * person_height(&self.stage, ground), kerb + 0.055, dice);
        }
        if let Some((far, _)) = place.road() {
            let mut x = width * dice.between(0.05, 0.3);
            for look in [Look::Tractor, Look::Car, Look::Car].into_iter().take(dice.count(2, 3) as usize) {
                self.stand(look, x, far + 0.015, dice);
                x += width * dice.between(0.11, 0.3);
            }
        }
    }

    fn stand(&mut self, look: Look, x: f64, depth: f64, dice: &mut Dice) {
        let ground = self.stage.ground(depth);
        let leftwards = matches!(look, Look::Car | Look::Tractor) || (look == Look::Sitter && dice.chance(50));
        self.add(look, x, (ground, ground), leftwards, Gait::Still, dice);
    }

    /// Lines up the vehicles of a lane, the first one where it leaves the picture or, if it is quiet, before it enters.
    fn fill_lane(&mut self, lane: &Lane, bustle: Bustle, frames: u32, dice: &mut Dice) {
        let ground = self.stage.ground(lane.depth);
        let person = person_height(&self.stage, ground);
        let travel = travel(lane.speed * person, frames, dice);
        let reach = travel.last().copied().unwrap_or(0.0) + 4.0 * person;
        let gait = Gait::Lane(self.travels.len());
        self.travels.push(travel);
        let width = self.stage.width();
        // Measured against the direction of the lane, from the edge where vehicles enter.
        let mut place = if bustle == Bustle::Quiet { -person * dice.between(1.0, 4.0) } else { width };
        let mut waiting = Vec::new();
        while place > -reach {
            if waiting.is_empty() {
                waiting.extend_from_slice(lane.traffic);
                dice.shuffle(&mut waiting);
            }
            let look = waiting.pop().unwrap_or(Look::Car);
            let (height, aspect) = look.size();
            let half = 0.5 * height * aspect * person;
            place -= half;
            let x = if lane.leftwards { width - place } else { place };
            self.add(look, x, (ground, ground), lane.leftwards, gait, dice);
            let (least, most) = bustle.gap();
            place -= half + person * dice.between(least, most);
        }
    }

    /// Lines up the people who walk one way on a strip.
    fn fill_walk(&mut self, strip: (f64, f64), leftwards: bool, bustle: Bustle, frames: u32, dice: &mut Dice) {
        const PACE: (f64, f64) = (0.024, 0.042);
        let width = self.stage.width();
        let person = person_height(&self.stage, self.stage.ground(f64::midpoint(strip.0, strip.1)));
        let reach = person * (PACE.1 * f64::from(frames) + 1.0);
        let mut place = if bustle == Bustle::Quiet { -person * dice.between(0.9, 2.0) } else { width };
        while place > -reach {
            let ground = |dice: &mut Dice| self.stage.ground(dice.between(strip.0, strip.1));
            let ground = (ground(dice), ground(dice));
            let x = if leftwards { width - place } else { place };
            let gait = Gait::Steady(person * dice.between(PACE.0, PACE.1));
            self.add(Look::Walker, x, ground, leftwards, gait, dice);
            let (least, most) = bustle.spacing();
            place -= person * dice.between(least, most);
        }
    }

    fn add(&mut self, look: Look, start: f64, ground: (f64, f64), leftwards: bool, gait: Gait, dice: &mut Dice) {
        let mut details =
            |look: Look| Details { colour: dice.pick(look.colours()), variant: dice.count(0, 999), swing: 0.0 };
        let rider = look.saddle().map(|_| details(Look::Rider));
        self.members.push(Member { look, details: details(look), start, ground, leftwards, gait, rider });
    }

    /// A member in a frame, and the rider.
    fn pose(&self, index: usize, member: &Member, frame: u32) -> impl Iterator<Item = Body> {
        let &Member { look, start, leftwards, gait, .. } = member;
        let distance = match gait {
            Gait::Still => 0.0,
            Gait::Steady(pace) => pace * f64::from(frame),
            Gait::Lane(lane) => {
                self.travels.get(lane).and_then(|travel| travel.get(frame as usize)).map_or(0.0, |&x| x)
            }
        };
        let middle = if leftwards { start - distance } else { start + distance };
        let (left, right) = member.ground;
        let ground = left + (right - left) * (middle / self.stage.width());
        let person = person_height(&self.stage, ground);
        let (height, aspect) = look.size();
        let (width, height) = ((height * aspect * person).round(), (height * person).round());
        let rect = Rect::new((middle - width / 2.0).round(), (ground - height).round(), width, height);
        let swing = swing(distance + start, person);
        let details = Details { swing, ..member.details };
        let inside = 0.0..=self.stage.width();
        let is_inside = inside.contains(&middle);
        let body = Body { number: 2 * index, look, details, rect, flipped: leftwards, is_inside, ground };
        let rider = member.rider.zip(look.saddle()).map(|(details, saddle)| {
            let rect = seat(rect, saddle, leftwards);
            let is_inside = inside.contains(&(rect.x + rect.w / 2.0));
            let details = Details { swing, ..details };
            Body { number: 2 * index + 1, look: Look::Rider, details, rect, is_inside, ground: ground + 0.01, ..body }
        });
        std::iter::once(body).chain(rider)
    }
}

/// Where the rider of a vehicle is, in whole pixels.
fn seat(vehicle: Rect, [left, top, right, bottom]: [f64; 4], flipped: bool) -> Rect {
    let (left, right) = if flipped { (1.0 - right, 1.0 - left) } else { (left, right) };
    let x = vehicle.x + (left * vehicle.w).round();
    let y = vehicle.y + (top * vehicle.h).round();
    Rect::new(x, y, ((right - left) * vehicle.w).round(), ((bottom - top) * vehicle.h).round())
}

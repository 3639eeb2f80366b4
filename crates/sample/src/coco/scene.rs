//! What a picture shows: the place, the light, and what stands where. Composed before anything is drawn, so that
//! boxes, captions and drawing all follow from one description.

use super::category::Category;
use super::plan::Role;
use crate::canvas::Rect;
use crate::dice::Dice;
use crate::palette::Colour;
use crate::stage::{Light, Stage};

/// Where a scene plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// Houses, a road, pavements.
    Street,
    /// Grass, trees, a path.
    Park,
    /// Sea and sand.
    Beach,
    /// A living room with a table.
    Room,
    /// A meadow with a fence and a barn.
    Meadow,
}

/// What carries a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// The ground, or the floor.
    Ground,
    /// The table of a room.
    Table,
    /// The hand of a person.
    Hand,
    /// Its wings.
    Wings,
}

/// One thing in a scene.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object {
    /// What it is.
    pub(super) category: Category,
    /// Its box, with coordinates of two decimals; everything of it is drawn inside.
    pub(super) rect: Rect,
    /// Its main colour.
    pub(super) colour: Colour,
    /// Whether it looks to the left.
    pub(super) flipped: bool,
    /// What carries it.
    pub(super) stance: Stance,
    /// A number from which the figure takes its lesser details.
    pub(super) variant: u32,
    /// Its lower end on the ground: what is farther down is nearer and hides what lies behind.
    ground: f64,
}

/// A whole picture.
#[derive(Debug)]
pub(super) struct Scene {
    /// Size, light and horizon.
    pub(super) stage: Stage,
    /// The place.
    pub(super) setting: Setting,
    /// The table of a room.
    pub(super) table: Rect,
    /// The region of a distant crowd, in whole pixels.
    pub(super) crowd: Option<Rect>,
    /// What stands in it, the farthest first.
    pub(super) objects: Vec<Object>,
}

/// Composes the scene of a picture that has the given role.
pub(super) fn compose(role: Role, dice: &mut Dice) -> Scene {
    let crowded = matches!(role, Role::Crowded | Role::CrowdRegion);
    let mut scene = stage(crowded, dice);
    if role == Role::NoAnnotations {
        return scene;
    }
    if role == Role::CrowdRegion {
        scene.crowd = Some(scene.crowd_region(dice));
    }
    let people = match role {
        Role::Crowded => dice.count(5, 14),
        Role::CrowdRegion => dice.count(6, 8),
        Role::NearlyCrowded => 4,
        _ => dice.pick(&[0, 0, 0, 1, 1, 1, 2, 2, 3]),
    };
    let mut cast = vec![Category::Person; people as usize];
    scene.add_things(&mut cast, dice);
    dice.shuffle(&mut cast);
    let flying = cast.iter().any(|&category| category != Category::Bird) && dice.chance(50);
    let slot = scene.stage.width() / f64::from(u32::try_from(cast.len()).unwrap_or(1));
    let mut left = 0.0;
    for category in cast {
        let x = left + slot * dice.between(0.3, 0.7);
        let object = scene.place(category, x, flying, dice);
        scene.objects.push(object);
        left += slot;
    }
    scene.hand_out_umbrellas();
    scene.objects.sort_by(|one, other| one.ground.total_cmp(&other.ground));
    scene
}

/// An empty scene.
fn stage(crowded: bool, dice: &mut Dice) -> Scene {
    use Setting::{Beach, Meadow, Park, Room, Street};
    let (width, height) = match dice.count(0, 9) {
        _ if crowded => (dice.count(320, 380), dice.count(220, 260)),
        0 => (dice.count(216, 250), dice.count(290, 330)),
        1 => (256, 256),
        2..5 => (320, 240),
        _ => (dice.count(290, 370), dice.count(205, 260)),
    };
    let setting = dice.pick(if crowded { &[Street, Park, Beach] } else { &[Street, Park, Beach, Room, Meadow] });
    let light = dice.pick(&[Light::Sunny, Light::Sunny, Light::Cloudy, Light::Dusk]);
    let share = if setting == Room { dice.between(0.56, 0.62) } else { dice.between(0.38, 0.48) };
    let horizon = (f64::from(height) * share).round();
    let (table_width, table_height) = (f64::from(width) * 0.36, f64::from(height) * 0.26);
    let table_x = dice.between(0.04, 0.60) * f64::from(width);
    let table = Rect::new(table_x, horizon - 0.55 * table_height, table_width, table_height);
    let stage = Stage { width, height, light, horizon };
    Scene { stage, setting, table, crowd: None, objects: Vec::new() }
}

/// Two decimals, as COCO has them.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

// === impl Setting ===

impl Setting {
    /// What may stand here besides people, and how many of it at most.
    fn things(self) -> &'static [(Category, u32)] {
        use Category::{Backpack, Bicycle, Bird, Bottle, Car, Cat, Chair, Dog, Horse, PottedPlant, Umbrella};
        match self {
            Self::Street => {
                &[(Car, 2), (Car, 1), (Bicycle, 2), (Dog, 2), (Umbrella, 2), (Backpack, 1), (Cat, 1), (Bird, 2)]
            }
            Self::Park => &[(Dog, 2), (Bicycle, 2), (Bird, 3), (Umbrella, 1), (Backpack, 2), (Horse, 1), (Chair, 2)],
            Self::Beach => &[(Umbrella, 3), (Dog, 2), (Bird, 3), (Chair, 2), (Backpack, 1), (Bottle, 1)],
            Self::Room => &[(Cat, 2), (Dog, 1), (Chair, 2), (PottedPlant, 2), (Bottle, 3), (Backpack, 1)],
            Self::Meadow => &[(Horse, 3), (Horse, 2), (Dog, 2), (Bird, 3), (Car, 1), (Bicycle, 1)],
        }
    }
}

// === impl Object ===

impl Object {
    /// The box as COCO has it: left, top, width, height.
    pub(super) fn bbox(&self) -> [f64; 4] {
        let Rect { x, y, w, h } = self.rect;
        [x, y, w, h]
    }
}

// === impl Scene ===

impl Scene {
    /// How many people can be told apart.
    pub(super) fn people(&self) -> usize {
        self.objects.iter().filter(|object| object.category == Category::Person).count()
    }

    /// Adds one to three kinds of things that suit the place.
    fn add_things(&self, cast: &mut Vec<Category>, dice: &mut Dice) {
        let mut things = self.setting.things().to_vec();
        dice.shuffle(&mut things);
        let least = u32::from(cast.is_empty());
        let kinds = if cast.len() > 4 { dice.count(0, 2) } else { dice.count(least, 3) };
        for (category, most) in things.into_iter().take(kinds as usize) {
            let number = if dice.chance(60) { 1 } else { dice.count(1, most) };
            if !cast.contains(&category) {
                cast.extend(std::iter::repeat_n(category, number as usize));
            }
        }
    }

    /// Puts a new thing near `x`, as deep into the scene as suits it.
    fn place(&self, category: Category, x: f64, flying: bool, dice: &mut Dice) -> Object {
        let kind = category.kind();
        let stance = match category {
            Category::Bird if flying => Stance::Wings,
            Category::Bottle if self.setting == Setting::Room => Stance::Table,
            _ => Stance::Ground,
        };
        let on_ground = stance == Stance::Ground;
        let (far, near) = self.depth(category);
        let depth = dice.between(far, near);
        let size = if on_ground { 0.44 + 0.56 * depth } else { 0.62 } * dice.between(0.94, 1.06);
        let height = kind.height * size * self.person_height();
        let width = height * if stance == Stance::Wings { 1.9 } else { kind.aspect };
        let (x, bottom) = match stance {
            Stance::Table => (self.table.x + self.table.w * (0.12 + 0.76 * x / self.stage.width()), self.table.y + 2.0),
            Stance::Wings => (x, self.stage.horizon * dice.between(0.3, 0.7)),
            Stance::Ground | Stance::Hand => (x, self.stage.ground(depth) - 2.0),
        };
        let rect =
            Rect::new(x - width / 2.0, bottom - height, width, height).within(self.stage.width(), self.stage.height());
        Object {
            category,
            rect: rounded_rect(rect),
            colour: dice.pick(kind.colours),
            flipped: dice.chance(50),
            stance,
            variant: dice.count(0, 999),
            ground: if on_ground { rect.bottom() } else { 0.0 },
        }
    }

    /// How deep a thing may stand here; nothing stands in the sea.
    fn depth(&self, category: Category) -> (f64, f64) {
        let (far, near) = category.kind().depth;
        match (self.setting, category) {
            (Setting::Beach, _) => (far.max(0.36), near.max(0.5)),
            (Setting::Street, Category::Person | Category::Umbrella) => (0.53, near),
            (Setting::Room, Category::Person) => (0.45, near),
            (Setting::Room, Category::Chair) => (0.35, 0.75),
            _ => (far, near),
        }
    }

    /// The height of a person at the lower edge.
    fn person_height(&self) -> f64 {
        let share = if self.setting == Setting::Room { 0.66 } else { 0.54 };
        share * self.stage.height().min(self.stage.width() * 0.9)
    }

    /// A strip along the horizon, in whole pixels.
    fn crowd_region(&self, dice: &mut Dice) -> Rect {
        let width = (self.stage.width() * dice.between(0.42, 0.62)).round();
        let height = (self.stage.height() * 0.16).round();
        let x = (dice.between(0.05, 0.95) * (self.stage.width() - width - 4.0)).round() + 2.0;
        let depth = if self.setting == Setting::Beach { 0.36 } else { 0.16 };
        Rect::new(x, (self.stage.ground(depth) - height).round(), width, height)
    }

    /// People take the umbrellas into their hands, except those that stand on a beach.
    fn hand_out_umbrellas(&mut self) {
        if self.setting == Setting::Beach {
            return;
        }
        let (width, height) = (self.stage.width(), self.stage.height());
        let people = self.objects.iter().filter(|object| object.category == Category::Person).copied();
        let people: Vec<Object> = people.collect();
        let umbrellas = self.objects.iter_mut().filter(|object| object.category == Category::Umbrella);
        for (umbrella, person) in umbrellas.zip(people) {
            let body = person.rect;
            let hand = if person.flipped { body.x + 0.06 * body.w } else { body.x + 0.94 * body.w };
            let size = 0.82 * body.h;
            let rect = Rect::new(hand - size * 0.525, body.y - 0.32 * body.h, size * 1.05, size);
            umbrella.rect = rounded_rect(rect.within(width, height));
            umbrella.stance = Stance::Hand;
            umbrella.ground = person.ground + 0.01;
        }
    }
}

/// The rectangle with coordinates of two decimals.
fn rounded_rect(rect: Rect) -> Rect {
    Rect::new(rounded(rect.x), rounded(rect.y), rounded(rect.w), rounded(rect.h))
}

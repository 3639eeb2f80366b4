//! One frame: draws everybody over the backdrop, the farthest first, and finds out what is seen of each.
//!
//! A box is that of all the pixels of a figure, cut off at the edge of the frame. What is hidden is counted in pixels.

use super::cast::Body;
use crate::canvas::{Canvas, Sprite};
use crate::error::Result;
use crate::figure;

/// A pixel counts as covered by what is at least as opaque as this.
const SOLID: u8 = 128;

/// What is seen of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Left, top, width and height of its box inside the frame, hidden or not.
    pub(super) bbox: [i32; 4],
    /// The part of its whole box that lies outside of the frame, in percent, rounded up.
    pub(super) outside: u32,
    /// The part of its pixels inside the frame that others hide, in percent, rounded down.
    pub(super) hidden: u32,
}

/// A frame without the light of the hour, and what is seen of the bodies: `None` of those outside.
#[derive(Debug)]
pub(super) struct Shot {
    /// The picture.
    pub(super) canvas: Canvas,
    /// In the order of the bodies.
    pub(super) sightings: Vec<Option<Sighting>>,
}

/// Who is the nearest at each pixel.
#[derive(Debug)]
struct Front {
    width: i32,
    height: i32,
    nearest: Vec<Option<usize>>,
}

/// What a sprite covers at its place in the frame.
#[derive(Debug)]
struct Footprint {
    /// Left, top, right, bottom of all of it, the latter two excluded.
    edges: [i32; 4],
    /// How many solid pixels are inside the frame.
    solid: u32,
}

/// Draws `bodies` over `backdrop`.
pub(super) fn take(backdrop: &Canvas, bodies: &[Body]) -> Result<Shot> {
    let mut canvas = backdrop.clone();
    let mut front = Front::new(canvas.size());
    let mut footprints = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        figure::cast_shadow(&mut canvas, body.rect);
        let (sprite, place) = draw(body)?;
        canvas.stamp(&sprite, place);
        footprints.push(front.step(index, &sprite, place));
    }
    let visible = front.visible(bodies.len());
    let sightings =
        footprints.iter().zip(visible).map(|(footprint, visible)| front.sight(footprint, visible)).collect();
    Ok(Shot { canvas, sightings })
}

/// A body by itself, and its place.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rectangles near the frame, whole pixels")]
fn draw(body: &Body) -> Result<(Sprite, (i32, i32))> {
    let rect = body.rect;
    let mut sprite = Sprite::new(rect.w.max(1.0) as u32, rect.h.max(1.0) as u32)?;
    body.look.draw(&mut sprite.pen(body.flipped), &body.details);
    Ok((sprite, (rect.x as i32, rect.y as i32)))
}

fn percent(part: u64, whole: u64) -> u32 {
    u32::try_from(100 * part / whole.max(1)).unwrap_or(100)
}

// === impl Front ===

impl Front {
    fn new((width, height): (u32, u32)) -> Self {
        let nearest = vec![None; width as usize * height as usize];
        Self { width: width.cast_signed(), height: height.cast_signed(), nearest }
    }

    /// Puts a sprite in front of all others.
    fn step(&mut self, index: usize, sprite: &Sprite, (left, top): (i32, i32)) -> Footprint {
        let mut footprint = Footprint { edges: [i32::MAX, i32::MAX, i32::MIN, i32::MIN], solid: 0 };
        for ((x, y), opacity) in sprite.drawn() {
            let (x, y) = (left + x.cast_signed(), top + y.cast_signed());
            let [left, top, right, bottom] = footprint.edges;
            footprint.edges = [left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)];
            if opacity >= SOLID
                && let Some(nearest) = self.at(x, y)
            {
                *nearest = Some(index);
                footprint.solid += 1;
            }
        }
        footprint
    }

    fn at(&mut self, x: i32, y: i32) -> Option<&mut Option<usize>> {
        let inside = (0..self.width).contains(&x) && (0..self.height).contains(&y);
        let index = usize::try_from(y * self.width + x).ok().filter(|_| inside)?;
        self.nearest.get_mut(index)
    }

    /// The number of pixels in which each of so many bodies is the nearest.
    fn visible(&self, bodies: usize) -> Vec<u32> {
        let mut visible = vec![0; bodies];
        for &index in self.nearest.iter().flatten() {
            if let Some(pixels) = visible.get_mut(index) {
                *pixels += 1;
            }
        }
        visible
    }

    fn sight(&self, footprint: &Footprint, visible: u32) -> Option<Sighting> {
        let [left, top, right, bottom] = footprint.edges;
        let (x, y) = (left.max(0), top.max(0));
        let (w, h) = (right.min(self.width) - x, bottom.min(self.height) - y);
        if w <= 0 || h <= 0 {
            return None;
        }
        let area = |w: i32, h: i32| u64::from(w.unsigned_abs()) * u64::from(h.unsigned_abs());
        let (whole, inside) = (area(right - left, bottom - top), area(w, h));
        Some(Sighting {
            bbox: [x, y, w, h],
            outside: 100 - percent(inside, whole),
            hidden: percent(u64::from(footprint.solid - visible), u64::from(footprint.solid)),
        })
    }
}

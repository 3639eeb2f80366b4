//! A picture to draw on: filled shapes with smooth edges, and nothing else.
//!
//! Every shape is made of horizontal spans on a raster of twice the size; [`Canvas::into_jpeg`] halves it, which
//! smooths the edges. Coordinates are those of the finished picture; what falls outside is cut off.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, Rgb, RgbImage};

use crate::error::{Error, Result};

/// How many fine pixels make one pixel of the finished picture, in either direction.
const FINE: u32 = 2;
/// Good enough for drawings, and small.
const JPEG_QUALITY: u8 = 75;

/// A place in the picture, or in the unit square of a [`Pen`].
pub(super) type Point = (f64, f64);

/// An upright rectangle in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    /// The left edge.
    pub(super) x: f64,
    /// The upper edge.
    pub(super) y: f64,
    /// The width.
    pub(super) w: f64,
    /// The height.
    pub(super) h: f64,
}

/// A colour and how much it covers what lies below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    rgb: [u8; 3],
    opacity: u8,
}

/// The picture while it is drawn.
#[derive(Debug)]
pub(super) struct Canvas {
    /// `FINE` times as wide and high as the finished picture.
    fine: RgbImage,
}

/// Draws in the unit square of a rectangle, so that a figure is described once for all sizes and both directions.
///
/// Boxes are `[left, top, right, bottom]`, `v` grows downwards, and widths of lines are parts of the height.
#[derive(Debug)]
pub(super) struct Pen<'a> {
    canvas: &'a mut Canvas,
    rect: Rect,
    flipped: bool,
}

/// The value `share`/255 of the way from `from` to `to`.
fn blend(from: u8, to: u8, share: u8) -> u8 {
    if share == u8::MAX {
        return to;
    }
    let (from, to, share) = (u32::from(from), u32::from(to), u32::from(share));
    let mixed = (from * (255 - share) + to * share + 127) / 255;
    u8::try_from(mixed).unwrap_or(u8::MAX)
}

/// The raster line or column that `value` falls on, at most `limit`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=limit, which is a u32")]
fn raster(value: f64, limit: u32) -> u32 {
    value.clamp(0.0, f64::from(limit)) as u32
}

// === impl Rect ===

impl Rect {
    /// The rectangle at `x`, `y` of the size `w` times `h`.
    pub(super) const fn new(x: f64, y: f64, w: f64, h: f64) -> Self {
        Self { x, y, w, h }
    }

    /// The right edge.
    pub(super) fn right(self) -> f64 {
        self.x + self.w
    }

    /// The lower edge.
    pub(super) fn bottom(self) -> f64 {
        self.y + self.h
    }

    /// The same rectangle, moved (and shrunk, if it must be) until it lies inside a picture of `width` and `height`.
    pub(super) fn within(self, width: f64, height: f64) -> Self {
        const MARGIN: f64 = 1.5;
        let shrink = ((width - 2.0 * MARGIN) / self.w).min((height - 2.0 * MARGIN) / self.h).min(1.0);
        let (w, h) = (self.w * shrink, self.h * shrink);
        let x = self.x.min(width - MARGIN - w).max(MARGIN);
        let y = (self.bottom() - h).min(height - MARGIN - h).max(MARGIN);
        Self { x, y, w, h }
    }

    fn scaled(self, factor: f64) -> Self {
        Self { x: self.x * factor, y: self.y * factor, w: self.w * factor, h: self.h * factor }
    }
}

// === impl Ink ===

impl Ink {
    /// A colour that covers everything.
    pub(super) const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self { rgb: [red, green, blue], opacity: 255 }
    }

    /// The same colour, letting the ground shine through.
    pub(super) const fn sheer(self, opacity: u8) -> Self {
        Self { opacity, ..self }
    }

    /// The colour `share`/255 of the way to `other`.
    pub(super) fn mixed(self, other: Self, share: u8) -> Self {
        let [red, green, blue] = self.rgb;
        let [other_red, other_green, other_blue] = other.rgb;
        let rgb = [blend(red, other_red, share), blend(green, other_green, share), blend(blue, other_blue, share)];
        Self { rgb, ..self }
    }

    /// A darker shade.
    pub(super) fn darker(self) -> Self {
        self.mixed(Self::new(0, 0, 0), 64)
    }

    /// A lighter shade.
    pub(super) fn lighter(self) -> Self {
        self.mixed(Self::new(255, 255, 255), 84)
    }
}

// === impl Canvas ===

impl Canvas {
    /// A black picture.
    pub(super) fn new(width: u32, height: u32) -> Self {
        Self { fine: RgbImage::new(width * FINE, height * FINE) }
    }

    /// A pen for the unit square of `rect`; a flipped one draws its mirror image.
    pub(super) fn pen(&mut self, rect: Rect, flipped: bool) -> Pen<'_> {
        Pen { canvas: self, rect, flipped }
    }

    /// Fills a rectangle.
    pub(super) fn block(&mut self, rect: Rect, ink: Ink) {
        self.rounded(rect, 0.0, ink);
    }

    /// Fills a rectangle whose corners have the given radius.
    pub(super) fn rounded(&mut self, rect: Rect, radius: f64, ink: Ink) {
        let rect = rect.scaled(f64::from(FINE));
        let radius = (radius * f64::from(FINE)).min(rect.w / 2.0).min(rect.h / 2.0);
        for (row, y) in self.rows(rect.y, rect.bottom()) {
            let to_edge = (y - rect.y).min(rect.bottom() - y).max(0.0);
            let into_corner = (radius - to_edge).max(0.0);
            let inset = radius - (radius * radius - into_corner * into_corner).max(0.0).sqrt();
            self.span(row, rect.x + inset, rect.right() - inset, ink);
        }
    }

    /// Fills a rectangle with a colour that changes from top to bottom.
    pub(super) fn gradient(&mut self, rect: Rect, top: Ink, bottom: Ink) {
        let rect = rect.scaled(f64::from(FINE));
        for (row, y) in self.rows(rect.y, rect.bottom()) {
            let share = raster(255.0 * (y - rect.y) / rect.h.max(1.0), 255);
            let ink = top.mixed(bottom, u8::try_from(share).unwrap_or(u8::MAX));
            self.span(row, rect.x, rect.right(), ink);
        }
    }

    /// Fills the ellipse inside a rectangle.
    pub(super) fn oval(&mut self, rect: Rect, ink: Ink) {
        self.hoop(rect, f64::MAX, ink);
    }

    /// Draws the ellipse inside a rectangle as a line of the given width.
    pub(super) fn hoop(&mut self, rect: Rect, line: f64, ink: Ink) {
        let rect = rect.scaled(f64::from(FINE));
        let (middle_x, middle_y) = (rect.x + rect.w / 2.0, rect.y + rect.h / 2.0);
        let line = line * f64::from(FINE);
        for (row, y) in self.rows(rect.y, rect.bottom()) {
            let half = |radius_x: f64, radius_y: f64| {
                let part = (y - middle_y) / radius_y;
                if radius_x > 0.0 && radius_y > 0.0 { radius_x * (1.0 - part * part).max(0.0).sqrt() } else { 0.0 }
            };
            let outer = half(rect.w / 2.0, rect.h / 2.0);
            let inner = half(rect.w / 2.0 - line, rect.h / 2.0 - line);
            self.span(row, middle_x - outer, middle_x - inner, ink);
            self.span(row, middle_x + inner, middle_x + outer, ink);
        }
    }

    /// Fills a polygon; where it crosses itself, the inner parts stay empty.
    pub(super) fn polygon(&mut self, corners: &[Point], ink: Ink) {
        let factor = f64::from(FINE);
        let corners: Vec<Point> = corners.iter().map(|&(x, y)| (x * factor, y * factor)).collect();
        let top = corners.iter().map(|corner| corner.1).fold(f64::MAX, f64::min);
        let bottom = corners.iter().map(|corner| corner.1).fold(f64::MIN, f64::max);
        for (row, y) in self.rows(top, bottom) {
            let edges = corners.iter().zip(corners.iter().cycle().skip(1));
            let mut crossings: Vec<f64> = edges
                .filter(|(from, to)| (from.1 <= y) != (to.1 <= y))
                .map(|(from, to)| from.0 + (to.0 - from.0) * (y - from.1) / (to.1 - from.1))
                .collect();
            crossings.sort_by(f64::total_cmp);
            for &[left, right] in crossings.as_chunks().0 {
                self.span(row, left, right, ink);
            }
        }
    }

    /// Draws a straight line with square ends.
    pub(super) fn line(&mut self, from: Point, to: Point, width: f64, ink: Ink) {
        let (across, down) = (to.0 - from.0, to.1 - from.1);
        let length = (across * across + down * down).sqrt().max(0.01);
        let (side_x, side_y) = (-down / length * width / 2.0, across / length * width / 2.0);
        let corners = [
            (from.0 + side_x, from.1 + side_y),
            (to.0 + side_x, to.1 + side_y),
            (to.0 - side_x, to.1 - side_y),
            (from.0 - side_x, from.1 - side_y),
        ];
        self.polygon(&corners, ink);
    }

    /// The finished picture as a JPEG file.
    pub(super) fn into_jpeg(self) -> Result<Vec<u8>> {
        let (width, height) = (self.fine.width() / FINE, self.fine.height() / FINE);
        let picture = RgbImage::from_fn(width, height, |x, y| self.average(x, y));
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
            .encode(&picture, width, height, ExtendedColorType::Rgb8)
            .map_err(|err| Error::internal(format!("encode picture: {err}")).with_source(err))?;
        Ok(bytes)
    }

    fn average(&self, x: u32, y: u32) -> Rgb<u8> {
        let mut sums = [0_u32; 3];
        for (fine_x, fine_y) in (0..FINE * FINE).map(|n| (x * FINE + n % FINE, y * FINE + n / FINE)) {
            for (sum, &channel) in sums.iter_mut().zip(&self.fine.get_pixel(fine_x, fine_y).0) {
                *sum += u32::from(channel);
            }
        }
        let pixels = FINE * FINE;
        Rgb(sums.map(|sum| u8::try_from((sum + pixels / 2) / pixels).unwrap_or(u8::MAX)))
    }

    /// The fine rows whose middle lies between `top` and `bottom`, with that middle.
    fn rows(&self, top: f64, bottom: f64) -> impl Iterator<Item = (u32, f64)> + use<> {
        let height = self.fine.height();
        let rows = raster((top - 0.5).ceil(), height)..raster((bottom - 0.5).ceil(), height);
        rows.map(|row| (row, f64::from(row) + 0.5))
    }

    /// Covers the fine pixels of a row whose middle lies between `left` and `right`.
    fn span(&mut self, row: u32, left: f64, right: f64, ink: Ink) {
        let width = self.fine.width();
        for x in raster((left - 0.5).ceil(), width)..raster((right - 0.5).ceil(), width) {
            let pixel = self.fine.get_pixel_mut(x, row);
            for (channel, &colour) in pixel.0.iter_mut().zip(&ink.rgb) {
                *channel = blend(*channel, colour, ink.opacity);
            }
        }
    }
}

// === impl Pen ===

impl Pen<'_> {
    /// Fills a box.
    pub(super) fn block(&mut self, sides: [f64; 4], ink: Ink) {
        let rect = self.rect(sides);
        self.canvas.block(rect, ink);
    }

    /// Fills a box whose corners are rounded by `radius`, a part of the height of the unit square.
    pub(super) fn rounded(&mut self, sides: [f64; 4], radius: f64, ink: Ink) {
        let rect = self.rect(sides);
        self.canvas.rounded(rect, radius * self.rect.h, ink);
    }

    /// Fills the ellipse inside a box.
    pub(super) fn oval(&mut self, sides: [f64; 4], ink: Ink) {
        let rect = self.rect(sides);
        self.canvas.oval(rect, ink);
    }

    /// Draws the ellipse inside a box as a line.
    pub(super) fn hoop(&mut self, sides: [f64; 4], line: f64, ink: Ink) {
        let rect = self.rect(sides);
        self.canvas.hoop(rect, line * self.rect.h, ink);
    }

    /// Fills a polygon.
    pub(super) fn shape(&mut self, corners: &[Point], ink: Ink) {
        let corners: Vec<Point> = corners.iter().map(|&corner| self.at(corner)).collect();
        self.canvas.polygon(&corners, ink);
    }

    /// Draws a straight line.
    pub(super) fn stroke(&mut self, from: Point, to: Point, width: f64, ink: Ink) {
        let (from, to) = (self.at(from), self.at(to));
        self.canvas.line(from, to, width * self.rect.h, ink);
    }

    fn at(&self, (u, v): Point) -> Point {
        let u = if self.flipped { 1.0 - u } else { u };
        (self.rect.x + u * self.rect.w, self.rect.y + v * self.rect.h)
    }

    fn rect(&self, [left, top, right, bottom]: [f64; 4]) -> Rect {
        let (one, other) = (self.at((left, top)), self.at((right, bottom)));
        Rect::new(one.0.min(other.0), one.1, (one.0 - other.0).abs(), other.1 - one.1)
    }
}

//! A picture to draw on, and the few shapes that scenes are made of. Rasterised by `tiny-skia`, with smooth edges.
//!
//! Coordinates are pixels of the picture; what falls outside is cut off. They stay `f64` up to here, because boxes and
//! polygons of the annotations are made of the same numbers.

use image::{DynamicImage, ExtendedColorType, RgbImage, RgbaImage, codecs::jpeg::JpegEncoder};
use tiny_skia::{
    Color, FillRule, GradientStop, LinearGradient, Paint, Path, PathBuilder, Pixmap, PixmapPaint, Shader, SpreadMode,
    Stroke, Transform,
};

use crate::error::{Error, Result};

/// Good enough for drawings, and small.
const JPEG_QUALITY: u8 = 75;
/// How far the control points of a cubic Bézier curve lie along the tangents, in radii, to make it a quarter circle.
const QUARTER_CIRCLE: f32 = 0.552_285;

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
#[derive(Clone, Debug)]
pub(super) struct Canvas(Pixmap);

/// A figure by itself, around which nothing is drawn: it knows which pixels it covers, and how much.
#[derive(Debug)]
pub(super) struct Sprite(Pixmap);

/// Draws on a canvas in the coordinates of a frame, of which `v` grows downwards.
///
/// The frame of [`Canvas::pen`] are the pixels; that of [`Canvas::figure_pen`] is the unit square of a rectangle, so
/// that a figure is described once for all sizes and both directions. Widths of lines and radii are parts of the height.
#[derive(Debug)]
pub(super) struct Pen<'a> {
    pixmap: &'a mut Pixmap,
    /// Where the unit square lies in the picture.
    frame: Rect,
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

/// A coordinate as `tiny-skia` has them.
#[expect(clippy::cast_possible_truncation, reason = "pictures have a few hundred pixels, edges need no more digits")]
const fn px(value: f64) -> f32 {
    value as f32
}

/// Pixels that are all transparent.
fn pixmap(width: u32, height: u32) -> Result<Pixmap> {
    let no_size = || Error::Internal(format!("draw a picture of {width} × {height} pixels"));
    Pixmap::new(width, height).ok_or_else(no_size)
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

    /// `None` for a rectangle without a surface.
    fn to_skia(self) -> Option<tiny_skia::Rect> {
        tiny_skia::Rect::from_ltrb(px(self.x), px(self.y), px(self.right()), px(self.bottom()))
    }
}

/// From `[left, top, right, bottom]`.
impl From<[f64; 4]> for Rect {
    fn from([left, top, right, bottom]: [f64; 4]) -> Self {
        Self::new(left, top, right - left, bottom - top)
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

    fn color(self) -> Color {
        let [red, green, blue] = self.rgb;
        Color::from_rgba8(red, green, blue, self.opacity)
    }

    fn paint(self) -> Paint<'static> {
        Paint { shader: Shader::SolidColor(self.color()), anti_alias: true, ..Paint::default() }
    }
}

// === impl Canvas ===

impl Canvas {
    /// A black picture.
    pub(super) fn new(width: u32, height: u32) -> Result<Self> {
        let mut pixmap = pixmap(width, height)?;
        pixmap.fill(Color::BLACK);
        Ok(Self(pixmap))
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.0.width(), self.0.height())
    }

    /// A pen whose coordinates are the pixels.
    pub(super) fn pen(&mut self) -> Pen<'_> {
        self.figure_pen(Rect::new(0.0, 0.0, 1.0, 1.0), false)
    }

    /// A pen for the unit square of `frame`; a flipped one draws its mirror image.
    pub(super) fn figure_pen(&mut self, frame: Rect, flipped: bool) -> Pen<'_> {
        Pen { pixmap: &mut self.0, frame, flipped }
    }

    /// Puts a sprite on the picture, its left upper corner at `x`, `y`.
    pub(super) fn stamp(&mut self, sprite: &Sprite, (x, y): (i32, i32)) {
        self.0.draw_pixmap(x, y, sprite.0.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
    }

    /// The pixels, all of them opaque.
    pub(super) fn into_image(self) -> Result<RgbImage> {
        let (width, height) = self.size();
        let image = RgbaImage::from_raw(width, height, self.0.take());
        let image = image.ok_or_else(|| Error::Internal("a picture has the wrong number of bytes".to_owned()))?;
        Ok(DynamicImage::ImageRgba8(image).into_rgb8())
    }

    /// The picture as a JPEG file.
    pub(super) fn into_jpeg(self) -> Result<Vec<u8>> {
        let image = self.into_image()?;
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
            .encode(&image, image.width(), image.height(), ExtendedColorType::Rgb8)
            .map_err(|err| Error::Internal(format!("encode picture: {err}")))?;
        Ok(bytes)
    }
}

// === impl Sprite ===

impl Sprite {
    /// An empty sprite.
    pub(super) fn new(width: u32, height: u32) -> Result<Self> {
        Ok(Self(pixmap(width, height)?))
    }

    /// A pen for the unit square of the whole sprite; a flipped one draws its mirror image.
    pub(super) fn pen(&mut self, flipped: bool) -> Pen<'_> {
        let frame = Rect::new(0.0, 0.0, f64::from(self.0.width()), f64::from(self.0.height()));
        Pen { pixmap: &mut self.0, frame, flipped }
    }

    /// The pixels that are drawn, row by row: where they are, and how much of the ground they cover, up to 255.
    pub(super) fn drawn(&self) -> impl Iterator<Item = ((u32, u32), u8)> {
        let places = (0..self.0.height()).flat_map(|y| (0..self.0.width()).map(move |x| (x, y)));
        let pixels = places.zip(self.0.pixels().iter().map(|pixel| pixel.alpha()));
        pixels.filter(|&(_, opacity)| opacity > 0)
    }
}

// === impl Pen ===

impl Pen<'_> {
    /// Fills a rectangle.
    pub(super) fn block(&mut self, rect: impl Into<Rect>, ink: Ink) {
        let rect = self.map_rect(rect.into());
        self.fill_rect(rect, &ink.paint());
    }

    /// Fills a rectangle whose corners have the given radius.
    pub(super) fn rounded(&mut self, rect: impl Into<Rect>, radius: f64, ink: Ink) {
        let rect = self.map_rect(rect.into());
        let radius = px((radius * self.frame.h).min(rect.w / 2.0).min(rect.h / 2.0));
        let (left, top, right, bottom) = (px(rect.x), px(rect.y), px(rect.right()), px(rect.bottom()));
        // From an edge to the control point of the corner's curve.
        let handle = radius * (1.0 - QUARTER_CIRCLE);
        let mut path = PathBuilder::new();
        path.move_to(left + radius, top);
        path.line_to(right - radius, top);
        path.cubic_to(right - handle, top, right, top + handle, right, top + radius);
        path.line_to(right, bottom - radius);
        path.cubic_to(right, bottom - handle, right - handle, bottom, right - radius, bottom);
        path.line_to(left + radius, bottom);
        path.cubic_to(left + handle, bottom, left, bottom - handle, left, bottom - radius);
        path.line_to(left, top + radius);
        path.cubic_to(left, top + handle, left + handle, top, left + radius, top);
        path.close();
        self.fill(path.finish(), ink);
    }

    /// Fills a rectangle with a colour that changes from top to bottom.
    pub(super) fn gradient(&mut self, rect: Rect, top: Ink, bottom: Ink) {
        let rect = self.map_rect(rect);
        let (from, to) =
            (tiny_skia::Point::from_xy(0.0, px(rect.y)), tiny_skia::Point::from_xy(0.0, px(rect.bottom())));
        let stops = vec![GradientStop::new(0.0, top.color()), GradientStop::new(1.0, bottom.color())];
        let shader = LinearGradient::new(from, to, stops, SpreadMode::Pad, Transform::identity());
        if let Some(shader) = shader {
            self.fill_rect(rect, &Paint { shader, anti_alias: true, ..Paint::default() });
        }
    }

    /// Fills the ellipse inside a rectangle.
    pub(super) fn oval(&mut self, rect: impl Into<Rect>, ink: Ink) {
        let rect = self.map_rect(rect.into());
        self.fill(rect.to_skia().and_then(PathBuilder::from_oval), ink);
    }

    /// Draws the ellipse inside a rectangle as a line of the given width.
    pub(super) fn hoop(&mut self, rect: impl Into<Rect>, line: f64, ink: Ink) {
        let (Rect { x, y, w, h }, line) = (self.map_rect(rect.into()), line * self.frame.h);
        let middle = Rect::new(x + line / 2.0, y + line / 2.0, w - line, h - line);
        self.stroke(middle.to_skia().and_then(PathBuilder::from_oval), line, ink);
    }

    /// Fills a polygon; where it crosses itself, the inner parts stay empty.
    pub(super) fn polygon(&mut self, corners: &[Point], ink: Ink) {
        self.fill(self.polyline(corners), ink);
    }

    /// Draws a straight line with square ends.
    pub(super) fn line(&mut self, from: Point, to: Point, width: f64, ink: Ink) {
        self.stroke(self.polyline(&[from, to]), width * self.frame.h, ink);
    }

    fn fill_rect(&mut self, rect: Rect, paint: &Paint<'_>) {
        if let Some(rect) = rect.to_skia() {
            self.pixmap.fill_rect(rect, paint, Transform::identity(), None);
        }
    }

    fn fill(&mut self, path: Option<Path>, ink: Ink) {
        if let Some(path) = path {
            self.pixmap.fill_path(&path, &ink.paint(), FillRule::EvenOdd, Transform::identity(), None);
        }
    }

    fn stroke(&mut self, path: Option<Path>, width: f64, ink: Ink) {
        if let Some(path) = path {
            let stroke = Stroke { width: px(width), ..Stroke::default() };
            self.pixmap.stroke_path(&path, &ink.paint(), &stroke, Transform::identity(), None);
        }
    }

    /// The lines from corner to corner.
    fn polyline(&self, corners: &[Point]) -> Option<Path> {
        let mut path = PathBuilder::new();
        for (index, &corner) in corners.iter().enumerate() {
            let (x, y) = self.map(corner);
            if index == 0 { path.move_to(px(x), px(y)) } else { path.line_to(px(x), px(y)) }
        }
        path.finish()
    }

    /// The place in the picture.
    fn map(&self, (u, v): Point) -> Point {
        let u = if self.flipped { 1.0 - u } else { u };
        (self.frame.x + u * self.frame.w, self.frame.y + v * self.frame.h)
    }

    fn map_rect(&self, Rect { x, y, w, h }: Rect) -> Rect {
        let (left, top) = self.map((if self.flipped { x + w } else { x }, y));
        Rect::new(left, top, w * self.frame.w, h * self.frame.h)
    }
}

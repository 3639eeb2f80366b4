//! A small COCO data set that is drawn here, with boxes, captions and counted flaws.
//!
//! What is written, in the layout of COCO 2017 and about four fifths of it for training:
//!
//! ```text
//! <folder>/annotations/instances_train2017.json   instances_val2017.json
//!                      captions_train2017.json    captions_val2017.json
//!          train2017/000000000123.jpg …           val2017/…
//! ```
//!
//! How a picture comes about:
//!
//! ```text
//! plan (id, split, role) ─▶ scene (what stands where) ─┬▶ backdrop, drawing ─▶ JPEG
//!                                                      ├▶ document: boxes ─┐
//!                                                      └▶ caption: texts ──┴▶ flaw ─▶ JSON
//! ```
//!
//! The entries have the fields of COCO but those that name addresses (`coco_url`, `flickr_url`). Every `image_id` has
//! its image and every image has its file: data that breaks this is broken, not flawed, and is not made here.
//! Pictures come in blocks of forty; each block holds every flaw, and no picture has two.
//!
//! In reading order: `options` · `summary` of the contents · `plan` the images and the flaw of each · `category` the
//! categories of objects · `scene` their positions · `backdrop` the ground of each place · `drawing` objects and their
//! polygons · `document` JSON entries · `caption` sentences · `flaw` adds the flaws to both.

mod options;
mod summary;

mod plan;
mod category;
mod scene;

mod backdrop;
mod drawing;

mod document;
mod caption;
mod flaw;

#[cfg(test)]
mod tests;

use std::path::Path;

use serde::Serialize;

pub use self::{options::CocoOptions, summary::CocoSummary};

use self::category::Category;
use self::document::{Caption, Document, Field, ImageEntry};
use self::flaw::{Entries, Ids};
use self::plan::{Picture, Split};
use self::scene::{Scene, Setting};
use crate::canvas::Canvas;
use crate::dice::Dice;
use crate::error::{Error, Result};
use crate::{figure, folder, scenery};

/// As many as the true data set has, about.
const IMAGES_MAX: u32 = 100_000;
/// An image with this many people is crowded.
const CROWDED: usize = 5;

/// What the JSON files of one split will hold.
#[derive(Debug)]
struct Book {
    split: Split,
    entries: Entries,
    /// What the flaws add at the end.
    repeats: Entries,
}

/// Draws a data set into `folder`, which is made if it is not there, and must be empty if it is.
///
/// # Errors
///
/// [`Error::OutOfRange`] for a number of images out of range, [`Error::NotEmpty`] for a folder that is not empty, and
/// what the file system says.
pub fn write_coco(folder: &Path, options: &CocoOptions) -> Result<CocoSummary> {
    Error::check_range("images", options.images, IMAGES_MAX)?;
    folder::prepare(folder)?;
    for name in ["annotations", Split::Train.name(), Split::Val.name()] {
        folder::make(&folder.join(name))?;
    }
    let mut summary = CocoSummary { categories: Category::ALL.len() as u64, ..CocoSummary::default() };
    let mut books = [Book::new(Split::Train), Book::new(Split::Val)];
    let mut ids = Ids::new();
    for picture in plan::pictures(options) {
        let mut dice = Dice::new(options.seed, picture.stream);
        let scene = scene::compose(picture.role, &mut dice);
        let jpeg = draw(&scene, &mut dice)?;
        let path = folder.join(picture.split.name()).join(picture.file_name());
        summary.bytes += folder::write(&path, &jpeg)?;
        let mut entries = describe(&picture, &scene, &mut ids, &mut dice);
        let repeats = flaw::spoil(&picture, &mut entries, &mut ids, &mut summary);
        summary.count_picture(picture.split, &scene);
        let [train, val] = &mut books;
        let book = if picture.split == Split::Train { train } else { val };
        book.entries.append(entries);
        book.repeats.append(repeats);
    }
    for book in books {
        write_documents(folder, book, &mut summary)?;
    }
    Ok(summary)
}

/// The picture of a scene, as a JPEG file.
fn draw(scene: &Scene, dice: &mut Dice) -> Result<Vec<u8>> {
    let mut canvas = Canvas::new(scene.stage.width, scene.stage.height)?;
    backdrop::draw(&mut canvas.pen(), scene, dice);
    if let Some(region) = scene.crowd {
        figure::draw_crowd(&mut canvas, region);
    }
    for object in &scene.objects {
        drawing::draw(&mut canvas, object);
    }
    if scene.setting != Setting::Room {
        scenery::draw_light(&mut canvas.pen(), &scene.stage);
    }
    canvas.into_jpeg()
}

/// The entries of a picture, without flaws.
fn describe(picture: &Picture, scene: &Scene, ids: &mut Ids, dice: &mut Dice) -> Entries {
    let date = format!(
        "2013-11-{:02} {:02}:{:02}:{:02}",
        dice.count(14, 25),
        dice.count(0, 23),
        dice.count(0, 59),
        dice.count(0, 59)
    );
    let image = ImageEntry {
        id: picture.id,
        file_name: picture.file_name(),
        width: scene.stage.width,
        height: scene.stage.height,
        license: Field::Value(dice.pick(&document::LICENSE_IDS)),
        date_captured: Field::Value(date),
    };
    let mut annotations = document::annotations(scene, picture.id);
    for annotation in &mut annotations {
        annotation.id = ids.next_annotation();
    }
    let texts = caption::captions(scene, dice).into_iter();
    let entry = |text| Caption { id: ids.next_caption(), image_id: picture.id, caption: Some(text) };
    Entries { images: vec![image], annotations, captions: texts.map(entry).collect() }
}

/// Writes the two JSON files of a split.
fn write_documents(folder: &Path, book: Book, summary: &mut CocoSummary) -> Result<()> {
    let Book { split, mut entries, repeats } = book;
    entries.append(repeats);
    summary.images += entries.images.len() as u64;
    summary.annotations += entries.annotations.len() as u64;
    summary.captions += entries.captions.len() as u64;
    let folder = folder.join("annotations");
    let name = split.name();
    let instances = Document::instances(&entries.images, &entries.annotations);
    summary.bytes += folder::write(&folder.join(format!("instances_{name}.json")), &to_json(&instances)?)?;
    let captions = Document::captions(&entries.images, &entries.captions);
    summary.bytes += folder::write(&folder.join(format!("captions_{name}.json")), &to_json(&captions)?)?;
    Ok(())
}

fn to_json(document: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|err| Error::Internal(format!("encode sample: {err}")))
}

// === impl Book ===

impl Book {
    fn new(split: Split) -> Self {
        Self { split, entries: Entries::default(), repeats: Entries::default() }
    }
}

// === impl CocoSummary ===

impl CocoSummary {
    fn count_picture(&mut self, split: Split, scene: &Scene) {
        self.image_files += 1;
        match split {
            Split::Train => self.train_images += 1,
            Split::Val => self.val_images += 1,
        }
        self.crowded_images += u64::from(scene.people() >= CROWDED);
    }
}

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
//! The entries have the fields of COCO but those that name addresses (`coco_url`, `flickr_url`). Every `image_id` has
//! its image and every image has its file: data that breaks this is broken, not flawed, and is not made here.
//! Pictures come in blocks of forty; each block holds every flaw, and no picture has two.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde::Serialize;

use crate::canvas::Canvas;
use crate::category::Category;
use crate::dice::Dice;
use crate::document::{self, Caption, Document, Field, ImageEntry};
use crate::error::{Error, Result};
use crate::flaw::{self, Entries, Ids};
use crate::options::CocoOptions;
use crate::plan::{self, Picture, Split};
use crate::scene::{self, Scene};
use crate::summary::CocoSummary;
use crate::{backdrop, caption, figure};

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
/// [`Error::Images`] for a number of images out of range, [`Error::NotEmpty`] for a folder that is not empty, and what
/// the file system says.
pub fn write_coco(folder: &Path, options: &CocoOptions) -> Result<CocoSummary> {
    if !(1..=IMAGES_MAX).contains(&options.images) {
        return Err(Error::Images { images: options.images, max: IMAGES_MAX });
    }
    prepare_folder(folder)?;
    let mut summary = CocoSummary { categories: Category::ALL.len() as u64, ..CocoSummary::default() };
    let mut books = [Book::new(Split::Train), Book::new(Split::Val)];
    let mut ids = Ids::new();
    for picture in plan::pictures(options) {
        let mut dice = Dice::new(options.seed, picture.stream);
        let scene = scene::compose(picture.role, &mut dice);
        let jpeg = draw(&scene, &mut dice)?;
        write_file(&folder.join(picture.split.name()).join(picture.file_name()), &jpeg, &mut summary)?;
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

/// Makes the folders; refuses to mix the sample with what is there.
fn prepare_folder(folder: &Path) -> Result<()> {
    let failed = |source: io::Error| Error::Io { doing: format!("write sample to \"{}\"", folder.display()), source };
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(Error::NotEmpty { folder: folder.to_owned() });
            }
        }
        Err(err) if err.kind() == ErrorKind::NotFound => {}
        Err(err) => return Err(failed(err)),
    }
    for name in ["annotations", Split::Train.name(), Split::Val.name()] {
        fs::create_dir_all(folder.join(name)).map_err(failed)?;
    }
    Ok(())
}

/// The picture of a scene, as a JPEG file.
fn draw(scene: &Scene, dice: &mut Dice) -> Result<Vec<u8>> {
    let mut canvas = Canvas::new(scene.width, scene.height)?;
    backdrop::draw(&mut canvas.pen(), scene, dice);
    if let Some(region) = scene.crowd {
        figure::draw_crowd(&mut canvas, region);
    }
    for object in &scene.objects {
        figure::draw(&mut canvas, object);
    }
    backdrop::draw_light(&mut canvas.pen(), scene);
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
        width: scene.width,
        height: scene.height,
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
    write_file(&folder.join(format!("instances_{name}.json")), &to_json(&instances)?, summary)?;
    let captions = Document::captions(&entries.images, &entries.captions);
    write_file(&folder.join(format!("captions_{name}.json")), &to_json(&captions)?, summary)
}

fn to_json(document: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|err| Error::Internal(format!("encode sample: {err}")))
}

fn write_file(path: &Path, bytes: &[u8], summary: &mut CocoSummary) -> Result<()> {
    summary.bytes += bytes.len() as u64;
    let doing = || format!("write sample \"{}\"", path.display());
    fs::write(path, bytes).map_err(|source| Error::Io { doing: doing(), source })
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

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use super::category::Category;
use super::plan::Role;
use super::scene::{self, Object, Stance};
use super::{CocoOptions, CocoSummary, drawing, write_coco};
use crate::canvas::{Canvas, Ink, Rect};
use crate::dice::Dice;
use crate::error::Error;

/// Two blocks, so that each flaw is there in two variants.
const OPTIONS: CocoOptions = CocoOptions { images: 80, seed: 7 };
const SPLITS: [&str; 2] = ["train2017", "val2017"];
/// Written once, read by most tests.
static SAMPLE: LazyLock<Sample> = LazyLock::new(|| sample(&OPTIONS));

/// A written data set and what its JSON files say, both splits together.
struct Sample {
    /// All files by their paths.
    files: BTreeMap<String, Vec<u8>>,
    summary: CocoSummary,
    /// With the name of the split, in the order of the files.
    images: Vec<(&'static str, Value)>,
    annotations: Vec<Value>,
    captions: Vec<Value>,
    categories: Vec<Value>,
}

fn sample(options: &CocoOptions) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let summary = write_coco(folder.path(), options).unwrap();
    let files = contents(folder.path());
    let (mut images, mut annotations, mut captions, mut categories) = (vec![], vec![], vec![], vec![]);
    for split in SPLITS {
        let read = |kind: &str| -> Value {
            serde_json::from_slice(&files[&format!("annotations/{kind}_{split}.json")]).unwrap()
        };
        let (instances, sentences) = (read("instances"), read("captions"));
        assert_eq!(instances["images"], sentences["images"]);
        assert_eq!(instances["licenses"], sentences["licenses"]);
        images.extend(list(&instances["images"]).into_iter().map(|image| (split, image)));
        annotations.extend(list(&instances["annotations"]));
        captions.extend(list(&sentences["annotations"]));
        categories = list(&instances["categories"]);
    }
    Sample { files, summary, images, annotations, captions, categories }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    list(value).iter().map(|number| number.as_f64().unwrap()).collect()
}

fn count<'a>(values: impl IntoIterator<Item = &'a Value>, counts: impl Fn(&Value) -> bool) -> u64 {
    values.into_iter().filter(|value| counts(value)).count() as u64
}

/// The file of an image entry.
fn file<'a>(sample: &'a Sample, split: &str, image: &Value) -> &'a [u8] {
    &sample.files[&format!("{split}/{}", image["file_name"].as_str().unwrap())]
}

/// What is left when of all entries with one id, and of all entries that differ in the id only, the first is kept.
fn distinct(entries: &[Value]) -> Vec<Value> {
    let (mut ids, mut contents) = (BTreeSet::new(), BTreeSet::new());
    let mut kept = Vec::new();
    for entry in entries {
        let mut content = entry.clone();
        content["id"] = Value::Null;
        if ids.insert(entry["id"].as_u64().unwrap()) && contents.insert(content.to_string()) {
            kept.push(entry.clone());
        }
    }
    kept
}

fn image_ids(entries: &[Value], key: &str) -> BTreeSet<u64> {
    entries.iter().map(|entry| entry[key].as_u64().unwrap()).collect()
}

fn image_entries(sample: &Sample) -> Vec<Value> {
    sample.images.iter().map(|(_, image)| image.clone()).collect()
}

/// All files under `folder` by their paths.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for part in fs::read_dir(folder).unwrap() {
        for entry in fs::read_dir(part.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            files.insert(path.strip_prefix(folder).unwrap().display().to_string(), fs::read(&path).unwrap());
        }
    }
    files
}

#[test]
fn equal_options_make_equal_bytes() {
    let again = sample(&OPTIONS);
    assert_eq!(again.summary, SAMPLE.summary);
    assert!(again.files == SAMPLE.files);
}

#[test]
fn another_seed_makes_another_data_set() {
    let other = sample(&CocoOptions { seed: 8, ..OPTIONS });
    assert_eq!(other.files.len(), SAMPLE.files.len());
    assert!(other.files.values().zip(SAMPLE.files.values()).all(|(one, other)| one != other));
}

#[test]
fn the_summary_counts_what_is_in_the_files() {
    let sample = &*SAMPLE;
    let summary = &sample.summary;
    assert_eq!(summary.images, sample.images.len() as u64);
    assert_eq!(summary.annotations, sample.annotations.len() as u64);
    assert_eq!(summary.captions, sample.captions.len() as u64);
    assert_eq!(summary.categories, sample.categories.len() as u64);
    let files = &sample.files;
    assert_eq!(summary.bytes, files.values().map(|bytes| bytes.len() as u64).sum::<u64>());
    let jpegs = |folder: &str| files.keys().filter(|path| path.starts_with(folder)).count() as u64;
    assert_eq!((summary.train_images, summary.val_images), (jpegs("train2017"), jpegs("val2017")));
    assert_eq!((summary.train_images, summary.val_images), (64, 16));
    assert_eq!(summary.image_files, 80);
    let ids = image_ids(&image_entries(sample), "id");
    assert_eq!(summary.image_files, ids.len() as u64);
    let unnamed = |entries: &[Value]| ids.difference(&image_ids(entries, "image_id")).count() as u64;
    assert_eq!(summary.images_without_annotations, unnamed(&sample.annotations));
    assert_eq!(summary.images_without_captions, unnamed(&sample.captions));
}

#[test]
fn the_summary_counts_duplicates() {
    let sample = &*SAMPLE;
    let summary = &sample.summary;
    let repeated = |entries: &[Value]| (entries.len() - distinct(entries).len()) as u64;
    assert_eq!(summary.duplicate_images, repeated(&image_entries(sample)));
    assert_eq!(summary.duplicate_annotations, repeated(&sample.annotations));
    assert_eq!(summary.duplicate_captions, repeated(&sample.captions));
    let same_id = |entries: &[Value]| entries.len() - image_ids(entries, "id").len();
    assert!((1..summary.duplicate_annotations).contains(&(same_id(&sample.annotations) as u64)));
    assert!((1..summary.duplicate_captions).contains(&(same_id(&sample.captions) as u64)));
}

#[test]
fn the_summary_counts_twins() {
    let sample = &*SAMPLE;
    let mut images = sample.images.clone();
    images.sort_by_key(|(_, image)| image["id"].as_u64());
    images.dedup();
    let (mut seen, mut twins) = (BTreeSet::new(), BTreeSet::new());
    for (split, image) in &images {
        if !seen.insert(file(sample, split, image)) {
            twins.insert(image["id"].as_u64().unwrap());
        }
    }
    let of_twins = |entry: &Value| twins.contains(&entry["image_id"].as_u64().unwrap());
    assert_eq!(sample.summary.twin_images, twins.len() as u64);
    assert_eq!(sample.summary.twin_annotations, count(&sample.annotations, of_twins));
    assert_eq!(sample.summary.twin_captions, count(&sample.captions, of_twins));
}

#[test]
fn the_summary_counts_flaws() {
    let sample = &*SAMPLE;
    let summary = &sample.summary;
    let images = distinct(&image_entries(sample));
    let dates = |image: &Value| image["date_captured"].as_str().is_none_or(str::is_empty);
    assert_eq!(summary.missing_licenses, count(&images, |image| image["license"].is_null()));
    assert_eq!(summary.missing_dates, count(&images, dates));
    assert_eq!(summary.crowd_regions, count(&sample.annotations, |annotation| annotation["iscrowd"] == 1));
    let flat = |annotation: &Value| numbers(&annotation["bbox"])[2] <= 0.0;
    assert_eq!(summary.degenerate_annotations, count(&sample.annotations, flat));
    let missing = |caption: &Value| caption["caption"].as_str().is_none_or(|text| text.trim().is_empty());
    assert_eq!(summary.missing_captions, count(&sample.captions, missing));
    let padded = |caption: &Value| !missing(caption) && caption["caption"].as_str().is_some_and(|t| t != t.trim());
    assert_eq!(summary.padded_captions, count(&sample.captions, padded));
    let flaws = serde_json::to_value(summary).unwrap();
    for (flaw, number) in flaws.as_object().unwrap() {
        assert!(number.as_u64() > Some(0), "{flaw}");
    }
}

#[test]
fn only_duplicates_change_the_number_of_crowded_images() {
    let sample = &*SAMPLE;
    let crowded = |annotations: &[Value]| {
        let mut people: BTreeMap<u64, usize> = BTreeMap::new();
        for annotation in annotations.iter().filter(|annotation| annotation["category_id"] == 1) {
            *people.entry(annotation["image_id"].as_u64().unwrap()).or_default() += 1;
        }
        assert!(people.values().all(|&number| number <= 16));
        people.values().filter(|&&number| number >= 5).count() as u64
    };
    let mut kept = distinct(&sample.annotations);
    assert_eq!(crowded(&kept), sample.summary.crowded_images);
    assert!(crowded(&sample.annotations) > sample.summary.crowded_images);
    kept.retain(|annotation| annotation["iscrowd"] == 0 && annotation["area"].as_f64() > Some(0.0));
    assert_eq!(crowded(&kept), sample.summary.crowded_images);
}

#[test]
fn every_entry_has_its_image_and_every_image_its_file() {
    let sample = &*SAMPLE;
    for (split, image) in &sample.images {
        let id = image["id"].as_u64().unwrap();
        assert_eq!(image["file_name"], format!("{id:012}.jpg"));
        let picture = image::load_from_memory(file(sample, split, image)).unwrap();
        assert_eq!(image["width"], picture.width());
        assert_eq!(image["height"], picture.height());
    }
    let ids = image_ids(&image_entries(sample), "id");
    assert!(image_ids(&sample.annotations, "image_id").is_subset(&ids));
    assert!(image_ids(&sample.captions, "image_id").is_subset(&ids));
    let categories = image_ids(&sample.categories, "id");
    assert!(image_ids(&sample.annotations, "category_id").is_subset(&categories));
}

#[test]
fn boxes_lie_in_the_image_and_polygons_fill_them() {
    let sample = &*SAMPLE;
    let sizes: BTreeMap<u64, (f64, f64)> = sample
        .images
        .iter()
        .map(|(_, i)| (i["id"].as_u64().unwrap(), (i["width"].as_f64().unwrap(), i["height"].as_f64().unwrap())))
        .collect();
    for annotation in &sample.annotations {
        let bbox = numbers(&annotation["bbox"]);
        let (width, height) = sizes[&annotation["image_id"].as_u64().unwrap()];
        assert!(bbox[0] >= 0.0 && bbox[1] >= 0.0 && bbox[2] >= 0.0 && bbox[3] > 0.0, "{annotation}");
        assert!(bbox[0] + bbox[2] <= width && bbox[1] + bbox[3] <= height, "{annotation}");
        assert!(bbox.iter().all(|number| (number * 100.0 - (number * 100.0).round()).abs() < 1e-6), "{annotation}");
        if annotation["iscrowd"] == 1 {
            let (mask, size) = (&annotation["segmentation"]["counts"], &annotation["segmentation"]["size"]);
            let inside: f64 = numbers(mask).iter().skip(1).step_by(2).sum();
            assert_eq!(annotation["area"].as_f64(), Some(inside));
            assert!((numbers(mask).iter().sum::<f64>() - width * height).abs() < 0.1, "{annotation}");
            assert_eq!(numbers(size), [height, width]);
        } else {
            let polygon = numbers(&annotation["segmentation"][0]);
            for (axis, start) in [(0, bbox[0]), (1, bbox[1])] {
                let ends = polygon.iter().skip(axis).step_by(2);
                let (low, high) = ends.fold((f64::MAX, f64::MIN), |(low, high), &end| (low.min(end), high.max(end)));
                assert!((low - start).abs() < 0.02 && (high - start - bbox[axis + 2]).abs() < 0.02, "{annotation}");
            }
            assert!(annotation["area"].as_f64().unwrap() <= bbox[2] * bbox[3]);
        }
    }
}

/// The box of what an object changes on a plain ground.
fn drawn_box(object: &Object, width: u32, height: u32) -> [f64; 4] {
    const GROUND: Ink = Ink::new(255, 0, 255);
    let mut canvas = Canvas::new(width, height).unwrap();
    canvas.pen().block(Rect::new(0.0, 0.0, f64::from(width), f64::from(height)), GROUND);
    drawing::draw(&mut canvas, object);
    let image = canvas.into_image().unwrap();
    let drawn = image.enumerate_pixels().filter(|(_, _, pixel)| pixel.0 != [255, 0, 255]);
    drawn.fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |[left, top, right, bottom], (x, y, _)| {
        let (x, y) = (f64::from(x), f64::from(y));
        [left.min(x), top.min(y), right.max(x + 1.0), bottom.max(y + 1.0)]
    })
}

#[test]
fn figures_fill_their_boxes() {
    let mut categories = BTreeSet::new();
    for stream in 0..60 {
        let scene = scene::compose(Role::Plain, &mut Dice::new(7, stream));
        for mut object in scene.objects.iter().copied() {
            // What is held casts no shadow.
            if object.stance != Stance::Wings {
                object.stance = Stance::Hand;
            }
            let [left, top, width, height] = object.bbox();
            let expected = [left, top, left + width, top + height];
            let drawn = drawn_box(&object, scene.stage.width, scene.stage.height);
            let fits = expected.iter().zip(drawn).all(|(expected, drawn)| (expected - drawn).abs() < 2.0);
            assert!(fits, "{object:?}: {drawn:?}");
            categories.insert(object.category.kind().name);
        }
    }
    assert_eq!(categories.len(), Category::ALL.len());
}

#[test]
fn captions_name_what_the_boxes_show() {
    let sample = &*SAMPLE;
    let annotations = distinct(&sample.annotations);
    for caption in &sample.captions {
        let Some(text) = caption["caption"].as_str().map(str::trim).filter(|text| !text.is_empty()) else {
            continue;
        };
        let of_image = |annotation: &Value| annotation["image_id"] == caption["image_id"];
        for category in Category::ALL {
            let kind = category.kind();
            let shown = |annotation: &Value| {
                let wide = numbers(&annotation["bbox"])[2] > 0.0;
                of_image(annotation) && wide && annotation["iscrowd"] == 0 && annotation["category_id"] == kind.id
            };
            let number = count(&annotations, shown);
            let empty = count(&annotations, of_image) == 0;
            let (one, more) = (text.contains(kind.name), text.contains(kind.plural));
            assert!(empty || one == (number == 1 || (number > 1 && kind.plural.starts_with(kind.name))), "{text}");
            assert!(empty || more == (number > 1), "{text}");
        }
    }
}

#[test]
fn captions_of_an_image_differ() {
    let sample = sample(&CocoOptions { images: 40, seed: 3 });
    let captions = distinct(&sample.captions);
    let trimmed = |caption: &Value| caption["caption"].as_str().map(|text| text.trim().to_lowercase());
    let texts: BTreeSet<_> = captions.iter().map(|caption| (caption["image_id"].as_u64(), trimmed(caption))).collect();
    assert_eq!(texts.len(), captions.len());
}

#[test]
fn categories_are_those_of_coco() {
    let names: Vec<_> = Category::ALL.iter().map(|category| (category.kind().id, category.kind().name)).collect();
    assert!(names.is_sorted());
    for pair in [(1, "person"), (3, "car"), (28, "umbrella"), (44, "bottle"), (62, "chair"), (64, "potted plant")] {
        assert!(names.contains(&pair), "{pair:?}");
    }
    assert_eq!((Category::PottedPlant.kind().name, Category::Horse.kind().name), ("potted plant", "horse"));
}

#[test]
fn a_folder_with_content_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let err = write_coco(folder.path(), &OPTIONS).unwrap_err();
    assert!(matches!(err, Error::NotEmpty { .. }), "{err}");
    assert!(err.to_string().contains("specify a new one"), "{err}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_data_set_without_images_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for images in [0, 100_001] {
        let err = write_coco(folder.path(), &CocoOptions { images, seed: 7 }).unwrap_err();
        assert!(matches!(err, Error::OutOfRange { .. }), "{err}");
    }
}

#[test]
fn one_image_is_enough_and_the_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let summary = write_coco(&folder.path().join("new/coco"), &CocoOptions { images: 1, seed: 1 }).unwrap();
    assert_eq!((summary.image_files, summary.val_images), (1, 0));
}

//! COCO's JSON: the entries as they stand in the files, and how a scene becomes some.

use serde::Serialize;

use super::category::{Category, Kind};
use super::drawing;
use super::scene::{Object, Scene, rounded};
use crate::canvas::Rect;

/// A field that may be left out, or be there without a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Field<T> {
    /// The field is there and has a value.
    Value(T),
    /// The field is there and null.
    Null,
    /// The field is not there.
    Absent,
}

/// The head of each file.
#[derive(Debug, Serialize)]
pub(super) struct Info {
    description: &'static str,
    version: &'static str,
    year: u32,
    contributor: &'static str,
    date_created: &'static str,
}

/// A licence that images name by its id.
#[derive(Debug, Serialize)]
pub(super) struct License {
    id: u32,
    name: &'static str,
    url: &'static str,
}

/// An element of `images`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ImageEntry {
    /// COCO's id.
    pub(super) id: u32,
    /// The name of the file in the folder of its split.
    pub(super) file_name: String,
    /// The width in pixels.
    pub(super) width: u32,
    /// The height in pixels.
    pub(super) height: u32,
    /// The id of a licence.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(super) license: Field<u32>,
    /// `YYYY-MM-DD HH:MM:SS`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub(super) date_captured: Field<String>,
}

/// Where in the picture an annotated thing is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Segmentation {
    /// Polygons, each as `x1, y1, x2, y2, …`.
    Polygons(Vec<Vec<f64>>),
    /// A mask, column by column, as lengths of runs that are alternately outside and inside.
    Runs {
        /// The lengths, the first one outside.
        counts: Vec<u32>,
        /// Height and width of the picture.
        size: [u32; 2],
    },
}

/// An element of `annotations` in an `instances` file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Annotation {
    /// Unique among the instances of both splits, unless repeated on purpose.
    pub(super) id: u64,
    /// The image.
    pub(super) image_id: u32,
    /// The category.
    pub(super) category_id: u32,
    /// Left, top, width, height.
    pub(super) bbox: [f64; 4],
    /// The area of the segmentation.
    pub(super) area: f64,
    /// 1 if this is a region of many.
    pub(super) iscrowd: u8,
    /// The shape.
    pub(super) segmentation: Segmentation,
}

/// An element of `annotations` in a `captions` file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::struct_field_names, reason = "COCO names the fields")]
pub(super) struct Caption {
    /// Unique among the captions of both splits, unless repeated on purpose.
    pub(super) id: u64,
    /// The image.
    pub(super) image_id: u32,
    /// The sentence, if there is one.
    pub(super) caption: Option<String>,
}

/// An element of `categories`.
#[derive(Debug, Serialize)]
pub(super) struct CategoryEntry {
    id: u32,
    name: &'static str,
    supercategory: &'static str,
}

/// A whole file; `A` is [`Annotation`] or [`Caption`].
#[derive(Debug, Serialize)]
pub(super) struct Document<'a, A> {
    info: Info,
    licenses: [License; 4],
    images: &'a [ImageEntry],
    annotations: &'a [A],
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<CategoryEntry>>,
}

/// The ids of the licences, of which each image names one.
pub(super) const LICENSE_IDS: [u32; 4] = [1, 2, 4, 5];

const LICENSES: [License; 4] = [
    license(1, "Attribution-NonCommercial-ShareAlike License", "http://creativecommons.org/licenses/by-nc-sa/2.0/"),
    license(2, "Attribution-NonCommercial License", "http://creativecommons.org/licenses/by-nc/2.0/"),
    license(4, "Attribution License", "http://creativecommons.org/licenses/by/2.0/"),
    license(5, "Attribution-ShareAlike License", "http://creativecommons.org/licenses/by-sa/2.0/"),
];

const INFO: Info = Info {
    description: "Drawn sample data in the layout of COCO 2017",
    version: "1.0",
    year: 2017,
    contributor: "merganser",
    date_created: "2017/09/01",
};

const fn license(id: u32, name: &'static str, url: &'static str) -> License {
    License { id, name, url }
}

/// The annotations of a scene; the ids are given later.
pub(super) fn annotations(scene: &Scene, image_id: u32) -> Vec<Annotation> {
    let crowd = scene.crowd.map(|region| crowd_annotation(scene, region, image_id));
    scene.objects.iter().map(|object| object_annotation(object, image_id)).chain(crowd).collect()
}

fn object_annotation(object: &Object, image_id: u32) -> Annotation {
    let outline = drawing::outline(object);
    let turns = outline.iter().zip(outline.iter().cycle().skip(1));
    let doubled: f64 = turns.map(|(from, to)| from.0 * to.1 - to.0 * from.1).sum();
    Annotation {
        id: 0,
        image_id,
        category_id: object.category.kind().id,
        bbox: object.bbox(),
        area: rounded(doubled.abs() / 2.0),
        iscrowd: 0,
        segmentation: Segmentation::Polygons(vec![
            outline.iter().flat_map(|&(x, y)| [rounded(x), rounded(y)]).collect(),
        ]),
    }
}

fn crowd_annotation(scene: &Scene, region: Rect, image_id: u32) -> Annotation {
    Annotation {
        id: 0,
        image_id,
        category_id: Category::Person.kind().id,
        bbox: [region.x, region.y, region.w, region.h],
        area: region.w * region.h,
        iscrowd: 1,
        segmentation: Segmentation::Runs { counts: runs(scene, region), size: [scene.stage.height, scene.stage.width] },
    }
}

/// The mask of a rectangle of whole pixels, in COCO's order: down the first column, then the next.
fn runs(scene: &Scene, region: Rect) -> Vec<u32> {
    let columns = 0..scene.stage.width;
    let inside = columns.filter(|&x| region.x <= f64::from(x) && f64::from(x) < region.right());
    let rows = (0..scene.stage.height).filter(|&y| region.y <= f64::from(y) && f64::from(y) < region.bottom());
    let rows: Vec<u32> = rows.collect();
    let (top, high) = (rows.first().copied().unwrap_or(0), u32::try_from(rows.len()).unwrap_or(0));
    let mut counts = Vec::new();
    let mut end = 0;
    for column in inside {
        let start = column * scene.stage.height + top;
        counts.extend([start - end, high]);
        end = start + high;
    }
    counts.push(scene.stage.width * scene.stage.height - end);
    counts
}

// === impl Field ===

impl<T> Field<T> {
    /// Whether the field is left out of the file.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

// === impl Document ===

impl<'a> Document<'a, Annotation> {
    /// An `instances` file.
    pub(super) fn instances(images: &'a [ImageEntry], annotations: &'a [Annotation]) -> Self {
        let categories = Some(Category::ALL.iter().map(|category| CategoryEntry::from(category.kind())).collect());
        Self { info: INFO, licenses: LICENSES, images, annotations, categories }
    }
}

impl<'a> Document<'a, Caption> {
    /// A `captions` file.
    pub(super) fn captions(images: &'a [ImageEntry], annotations: &'a [Caption]) -> Self {
        Self { info: INFO, licenses: LICENSES, images, annotations, categories: None }
    }
}

// === impl CategoryEntry ===

impl From<&Kind> for CategoryEntry {
    fn from(kind: &Kind) -> Self {
        Self { id: kind.id, name: kind.name, supercategory: kind.supercategory }
    }
}

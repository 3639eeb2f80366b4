//! The four tables of COCO data, wherever it comes from: a folder with annotation files, or files with rows for images.

use super::coco_json::Section;

/// A table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// What its rows are.
    pub section: Section,
    /// What follows the prefix in its name.
    pub suffix: &'static str,
    /// Its columns with their types. The one of images has `image` besides, the URI.
    pub columns: &'static [(&'static str, &'static str)],
}

/// The tables, with the columns that `coco_json` writes for each.
pub(super) const TABLES: [Table; 4] = [IMAGES, ANNOTATIONS, CATEGORIES, CAPTIONS];

pub(super) const IMAGES: Table = Table {
    section: Section::Images,
    suffix: "images",
    columns: &[
        ("id", "BIGINT"),
        ("file_name", "VARCHAR"),
        ("width", "BIGINT"),
        ("height", "BIGINT"),
        ("license", "BIGINT"),
        ("date_captured", "VARCHAR"),
        ("coco_url", "VARCHAR"),
        ("flickr_url", "VARCHAR"),
        ("split", "VARCHAR"),
        ("source_file", "VARCHAR"),
    ],
};

pub(super) const ANNOTATIONS: Table = Table {
    section: Section::Annotations,
    suffix: "annotations",
    columns: &[
        ("id", "BIGINT"),
        ("image_id", "BIGINT"),
        ("category_id", "BIGINT"),
        ("bbox", "DOUBLE[]"),
        ("area", "DOUBLE"),
        ("iscrowd", "BIGINT"),
        ("segmentation", "VARCHAR"),
        ("num_keypoints", "BIGINT"),
        ("keypoints", "VARCHAR"),
        ("split", "VARCHAR"),
        ("source_file", "VARCHAR"),
    ],
};

pub(super) const CATEGORIES: Table = Table {
    section: Section::Categories,
    suffix: "categories",
    columns: &[("id", "BIGINT"), ("name", "VARCHAR"), ("supercategory", "VARCHAR")],
};

pub(super) const CAPTIONS: Table = Table {
    section: Section::Captions,
    suffix: "captions",
    columns: &[
        ("id", "BIGINT"),
        ("image_id", "BIGINT"),
        ("caption", "VARCHAR"),
        ("split", "VARCHAR"),
        ("source_file", "VARCHAR"),
    ],
};

// === impl Table ===

impl Table {
    /// The columns as `read_json` takes them.
    pub(super) fn structure(&self) -> String {
        let columns = self.columns.iter().map(|(name, data_type)| format!("{name}: '{data_type}'"));
        format!("{{{}}}", columns.collect::<Vec<_>>().join(", "))
    }

    /// What is selected for the columns: `value` makes SQL of the name of each; those without a value are NULL.
    pub(super) fn selected(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let of = |(name, data_type): &(&'static str, &'static str)| {
            let value = value(name).unwrap_or_else(|| "NULL".to_owned());
            format!("({value})::{data_type} AS {name}")
        };
        self.columns.iter().map(of).collect::<Vec<_>>().join(", ")
    }
}

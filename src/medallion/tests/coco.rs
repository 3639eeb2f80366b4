//! The built-in models with the data that ingest delivers.

use super::lake::{Lake, Options};
use crate::{error::ErrorKind, medallion::built_in, proto::transform_result::model::Change};

const TABLES: &str = "
CREATE TABLE raw.coco_images (id BIGINT, file_name VARCHAR, width BIGINT, height BIGINT, license BIGINT,
    date_captured VARCHAR, coco_url VARCHAR, flickr_url VARCHAR, split VARCHAR, source_file VARCHAR, image VARCHAR,
    landing VARCHAR);
CREATE TABLE raw.coco_annotations (id BIGINT, image_id BIGINT, category_id BIGINT, bbox DOUBLE[], area DOUBLE,
    iscrowd BIGINT, segmentation VARCHAR, num_keypoints BIGINT, keypoints VARCHAR, split VARCHAR, source_file VARCHAR,
    landing VARCHAR);
CREATE TABLE raw.coco_categories (id BIGINT, name VARCHAR, supercategory VARCHAR, landing VARCHAR);
CREATE TABLE raw.coco_captions (id BIGINT, image_id BIGINT, caption VARCHAR, split VARCHAR, source_file VARCHAR,
    landing VARCHAR);
";

/// Four images with 1, 3, 5 and 5 people, and every possible fault.
const ROWS: &str = "
INSERT INTO raw.coco_images
SELECT id, id || '.jpg', 640, 480, if(id = 10, NULL, 1), date, NULL, '', split, source_file, 'file:///a/' || id || '.jpg',
    '2025/1'
FROM (VALUES (10, '2013-11-19 21:22:42', 'train'), (20, '', 'train'), (30, NULL, 'val'), (40, '2013-11-19', NULL))
    v(id, date, split), (VALUES ('instances.json'), ('captions.json')) f(source_file);
INSERT INTO raw.coco_images (id, file_name, landing) VALUES (50, 'lost.jpg', '2025/1');

INSERT INTO raw.coco_categories VALUES (1, 'person', 'person', '2025/1'), (2, 'dog', 'animal', '2025/1');

INSERT INTO raw.coco_annotations
SELECT 100 * image_id + nth, image_id, 1, [10.5 * nth, 20, 30, 40], 1200, 0, '[[1,2]]', 17, NULL, NULL, 'i', '2025/1'
FROM (VALUES (10, 1), (20, 3), (30, 5), (40, 5)) v(image_id, n), range(n) r(nth);
-- Under its own id again, under another id again, without width, without box, outside, of an image without file.
INSERT INTO raw.coco_annotations FROM raw.coco_annotations WHERE id = 2001;
INSERT INTO raw.coco_annotations SELECT 9001 AS id, * EXCLUDE (id) FROM raw.coco_annotations WHERE id IN (2000, 2002);
INSERT INTO raw.coco_annotations VALUES
    (9101, 20, 1, [1, 2, 0, 40], 0, 0, NULL, NULL, NULL, 'train', 'i', '2025/1'),
    (9102, 20, 1, NULL, NULL, 0, NULL, NULL, NULL, 'train', 'i', '2025/1'),
    (9103, 20, 1, [640, 0, 10, 10], 100, 0, NULL, NULL, NULL, 'train', 'i', '2025/1'),
    (9104, 50, 1, [1, 2, 3, 4], 12, 0, NULL, NULL, NULL, 'train', 'i', '2025/1'),
    (9105, 20, 2, [1, 2, 300, 400], 120000, 1, NULL, NULL, NULL, 'train', 'i', '2025/1');

INSERT INTO raw.coco_captions VALUES
    (3, 10, 'Third', 'train', 'c', '2025/1'), (1, 10, E' \\tFirst\\n', 'train', 'c', '2025/1'),
    (1, 10, E' \\tFirst\\n', 'train', 'c', '2025/1'), (2, 10, 'First', 'train', 'c', '2025/1'),
    (4, 20, NULL, 'train', 'c', '2025/1'), (5, 20, '', 'train', 'c', '2025/1'), (6, 20, E' \\n', 'train', 'c', '2025/1'),
    (NULL, 10, 'Said by a program', NULL, 'r', '2025/1'), (NULL, 99, 'Said by a program', NULL, 'r', '2025/1'),
    (NULL, 10, 'Said by a program', NULL, 'r', '2025/1');
";

fn filled() -> Lake {
    let lake = Lake::new();
    lake.sql(TABLES);
    lake.sql(ROWS);
    lake
}

#[test]
fn crowded_scenes_are_counted_without_duplicates() {
    let lake = filled();
    let outcome = lake.run(&built_in().unwrap(), Options::default());
    assert_eq!(outcome.len(), 9);
    let crowded = "SELECT image_uri, count(*) AS n_people FROM silver.coco_annotations WHERE category = 'person' \
                   GROUP BY image_uri HAVING count(*) >= 5 ORDER BY n_people DESC, image_uri";
    let expected =
        [r#"{"image_uri":"file:///a/30.jpg","n_people":5}"#, r#"{"image_uri":"file:///a/40.jpg","n_people":5}"#];
    assert_eq!(lake.rows(crowded), expected);
    assert_eq!(lake.rows("SELECT count(*) AS n FROM silver.coco_annotations"), [r#"{"n":15}"#]);
}

#[test]
fn rows_are_typed_and_cleaned() {
    let lake = filled();
    lake.run(&built_in().unwrap(), Options::default());
    let images = lake.rows("SELECT image_id AS i, split, license_id AS l, captured_at AS at, image_uri AS u FROM silver.coco_images ORDER BY 1");
    let expected = [
        r#"{"i":10,"split":"train","l":null,"at":"2013-11-19 21:22:42","u":"file:///a/10.jpg"}"#,
        r#"{"i":20,"split":"train","l":1,"at":null,"u":"file:///a/20.jpg"}"#,
        r#"{"i":30,"split":"val","l":1,"at":null,"u":"file:///a/30.jpg"}"#,
        r#"{"i":40,"split":"train","l":1,"at":"2013-11-19 00:00:00","u":"file:///a/40.jpg"}"#,
        r#"{"i":50,"split":"train","l":null,"at":null,"u":null}"#,
    ];
    assert_eq!(images, expected);
    let captions = lake.rows("SELECT caption_id AS id, image_id AS i, caption AS c, image_uri IS NULL AS lost FROM silver.coco_captions ORDER BY i, id");
    let expected = [
        r#"{"id":1,"i":10,"c":"First","lost":false}"#,
        r#"{"id":3,"i":10,"c":"Third","lost":false}"#,
        r#"{"id":null,"i":10,"c":"Said by a program","lost":false}"#,
        r#"{"id":null,"i":99,"c":"Said by a program","lost":true}"#,
    ];
    assert_eq!(captions, expected);
    let samples = lake.rows("SELECT image_id AS i, caption AS c, len(captions) AS n, label, labels, n_objects AS o, n_people AS p FROM gold.coco_samples ORDER BY 1");
    let expected = [
        r#"{"i":10,"c":"First","n":3,"label":"person","labels":["person"],"o":1,"p":1}"#,
        r#"{"i":20,"c":null,"n":0,"label":"dog","labels":["dog","person"],"o":4,"p":3}"#,
        r#"{"i":30,"c":null,"n":0,"label":"person","labels":["person"],"o":5,"p":5}"#,
        r#"{"i":40,"c":null,"n":0,"label":"person","labels":["person"],"o":5,"p":5}"#,
    ];
    assert_eq!(samples, expected);
    let box_of = lake.rows("SELECT bbox, area, is_crowd FROM silver.coco_annotations WHERE annotation_id = 9105");
    assert_eq!(box_of, [r#"{"bbox":{"x":1.0,"y":2.0,"w":300.0,"h":400.0},"area":120000.0,"is_crowd":true}"#]);
}

#[test]
fn the_same_files_again_change_nothing() {
    let lake = filled();
    let models = built_in().unwrap();
    lake.run(&models, Options::default());
    for table in ["images", "annotations", "categories", "captions"] {
        lake.sql(&format!(
            "INSERT INTO raw.coco_{table} SELECT * REPLACE ('2025/2' AS landing) FROM raw.coco_{table} WHERE landing = '2025/1'"
        ));
    }
    let head = lake.snapshot();
    let outcome = lake.run(&models, Options::default());
    assert!(outcome.iter().all(|outcome| matches!(outcome.change, Change::Checked | Change::Unchanged)), "{outcome:?}");
    assert_eq!(lake.snapshot(), head);
}

#[test]
fn a_corrected_entry_changes_its_rows_only() {
    let lake = filled();
    let models = built_in().unwrap();
    lake.run(&models, Options::default());
    lake.sql("INSERT INTO raw.coco_annotations SELECT * REPLACE ([1, 1, 9, 9] AS bbox, '2025/2' AS landing) FROM raw.coco_annotations WHERE id = 3003");
    let outcome = lake.run(&models, Options::default());
    let changes: Vec<_> = outcome
        .iter()
        .filter(|outcome| outcome.is_changed())
        .map(|outcome| (outcome.model.as_str(), outcome.rows_inserted, outcome.rows_deleted))
        .collect();
    assert_eq!(changes, [("silver.coco_annotations", 1, 1)]);
}

#[test]
fn two_builds_give_the_same_rows_in_the_same_order() {
    let (one, other) = (filled(), filled());
    let mut models = built_in().unwrap();
    let built = one.run(&models, Options::default());
    // The order of the sections in the files does not matter.
    models.reverse();
    other.run(&models, Options::default());
    let built: Vec<_> = built.into_iter().filter(|outcome| outcome.snapshot_id.is_some()).collect();
    assert_eq!(built.len(), 5);
    for outcome in built {
        let query = format!("FROM {}", outcome.model);
        assert_eq!(one.rows(&query), other.rows(&query), "{}", outcome.model);
    }
}

#[test]
fn empty_tables_make_empty_tables() {
    let lake = Lake::new();
    lake.sql(TABLES);
    let outcome = lake.run(&built_in().unwrap(), Options::default());
    assert!(outcome.iter().all(|outcome| outcome.rows == 0));
}

#[test]
fn an_id_for_two_files_is_refused() {
    let lake = filled();
    lake.sql("INSERT INTO raw.coco_images (id, file_name, landing) VALUES (10, 'other.jpg', '2025/1')");
    let err = lake.fail(&built_in().unwrap(), Options::default());
    assert_eq!(err.kind(), ErrorKind::FailedPrecondition);
    let text = r#"{"landing":"2025/1","id":10,"file_names":["10.jpg","other.jpg"]}"#;
    assert!(err.message().contains("sql(an id means one file)") && err.message().contains(text), "{}", err.message());
}

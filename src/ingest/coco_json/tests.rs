use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::error::ErrorKind;

/// A folder with annotation files and the rows that were read from them.
struct Fixture {
    folder: TempDir,
    spool: Spool,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows = folder.path().join("rows");
        std::fs::create_dir(&rows).unwrap();
        Self { folder, spool: Spool::new(rows) }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&mut self, name: &str, text: impl AsRef<[u8]>) -> Result<CocoFile> {
        let path = self.write(name, text);
        read(&path, None, &mut self.spool)
    }

    /// The rows of all sections, in the order of `Section::ALL`.
    fn finish(self) -> [Vec<Value>; 4] {
        let mut rows = [const { Vec::new() }; 4];
        for spooled in self.spool.finish().unwrap() {
            let text = std::fs::read_to_string(&spooled.path).unwrap();
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(spooled.rows, lines.len() as u64);
            assert!(text.ends_with('\n'));
            rows[spooled.section as usize] = lines;
        }
        rows
    }
}

/// A file of `../shared/data`, which is not part of the repository.
fn sample(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    let is_there = path.is_file();
    if !is_there {
        println!("skipped: {} is absent", path.display());
    }
    is_there.then_some(path)
}

#[track_caller]
fn check_refused(text: impl AsRef<[u8]>, cause: &str) {
    let err = Fixture::new().read("instances_val2017.json", text).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument);
    assert_eq!(err.message(), format!("read annotations \"instances_val2017.json\": {cause}"));
}

#[track_caller]
fn check_annotation(annotation: &str, expected: Value) {
    let mut fixture = Fixture::new();
    fixture.read("a.json", format!("{{\"annotations\": [{annotation}]}}")).unwrap();
    let [_, annotations, ..] = fixture.finish();
    assert_eq!(annotations, [expected]);
}

#[track_caller]
fn check_detected(text: impl AsRef<[u8]>, expected: Option<CocoKind>) {
    let fixture = Fixture::new();
    let path = fixture.write("a.json", text);
    assert_eq!(detect(&path).unwrap(), expected);
}

const IMAGES: &str = r#""images": [{"id": 7, "file_name": "7.jpg", "width": 640, "height": 480, "extra": {"a": [1]}}]"#;
const ANNOTATIONS: &str =
    r#""annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2.5, 3, 4], "iscrowd": 0}]"#;
const CATEGORIES: &str = r#""categories": [{"id": 3, "name": "car", "supercategory": "vehicle"}]"#;

#[test]
fn sections_are_read_in_any_order() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let sections = order.map(|at| [IMAGES, ANNOTATIONS, CATEGORIES][at]).join(", ");
        let mut fixture = Fixture::new();
        let text = format!("{{\"info\": {{\"images\": 1}}, {sections}, \"licenses\": []}}");
        let file = fixture.read("instances_val2017.json", &text).unwrap();
        let expected = CocoFile {
            kind: CocoKind::Instances,
            source_file: "instances_val2017.json".into(),
            split: Some("val".into()),
            images: 1,
            annotations: 1,
            captions: 0,
            categories: 1,
        };
        assert_eq!(file, expected);
        check_detected(&text, Some(CocoKind::Instances));

        let [images, annotations, captions, categories] = fixture.finish();
        let image = json!({"id": 7, "file_name": "7.jpg", "width": 640, "height": 480, "license": null,
            "date_captured": null, "coco_url": null, "flickr_url": null,
            "split": "val", "source_file": "instances_val2017.json"});
        let annotation = json!({"id": 1, "image_id": 7, "category_id": 3, "bbox": [1.0, 2.5, 3.0, 4.0], "area": null,
            "iscrowd": 0, "segmentation": null, "num_keypoints": null, "keypoints": null,
            "split": "val", "source_file": "instances_val2017.json"});
        assert_eq!(images, [image]);
        assert_eq!(annotations, [annotation]);
        assert!(captions.is_empty());
        assert_eq!(categories, [json!({"id": 3, "name": "car", "supercategory": "vehicle"})]);
    }
}

#[test]
fn captions_become_captions() {
    let text = r#"{"annotations": [{"image_id": 7, "id": 4, "caption": "a \"car\"\n"},
                                   {"image_id": 7, "id": 5, "caption": null}],
                   "images": [{"id": 7, "file_name": "7.jpg"}]}"#;
    let mut fixture = Fixture::new();
    let file = fixture.read("captions_train2014.json", text).unwrap();
    assert_eq!((file.kind, file.images, file.annotations, file.captions), (CocoKind::Captions, 1, 0, 2));
    check_detected(text, Some(CocoKind::Captions));
    let [_, annotations, captions, _] = fixture.finish();
    assert!(annotations.is_empty());
    let row = |id, caption: Option<&str>| {
        json!({"id": id, "image_id": 7, "caption": caption, "split": "train",
            "source_file": "captions_train2014.json"})
    };
    assert_eq!(captions, [row(4, Some("a \"car\"\n")), row(5, None)]);
}

#[test]
fn an_object_with_a_sentence_gives_both_rows() {
    let text = r#"{"images": [{"id": 7, "file_name": "7.jpg"}],
                   "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "caption": "the car on the left"}]}"#;
    let mut fixture = Fixture::new();
    let file = fixture.read("a.json", text).unwrap();
    assert_eq!((file.kind, file.annotations, file.captions), (CocoKind::Instances, 1, 1));
    check_detected(text, Some(CocoKind::Instances));
}

#[test]
fn results_are_captions_without_ids() {
    let text = r#"[{"image_id": 404464, "caption": "a man", "score": 0.5}, {"caption": "a dog", "image_id": 5}]"#;
    let mut fixture = Fixture::new();
    let file = fixture.read("captions_val2014_results.json", text).unwrap();
    assert_eq!((file.kind, file.captions), (CocoKind::CaptionResults, 2));
    let [images, _, captions, _] = fixture.finish();
    assert!(images.is_empty());
    let source_file = "captions_val2014_results.json";
    let first =
        json!({"id": null, "image_id": 404_464, "caption": "a man", "split": "val", "source_file": source_file});
    let second = json!({"id": null, "image_id": 5, "caption": "a dog", "split": "val", "source_file": source_file});
    assert_eq!(captions, [first, second]);
}

#[test]
fn images_alone_are_a_list_of_a_test_split() {
    let text = format!("{{{IMAGES}, {CATEGORIES}}}");
    let file = Fixture::new().read("image_info_test-dev2017.json", &text).unwrap();
    assert_eq!((file.kind, file.images, file.split.as_deref()), (CocoKind::Instances, 1, Some("test")));
    check_detected(&text, Some(CocoKind::Instances));
}

#[test]
fn annotations_alone_need_no_images() {
    let file = Fixture::new().read("a.json", format!("{{{ANNOTATIONS}}}")).unwrap();
    assert_eq!((file.annotations, file.images), (1, 0));
}

#[test]
fn nested_values_are_kept_as_compact_text() {
    let annotation = r#"{"image_id": 1, "segmentation": [ [1, 2.50, -3e2],
          [ ] ], "keypoints": [367, 81, 2], "num_keypoints": 1, "area": 27789.11055}"#;
    let row = |segmentation: &str, keypoints: Option<&str>, area: Option<f64>, num_keypoints: Option<i64>| {
        json!({"id": null, "image_id": 1, "category_id": null, "bbox": null, "area": area, "iscrowd": null,
            "segmentation": segmentation, "num_keypoints": num_keypoints, "keypoints": keypoints,
            "split": null, "source_file": "a.json"})
    };
    check_annotation(annotation, row("[[1,2.5,-300.0],[]]", Some("[367,81,2]"), Some(27789.11055), Some(1)));
    check_annotation(
        r#"{"image_id": 1, "segmentation": {"counts": "\\`<\"ä\n", "size": [426, 640], "x": {"y": [true, null, -1]}}}"#,
        row(r#"{"counts":"\\`<\"ä\n","size":[426,640],"x":{"y":[true,null,-1]}}"#, None, None, None),
    );
    check_annotation(r#"{"image_id": 1, "segmentation": []}"#, row("[]", None, None, None));
}

#[test]
fn the_text_of_numbers_survives() {
    let annotation = r#"{"image_id": 1, "segmentation": [[353.37, 67.65, 510.0, 0.1, 489.95, 18446744073709551615]]}"#;
    let mut fixture = Fixture::new();
    fixture.read("a.json", format!("{{\"annotations\": [{annotation}]}}")).unwrap();
    let [_, annotations, ..] = fixture.finish();
    assert_eq!(annotations[0]["segmentation"], "[[353.37,67.65,510.0,0.1,489.95,18446744073709551615]]");
}

#[test]
fn dates_of_cvat_are_numbers() {
    let text = r#"{"images": [{"id": 1, "file_name": "a.jpg", "date_captured": 0}]}"#;
    let mut fixture = Fixture::new();
    fixture.read("a.json", text).unwrap();
    let [images, ..] = fixture.finish();
    assert_eq!(images[0]["date_captured"], "0");
    let text = r#"{"images": [{"id": 1, "file_name": "a.jpg", "date_captured": []}]}"#;
    check_refused(text, "images[0].date_captured: expected a date as text or number at line 1 column 64");
}

#[test]
fn images_that_are_not_listed_are_refused() {
    let dangling = r#""annotations": [{"id": 11, "image_id": 7}, {"id": 12, "image_id": 99}"#;
    let cause = "annotation 12 references image 99, which \"images\" does not contain";
    check_refused(format!("{{{IMAGES}, {dangling}]}}"), cause);
    check_refused(format!("{{{dangling}], {IMAGES}}}"), cause);
    let more = format!(r#"{dangling}, {{"image_id": 98}}, {{"image_id": 99}}, {{"image_id": 7}}]"#);
    check_refused(format!("{{{IMAGES}, {more}}}"), &format!("{cause} (and 2 more like it)"));
    check_refused(format!("{{{more}, {IMAGES}}}"), &format!("{cause} (and 2 more like it)"));
    let caption = r#""annotations": [{"image_id": 6, "caption": "x"}]"#;
    let cause = "annotations[0] references image 6, which \"images\" does not contain";
    check_refused(format!("{{{caption}, {IMAGES}}}"), cause);
    check_refused(format!("{{{caption}, \"images\": []}}"), cause);
}

#[test]
fn categories_are_written_once() {
    let mut fixture = Fixture::new();
    let text = format!("{{{IMAGES}, {ANNOTATIONS}, {CATEGORIES}}}");
    fixture.read("a.json", &text).unwrap();
    let again = fixture.read("b.json", &text).unwrap();
    assert_eq!(again.categories, 1);
    let err = fixture.read("c.json", text.replace("car", "dog")).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::InvalidArgument);
    assert_eq!(err.message(), "read annotations \"c.json\": category 3 is \"dog\" here and \"car\" in \"a.json\"");

    let [_, _, captions, categories] = fixture.finish();
    assert_eq!(categories.len(), 1);
    assert!(captions.is_empty());
}

#[test]
fn malformed_files_are_refused_with_the_place() {
    check_refused("", "the file is empty");
    check_refused(" \n\t", "the file is empty");
    check_refused("{\n  \"images\"", "images: EOF while parsing an object at line 2 column 10");
    check_refused("{\n \"images\": [{]", "images[0]: key must be a string at line 2 column 14");
    check_refused("{\"info\": nope}", "expected ident at line 1 column 11");
    check_refused(r#"{"images": [{"id": 1"#, "images[0]: EOF while parsing an object at line 1 column 20");
    check_refused(r#"{"images": []} x"#, "trailing characters at line 1 column 16");
    check_refused(
        b"{\"images\": [{\"id\": 1, \"file_name\": \"\xFF\"}]}",
        "images[0].file_name: invalid unicode code point at line 1 column 37",
    );
    let deep = format!(r#"{{"annotations": [{{"image_id": 1, "segmentation": {}"#, "[".repeat(1000));
    check_refused(deep, "annotations[0].segmentation: recursion limit exceeded at line 1 column 174");
}

#[test]
fn wrong_types_are_refused_with_the_field() {
    check_refused(
        r#"{"annotations": [{"image_id": 1}, {"id": 3, "image_id": "abc"}]}"#,
        "annotations[1].image_id: invalid type: string \"abc\", expected i64 at line 1 column 61",
    );
    check_refused(
        r#"{"images": [{"id": 785.0, "file_name": "a.jpg"}]}"#,
        "images[0].id: invalid type: floating point `785.0`, expected i64 at line 1 column 25",
    );
    check_refused(r#"{"images": [{"id": 785}]}"#, "images[0]: missing field `file_name` at line 1 column 23");
    check_refused(r#"{"annotations": [{"id": 1}]}"#, "annotations[0]: missing field `image_id` at line 1 column 26");
    check_refused(
        r#"{"annotations": [{"image_id": null}]}"#,
        "annotations[0].image_id: invalid type: null, expected i64 at line 1 column 34",
    );
    check_refused(
        r#"{"annotations": [{"image_id": 1, "image_id": 2}]}"#,
        "annotations[0].image_id: duplicate field `image_id` at line 1 column 44",
    );
    check_refused(
        r#"{"annotations": [[1, 2]]}"#,
        "annotations[0]: invalid type: sequence, expected an object at line 1 column 18",
    );
    check_refused(r#"{"images": {}}"#, "images: invalid type: map, expected an array at line 1 column 12");
    check_refused(
        r#"[{"image_id": 1, "caption": "a"}, {"image_id": 2, "category_id": 1}]"#,
        "[1]: missing field `caption` at line 1 column 67",
    );
}

#[test]
fn boxes_have_four_numbers() {
    let four = "expected the four numbers [x, y, width, height]";
    check_refused(
        r#"{"annotations": [{"image_id": 1, "bbox": [1, 2, 3]}]}"#,
        &format!("annotations[0].bbox: invalid length 3, {four} at line 1 column 50"),
    );
    check_refused(
        r#"{"annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4, 5]}]}"#,
        &format!("annotations[0].bbox: invalid length 5, {four} at line 1 column 56"),
    );
    check_refused(
        r#"{"annotations": [{"image_id": 1, "bbox": [1, 2, 3, "4"]}]}"#,
        "annotations[0].bbox: invalid type: string \"4\", expected f64 at line 1 column 54",
    );
}

#[test]
fn other_json_is_refused() {
    check_refused("{}", "not a COCO file: it has neither \"images\" nor \"annotations\"");
    check_refused(
        format!("{{{CATEGORIES}, \"info\": []}}"),
        "not a COCO file: it has neither \"images\" nor \"annotations\"",
    );
    check_refused(format!("{{{IMAGES}, {IMAGES}}}"), "the section \"images\" appears twice");
    check_refused(
        r#"{"annotations": [{"image_id": 1, "segments_info": []}]}"#,
        "annotations[0]: \"segments_info\" is of the panoptic format, which is not read",
    );
    let expected = "expected an object with \"images\" and \"annotations\" or an array of captions";
    check_refused("12", &format!("invalid type: integer `12`, {expected} at line 1 column 2"));
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let fixture = &mut Fixture::new();
    let absent = fixture.folder.path().join("absent.json");
    let err = read(&absent, None, &mut fixture.spool).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::NotFound);
    assert!(err.message().starts_with("read annotations \"absent.json\": "), "{err}");
    assert_eq!(detect(&absent).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(
        read(fixture.folder.path(), None, &mut fixture.spool).unwrap_err().kind(),
        ErrorKind::FailedPrecondition
    );
    assert_eq!(detect(fixture.folder.path()).unwrap_err().kind(), ErrorKind::FailedPrecondition);
}

#[test]
fn spools_do_not_mix() {
    let mut fixture = Fixture::new();
    std::fs::write(fixture.folder.path().join("rows/images.ndjson"), "").unwrap();
    let err = fixture.read("a.json", format!("{{{IMAGES}}}")).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Internal);
    assert!(err.message().starts_with("read annotations \"a.json\": write \"images.ndjson\": "), "{err}");
}

#[test]
fn the_split_is_a_word_of_the_name() {
    let cases = [
        ("instances_train2017.json", Some("train")),
        ("captions_val2014.json", Some("val")),
        ("person_keypoints_val2017.json", Some("val")),
        ("image_info_test-dev2017.json", Some("test")),
        ("TRAIN.json", Some("train")),
        ("train-train2.json", Some("train")),
        ("instances_train_val.json", None),
        ("latest.json", None),
        ("interval.json", None),
        ("annotations.json", None),
        ("", None),
    ];
    for (name, split) in cases {
        assert_eq!(split_in(name), split, "{name}");
    }
    let mut fixture = Fixture::new();
    let path = fixture.write("instances_train2017.json", format!("{{{IMAGES}}}"));
    let file = read(&path, Some("restval"), &mut fixture.spool).unwrap();
    assert_eq!(file.split.as_deref(), Some("restval"));
    let [images, ..] = fixture.finish();
    assert_eq!(images[0]["split"], "restval");
}

#[test]
fn other_json_is_not_detected() {
    check_detected("", None);
    check_detected("a,b\n1,2\n", None);
    check_detected("{}", None);
    check_detected("[]", None);
    check_detected("[1, 2]", None);
    check_detected("{\"images\": 1}", None);
    check_detected(format!("{{{IMAGES}}}"), None);
    check_detected(format!("{{{ANNOTATIONS}}}"), None);
    check_detected(r#"{"images": ["a.jpg"], "annotations": ["a dog"]}"#, None);
    check_detected(r#"{"images": [{"url": "a.jpg"}], "annotations": [{"text": "a dog"}]}"#, None);
    check_detected(r#"[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]"#, None);
    let panoptic = r#""annotations": [{"image_id": 7, "file_name": "7.png", "segments_info": []}]"#;
    check_detected(format!("{{{IMAGES}, {panoptic}, {CATEGORIES}}}"), None);
    check_detected(format!("{{{panoptic}, {IMAGES}, {CATEGORIES}}}"), None);
    check_detected("{\"id\": 1}\n{\"id\": 2}\n", None);
}

#[test]
fn detection_stops_early_and_leaves_errors_to_reading() {
    check_detected(
        format!("{{{IMAGES}, \"annotations\": [{{\"image_id\": \"abc\"}}, nonsense"),
        Some(CocoKind::Instances),
    );
    check_detected(r#"[{"image_id": 1, "caption": null}, nonsense"#, Some(CocoKind::CaptionResults));
    check_detected(r#"{"images": [], "annotations": [], nonsense"#, Some(CocoKind::Instances));
}

#[test]
fn the_real_instances_are_read() {
    let Some(path) = sample("coco/instances_sample.json") else {
        return;
    };
    assert_eq!(detect(&path).unwrap(), Some(CocoKind::Instances));
    let mut fixture = Fixture::new();
    let file = read(&path, Some("val"), &mut fixture.spool).unwrap();
    assert_eq!((file.kind, file.images, file.annotations, file.categories), (CocoKind::Instances, 4, 14, 1));
    let [images, annotations, _, categories] = fixture.finish();
    assert_eq!(categories, [json!({"id": 1, "name": "person", "supercategory": "person"})]);
    assert_eq!(images[0]["id"], 785);
    assert_eq!(images[0]["file_name"], "000000000785.jpg");
    assert_eq!(images[0]["date_captured"], "2013-11-19 21:22:42");

    let original: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (row, original) in annotations.iter().zip(original["annotations"].as_array().unwrap()) {
        assert_eq!(row["source_file"], "instances_sample.json");
        for field in ["id", "image_id", "category_id", "area", "iscrowd", "num_keypoints"] {
            assert_eq!(row[field], original[field], "{field}");
        }
        let sides = |value: &Value| value.as_array().unwrap().iter().map(Value::as_f64).collect::<Vec<_>>();
        assert_eq!(sides(&row["bbox"]), sides(&original["bbox"]));
        for field in ["segmentation", "keypoints"] {
            assert_eq!(row[field].as_str().unwrap(), original[field].to_string(), "{field}");
        }
    }
}

#[test]
fn the_real_results_are_read() {
    let Some(path) = sample("coco/captions_val2014_results.json") else {
        return;
    };
    assert_eq!(detect(&path).unwrap(), Some(CocoKind::CaptionResults));
    let mut fixture = Fixture::new();
    let file = read(&path, None, &mut fixture.spool).unwrap();
    assert_eq!((file.kind, file.captions, file.split.as_deref()), (CocoKind::CaptionResults, 1000, Some("val")));
    let [_, _, captions, _] = fixture.finish();
    assert_eq!(captions[0]["image_id"], 404_464);
    assert_eq!(captions[0]["caption"], "black and white photo of a man standing in front of a building");
}

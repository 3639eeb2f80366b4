use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use super::cast::{Body, Cast};
use super::look::Look;
use super::place::{HEIGHT, Place, WIDTH};
use super::plan::Bustle;
use super::shot::{self, Sighting};
use super::{Counts, VisdroneOptions, VisdroneSummary, write_visdrone};
use crate::canvas::{Canvas, Ink, Rect};
use crate::dice::Dice;
use crate::error::Error;
use crate::figure;
use crate::stage::Light;

const OPTIONS: VisdroneOptions = VisdroneOptions { sequences: 4, frames: 60, seed: 7 };
/// Written once, read by most tests.
static SAMPLE: LazyLock<Sample> = LazyLock::new(|| sample(&OPTIONS));

/// A written data set and what its annotation files say.
struct Sample {
    /// All files by their paths.
    files: BTreeMap<String, Vec<u8>>,
    summary: VisdroneSummary,
    /// The lines of each sequence, in the order of the file.
    lines: BTreeMap<String, Vec<Line>>,
}

/// A line as a reader of the format sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    frame: i32,
    target: i32,
    bbox: [i32; 4],
    score: i32,
    category: i32,
    truncation: i32,
    occlusion: i32,
    comma: bool,
}

fn sample(options: &VisdroneOptions) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let summary = write_visdrone(folder.path(), options).unwrap();
    let mut files = BTreeMap::new();
    collect(folder.path(), folder.path(), &mut files);
    let mut lines = BTreeMap::new();
    for (path, bytes) in &files {
        if let Some((_, name)) = path.strip_suffix(".txt").and_then(|path| path.split_once("/annotations/")) {
            let text = std::str::from_utf8(bytes).unwrap();
            lines.insert(name.to_owned(), text.lines().filter(|line| !line.is_empty()).map(parse).collect());
        }
    }
    Sample { files, summary, lines }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.insert(path.strip_prefix(root).unwrap().display().to_string(), fs::read(&path).unwrap());
        }
    }
}

fn parse(line: &str) -> Line {
    let (text, comma) = line.strip_suffix(',').map_or((line, false), |text| (text, true));
    let fields: Vec<i32> = text.split(',').map(|field| field.parse().unwrap()).collect();
    let &[frame, target, left, top, width, height, score, category, truncation, occlusion] = fields.as_slice() else {
        panic!("{line}")
    };
    Line { frame, target, bbox: [left, top, width, height], score, category, truncation, occlusion, comma }
}

fn counts(line: &Line) -> bool {
    line.score == 1 && (1..=10).contains(&line.category)
}

/// The lines of each target, by frame.
fn tracks(lines: &[Line]) -> BTreeMap<i32, Vec<Line>> {
    let mut tracks: BTreeMap<i32, Vec<Line>> = BTreeMap::new();
    for line in lines {
        tracks.entry(line.target).or_default().push(line.clone());
    }
    for track in tracks.values_mut() {
        track.sort();
    }
    tracks
}

/// How many boxes count in each fragment of so many frames.
fn fragments(sample: &Sample, frames: i32) -> Vec<usize> {
    let of_sequence = |lines: &Vec<Line>| {
        let mut fragments = vec![0; usize::try_from(60 / frames).unwrap()];
        for line in lines.iter().filter(|line| counts(line)) {
            fragments[usize::try_from((line.frame - 1) / frames).unwrap()] += 1;
        }
        fragments
    };
    let mut fragments: Vec<usize> = sample.lines.values().flat_map(of_sequence).collect();
    fragments.sort_by_key(|&boxes| std::cmp::Reverse(boxes));
    fragments
}

#[test]
fn equal_options_make_equal_bytes() {
    let again = sample(&OPTIONS);
    assert_eq!(again.summary, SAMPLE.summary);
    assert!(again.files == SAMPLE.files);
}

#[test]
fn another_seed_makes_another_data_set() {
    let other = sample(&VisdroneOptions { seed: 8, ..OPTIONS });
    assert_eq!(other.files.len(), SAMPLE.files.len());
    assert!(other.files.values().zip(SAMPLE.files.values()).all(|(one, other)| one != other));
}

#[test]
fn folders_and_names_are_those_of_visdrone() {
    let sample = &*SAMPLE;
    let mut expected = BTreeSet::new();
    for (index, sequence) in sample.summary.by_sequence.iter().enumerate() {
        let (name, split) = (&sequence.name, if index == 3 { "val" } else { "train" });
        let digits = |range: std::ops::Range<usize>| name[range].bytes().all(|byte| byte.is_ascii_digit());
        assert!(name.len() == 18 && name.starts_with("uav") && &name[10..11] == "_" && name.ends_with("_v"), "{name}");
        assert!(digits(3..10) && digits(11..16), "{name}");
        assert_eq!(sequence.split, split);
        expected.insert(format!("VisDrone2019-MOT-{split}/annotations/{name}.txt"));
        expected.extend((1..=60).map(|n| format!("VisDrone2019-MOT-{split}/sequences/{name}/{n:07}.jpg")));
    }
    assert_eq!(sample.files.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (path, bytes) in sample.files.iter().filter(|(path, _)| path.contains("/sequences/")) {
        let picture = image::load_from_memory(bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT), "{path}");
    }
}

#[test]
fn the_summary_counts_what_is_in_the_files() {
    let sample = &*SAMPLE;
    let summary = &sample.summary;
    assert_eq!((summary.sequences, summary.train_sequences, summary.val_sequences), (4, 3, 1));
    assert_eq!(summary.bytes, sample.files.values().map(|bytes| bytes.len() as u64).sum::<u64>());
    let mut total = Counts::default();
    for sequence in &summary.by_sequence {
        let lines = &sample.lines[&sequence.name];
        let count = |counts: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| counts(line)).count() as u64;
        let category = |id: u8| (id, count(&|line| counts(line) && line.category == i32::from(id)));
        let distinct = |key: fn(&Line) -> i32, counts: fn(&Line) -> bool| {
            lines.iter().filter(|line| counts(line)).map(key).collect::<BTreeSet<_>>().len() as u64
        };
        let expected = Counts {
            frames: 60,
            lines: lines.len() as u64,
            counted_boxes: count(&counts),
            tracks: distinct(|line| line.target, counts),
            boxes_by_category: (0..=11).map(category).filter(|&(_, boxes)| boxes > 0).collect(),
            ignored_lines: count(&|line| line.category == 0),
            other_lines: count(&|line| line.category == 11),
            unscored_lines: count(&|line| line.score == 0 && (1..=10).contains(&line.category)),
            trailing_commas: count(&|line| line.comma),
            empty_frames: 60 - distinct(|line| line.frame, |_| true),
        };
        assert_eq!(sequence.counts, expected, "{}", sequence.name);
        total.add(&expected);
    }
    assert_eq!(summary.total, total);
    let Counts { lines, counted_boxes, ignored_lines, other_lines, unscored_lines, .. } = total;
    assert_eq!(lines, counted_boxes + ignored_lines + other_lines + unscored_lines);
}

#[test]
fn the_summary_is_one_json_object_with_the_totals_at_the_top() {
    let json = serde_json::to_value(&SAMPLE.summary).unwrap();
    assert_eq!(json["frames"], 240);
    assert_eq!(json["counted_boxes"], SAMPLE.summary.total.counted_boxes);
    assert_eq!(json["boxes_by_category"]["4"], SAMPLE.summary.total.boxes_by_category[&4]);
    assert_eq!(json["by_sequence"][3]["split"], "val");
    assert_eq!(json["by_sequence"][3]["frames"], 60);
}

#[test]
fn there_is_every_category_and_every_oddity_of_real_annotations() {
    let sample = &*SAMPLE;
    let all = || sample.lines.values().flatten();
    assert_eq!(all().map(|line| line.category).collect::<BTreeSet<_>>(), (0..=11).collect());
    assert_eq!(all().map(|line| line.truncation).collect::<BTreeSet<_>>(), (0..=1).collect());
    assert_eq!(all().map(|line| line.occlusion).collect::<BTreeSet<_>>(), (0..=2).collect());
    assert!(all().all(|line| (line.score == 0) >= (line.category == 0)));
    let Counts { unscored_lines, trailing_commas, empty_frames, .. } = SAMPLE.summary.total;
    assert!(unscored_lines > 0 && trailing_commas > 0 && empty_frames > 0);
    let orders = |lines: &Vec<Line>| {
        let by_frame = lines.is_sorted_by_key(|line| line.frame);
        (by_frame, lines.is_sorted_by_key(|line| (line.target, line.frame)))
    };
    let orders: BTreeSet<_> = sample.lines.values().map(orders).collect();
    assert_eq!(orders, BTreeSet::from([(true, false), (false, true), (false, false)]));
    let blank_last = |bytes: &Vec<u8>| bytes.ends_with(b"\n\n");
    let texts = sample.files.iter().filter(|(path, _)| path.contains("/annotations/"));
    assert_eq!(texts.filter(|(_, bytes)| blank_last(bytes)).count(), 1);
}

#[test]
fn boxes_lie_in_the_frame() {
    let (width, height) = (WIDTH.cast_signed(), HEIGHT.cast_signed());
    for (name, lines) in &SAMPLE.lines {
        for line in lines {
            let [x, y, w, h] = line.bbox;
            assert!(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= width && y + h <= height, "{name}: {line:?}");
            assert!((1..=60).contains(&line.frame) && line.target >= 0, "{name}: {line:?}");
            let at_edge = x == 0 || y == 0 || x + w == width || y + h == height;
            assert!(line.truncation == 0 || at_edge, "{name}: {line:?}");
        }
        let keys: BTreeSet<_> = lines.iter().map(|line| (line.frame, line.target)).collect();
        assert_eq!(keys.len(), lines.len(), "{name}");
    }
}

#[test]
fn tracks_are_smooth_and_without_gaps() {
    let (mut entered, mut left) = (0, 0);
    for (name, lines) in &SAMPLE.lines {
        for (target, track) in tracks(lines) {
            for pair in track.windows(2) {
                let (one, next) = (&pair[0], &pair[1]);
                assert_eq!(one.frame + 1, next.frame, "{name}: {target}");
                assert_eq!((one.category, one.score), (next.category, next.score), "{name}: {target}");
                let edges = |[x, y, w, h]: [i32; 4]| [x, y, x + w, y + h];
                let steps = edges(one.bbox).into_iter().zip(edges(next.bbox)).map(|(from, to)| (from - to).abs());
                assert!(steps.max() <= Some(8), "{name}: {one:?} {next:?}");
            }
            // Nobody appears or vanishes but at the edge.
            let (first, last) = (&track[0], &track[track.len() - 1]);
            assert!(first.frame == 1 || first.truncation == 1, "{name}: {first:?}");
            assert!(last.frame == 60 || last.truncation == 1, "{name}: {last:?}");
            entered += usize::from(first.frame > 1);
            left += usize::from(last.frame < 60);
        }
    }
    assert!(entered > 10 && left > 10, "{entered} {left}");
}

#[test]
fn everybody_enters_and_leaves_once() {
    const FRAMES: u32 = 1_000;
    for place in [Place::Boulevard, Place::Street, Place::Square] {
        let cast = Cast::new(place, &place.stage(Light::Sunny), Bustle::Rush, FRAMES, &mut Dice::new(11, 2));
        let mut frames: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for frame in 0..FRAMES {
            for body in cast.bodies(frame).iter().filter(|body| body.is_inside) {
                frames.entry(body.number).or_default().push(frame);
            }
        }
        assert!(frames.len() > 100, "{place:?}: {}", frames.len());
        for (number, frames) in frames {
            assert!(frames.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{place:?}: {number}: {frames:?}");
        }
    }
}

#[test]
fn some_fragments_are_busy_and_the_busiest_are_clear() {
    let tens = fragments(&SAMPLE, 10);
    assert!(tens[0] > tens[1] && tens[1] > tens[2], "{tens:?}");
    assert!(tens[2] > 20 && tens[tens.len() - 1] <= 20, "{tens:?}");
    let thirties = fragments(&SAMPLE, 30);
    assert!(thirties[0] > thirties[1] && thirties[1] > thirties[2], "{thirties:?}");
}

/// Everybody in one frame of a place.
fn bodies(place: Place, frame: u32) -> Vec<Body> {
    let stage = place.stage(Light::Sunny);
    Cast::new(place, &stage, Bustle::Rush, 60, &mut Dice::new(3, 1)).bodies(frame)
}

fn car() -> Body {
    bodies(Place::Boulevard, 0).into_iter().find(|body| body.look == Look::Car).unwrap()
}

fn moved(mut body: Body, x: f64) -> Body {
    body.rect.x = x;
    body
}

/// A coordinate that is a whole number.
fn whole(coordinate: f64) -> i32 {
    format!("{coordinate:.0}").parse().unwrap()
}

fn plain(ink: Ink) -> Canvas {
    let mut canvas = Canvas::new(WIDTH, HEIGHT).unwrap();
    canvas.pen().block(Rect::new(0.0, 0.0, f64::from(WIDTH), f64::from(HEIGHT)), ink);
    canvas
}

fn sight(bodies: &[Body]) -> Vec<Sighting> {
    shot::take(&plain(Ink::new(0, 0, 0)), bodies).unwrap().sightings.into_iter().map(Option::unwrap).collect()
}

/// The box of the pixels that a body changes on a black or a white ground, but for its shadow.
fn drawn_box(body: &Body) -> [i32; 4] {
    let mut edges = [i32::MAX, i32::MAX, i32::MIN, i32::MIN];
    for ground in [Ink::new(0, 0, 0), Ink::new(255, 255, 255)] {
        let mut shadow = plain(ground);
        figure::cast_shadow(&mut shadow, body.rect);
        let shadow = shadow.into_image().unwrap();
        let image = shot::take(&plain(ground), &[*body]).unwrap().canvas.into_image().unwrap();
        let changed = image.enumerate_pixels().filter(|(x, y, pixel)| *pixel != shadow.get_pixel(*x, *y));
        edges = changed.fold(edges, |[left, top, right, bottom], (x, y, _)| {
            let (x, y) = (x.cast_signed(), y.cast_signed());
            [left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)]
        });
    }
    let [left, top, right, bottom] = edges;
    [left, top, right - left, bottom - top]
}

#[test]
fn boxes_are_those_of_the_drawn_pixels() {
    let mut looks = BTreeSet::new();
    for (place, frame) in [(Place::Boulevard, 0), (Place::Street, 20), (Place::Square, 31)] {
        let bodies = bodies(place, frame);
        let sightings = shot::take(&plain(Ink::new(0, 0, 0)), &bodies).unwrap().sightings;
        for (body, sighting) in bodies.iter().zip(sightings) {
            let [left, top, w, h] = drawn_box(&moved(*body, 100.0));
            let left = left - 100 + whole(body.rect.x);
            let (x, right) = (left.max(0), (left + w).min(WIDTH.cast_signed()));
            let inside = (x < right).then_some([x, top, right - x, h]);
            assert_eq!(sighting.map(|sighting| sighting.bbox), inside, "{body:?}");
            looks.insert(format!("{:?}", body.look));
        }
    }
    assert!(looks.len() >= 14, "{looks:?}");
}

#[test]
fn who_stands_in_front_hides_who_stands_behind() {
    let car = car();
    let hidden = |x: f64| {
        sight(&[moved(car, 200.0), moved(car, 200.0 + x)]).iter().map(|sighting| sighting.hidden).collect::<Vec<_>>()
    };
    assert_eq!(hidden(0.0), [100, 0]);
    assert_eq!(hidden(car.rect.w), [0, 0]);
    let half = hidden((car.rect.w / 2.0).round());
    assert!((30..70).contains(&half[0]) && half[1] == 0, "{half:?}");
}

#[test]
fn what_is_outside_of_the_frame_is_cut_off_and_counted() {
    let car = car();
    let width = car.rect.w;
    let at = |x: f64| sight(&[moved(car, x)])[0];
    let whole = at(100.0);
    assert_eq!(whole.outside, 0);
    let (left, right) = (at(-(width / 4.0).floor()), at(f64::from(WIDTH) - (width / 4.0).floor()));
    assert!((20..=26).contains(&left.outside), "{left:?}");
    assert!((73..=80).contains(&right.outside), "{right:?}");
    assert_eq!((left.bbox[0], right.bbox[0] + right.bbox[2]), (0, WIDTH.cast_signed()));
    assert_eq!((left.bbox[1], left.bbox[3]), (whole.bbox[1], whole.bbox[3]));
}

#[test]
fn numbers_out_of_range_are_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new");
    for (sequences, frames, name) in
        [(0, 60, "sequences"), (101, 60, "sequences"), (4, 0, "frames"), (4, 3_001, "frames")]
    {
        let err = write_visdrone(&folder, &VisdroneOptions { sequences, frames, seed: 7 }).unwrap_err();
        assert!(matches!(err, Error::OutOfRange { option, .. } if option == name), "{err}");
        assert!(!folder.try_exists().unwrap());
    }
}

#[test]
fn a_folder_with_content_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let err = write_visdrone(folder.path(), &OPTIONS).unwrap_err();
    assert!(matches!(err, Error::NotEmpty { .. }), "{err}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn one_frame_is_enough_and_the_folder_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/visdrone");
    let summary = write_visdrone(&folder, &VisdroneOptions { sequences: 1, frames: 1, seed: 1 }).unwrap();
    assert_eq!((summary.total.frames, summary.val_sequences), (1, 0));
    assert!(!folder.join("VisDrone2019-MOT-val").try_exists().unwrap());
}

//! Where the frames, annotations and rates of sequences are.
//!
//! ```text
//! VisDrone       …/sequences/<sequence>/0000001.jpg   …/annotations/<sequence>.txt
//! MOTChallenge   …/<sequence>/img1/000001.jpg         …/<sequence>/gt/gt.txt   …/<sequence>/seqinfo.ini
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::convention::Layout;

/// The folder of VisDrone's sequences.
const SEQUENCES: &str = "sequences";
/// The folder of the frames of a sequence of MOTChallenge.
const IMAGES: &str = "img1";

/// The frames of one clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// The path of its folder within the source.
    pub name: String,
    /// How it is laid out.
    pub layout: Layout,
    /// Its frames, by number.
    pub frames: Vec<Frame>,
    /// The file of its boxes.
    pub annotations: Option<PathBuf>,
    /// The file of its frame rate.
    pub info: Option<PathBuf>,
}

/// A frame of a sequence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Frame {
    /// Its number, as annotations write it.
    pub number: u64,
    /// The picture.
    pub path: PathBuf,
}

/// The sequences among `files` below `root`, by name.
pub fn sequences(root: &Path, files: &[PathBuf]) -> Vec<Sequence> {
    let known: BTreeSet<_> = files.iter().map(PathBuf::as_path).collect();
    let existing = |path: PathBuf| known.contains(path.as_path()).then_some(path);
    let mut folders = BTreeMap::<&Path, Vec<Frame>>::new();
    for file in files {
        if let (Some(number), Some(folder)) = (number(file), file.parent()) {
            folders.entry(folder).or_default().push(Frame { number, path: file.clone() });
        }
    }
    let sequence = |(folder, mut frames): (&Path, Vec<Frame>)| {
        let (layout, annotations, info) = match layout(folder)? {
            Layout::VisDrone => {
                let annotations = folder.parent()?.with_file_name("annotations").join(folder.file_name()?);
                (Layout::VisDrone, with_ending(annotations, ".txt"), None)
            }
            Layout::Mot => (Layout::Mot, folder.with_file_name("gt").join("gt.txt"), Some(info_of(folder))),
        };
        frames.sort();
        Some(Sequence {
            name: folder.strip_prefix(root).unwrap_or(folder).display().to_string(),
            layout,
            frames,
            annotations: existing(annotations),
            info: info.and_then(existing),
        })
    };
    folders.into_iter().filter_map(sequence).collect()
}

/// Whether `file` describes a sequence: its boxes, or its rate.
pub fn is_described(file: &Path, sequences: &[Sequence]) -> bool {
    sequences
        .iter()
        .any(|Sequence { annotations, info, .. }| [annotations, info].map(Option::as_deref).contains(&Some(file)))
}

fn layout(folder: &Path) -> Option<Layout> {
    let is_called = |path: &Path, name: &str| path.file_name().is_some_and(|found| found == name);
    if is_called(folder, IMAGES) {
        return Some(Layout::Mot);
    }
    folder.parent().is_some_and(|parent| is_called(parent, SEQUENCES)).then_some(Layout::VisDrone)
}

fn info_of(folder: &Path) -> PathBuf {
    folder.with_file_name("seqinfo.ini")
}

fn with_ending(path: PathBuf, ending: &str) -> PathBuf {
    let mut path = path.into_os_string();
    path.push(ending);
    path.into()
}

/// The number of a frame; `None` for other files.
fn number(file: &Path) -> Option<u64> {
    let ending = file.extension()?.to_str()?.to_lowercase();
    let stem = file.file_stem()?.to_str()?;
    let is_frame = ["jpg", "jpeg", "png"].contains(&ending.as_str()) && stem.bytes().all(|byte| byte.is_ascii_digit());
    if is_frame { stem.parse().ok() } else { None }
}

// === impl Sequence ===

impl Sequence {
    /// The name of the sequence, without its folders; `None` for one whose folder has no name of its own.
    pub fn title(&self) -> Option<&str> {
        let mut parts = self.name.rsplit('/');
        match self.layout {
            Layout::VisDrone => parts.next(),
            Layout::Mot => parts.nth(1),
        }
    }

    /// The frame in the clip, from 0, that annotations call `number`.
    pub fn place_of(&self, number: u64) -> Option<u64> {
        self.frames.binary_search_by_key(&number, |frame| frame.number).ok().map(|place| place as u64)
    }

    /// The first number that two frames have.
    pub fn repeated(&self) -> Option<u64> {
        self.frames.windows(2).find(|pair| pair[0].number == pair[1].number).map(|pair| pair[0].number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(files: &[&str]) -> Vec<(String, Layout, Vec<u64>, bool, bool)> {
        let files: Vec<_> = files.iter().map(|file| Path::new("/data").join(file)).collect();
        let found = sequences(Path::new("/data"), &files);
        let seen = |sequence: Sequence| {
            let numbers = sequence.frames.iter().map(|frame| frame.number).collect();
            (sequence.name, sequence.layout, numbers, sequence.annotations.is_some(), sequence.info.is_some())
        };
        found.into_iter().map(seen).collect()
    }

    #[test]
    fn both_layouts_are_found() {
        let visdrone = [
            "train/sequences/uav_v.1/0000002.jpg",
            "train/sequences/uav_v.1/0000001.jpg",
            "train/annotations/uav_v.1.txt",
            "train/annotations/uav_v.txt",
            "train/sequences/readme.txt",
        ];
        let expected = ("train/sequences/uav_v.1".to_owned(), Layout::VisDrone, vec![1, 2], true, false);
        assert_eq!(found(&visdrone), [expected]);
        let mot =
            ["MOT17-02/img1/000010.jpg", "MOT17-02/img1/cover.jpg", "MOT17-02/seqinfo.ini", "MOT17-02/det/det.txt"];
        let expected = ("MOT17-02/img1".to_owned(), Layout::Mot, vec![10], false, true);
        assert_eq!(found(&mot), [expected]);
        assert_eq!(found(&["images/000001.jpg", "labels.txt"]), []);
    }
}

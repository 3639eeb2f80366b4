//! Frame folders: sequences of pictures with the boxes of tracked objects, as VisDrone and MOTChallenge deliver them.
//!
//! | file | what it is about |
//! |---|---|
//! | `layout` | where the frames, annotations and rates of a sequence are |
//! | `info` | `seqinfo.ini` |
//! | `annotation` | the lines of an annotation file |
//! | `convention` | the names of categories, and which boxes count |
//! | `statistics` | what the fragments of a clip show |
//! | `encode` | frames as H.264, by ffmpeg |
//!
//! **Frames** are numbered by their files, from 1; in a clip they count from 0, as in every clip. A number may be missing.
//!
//! **Boxes** are in pixels from the upper left corner of the frame, as they are in the file: they may reach beyond the frame.

mod annotation;
mod convention;
mod encode;
mod info;
mod layout;
mod statistics;

pub use self::{
    annotation::{Annotation, read},
    encode::encode,
    info::frame_rate,
    layout::{Frame, Sequence, is_described, sequences},
    statistics::Statistics,
};

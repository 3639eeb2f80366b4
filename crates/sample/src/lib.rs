//! Generates sample data, so that a lakehouse can be built without network access.
//!
//! The data resembles what teams load: small images, boxes, captions, video frames with tracks, and the flaws that a
//! medallion pipeline cleans up. The summary contains the number of flaws of each kind, so that a test can compare the
//! lakehouse with it. Equal options produce equal bytes: nothing depends on a clock, an environment variable, the order
//! of a hash map, or platform-specific floating-point results.
//!
//! # Layout, in reading order
//!
//! Shared: `error` · `dice` random numbers · `folder` the only place that accesses the file system.
//!
//! Drawing: `canvas` shapes · `palette` colours · `stage` size, light and horizon of a picture · `scenery` sky, houses,
//! trees · `figure` people, animals and things.
//!
//! Data sets, each in the layout of a known one: `coco` images with boxes and captions · `visdrone` frames of moving
//! people and vehicles with boxes and tracks.

mod error;
mod dice;
mod folder;

mod canvas;
mod palette;
mod stage;
mod scenery;
mod figure;

mod coco;
mod visdrone;

pub use self::{
    coco::{CocoOptions, CocoSummary, write_coco},
    error::{Error, Result},
    visdrone::{Counts, SequenceSummary, VisdroneOptions, VisdroneSummary, write_visdrone},
};

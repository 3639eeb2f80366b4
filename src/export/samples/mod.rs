//! Interleaved samples: rows of text, images and metadata that belong together by `sample_id`, in the order of `position`.
//!
//! Rows are of this kind if they have the columns `sample_id`, `position` and `modality`. The other columns that have a
//! meaning are in [`RESERVED`]; all further columns belong to whoever made the rows.

mod columns;
mod materialize;
mod order;
mod reference;
mod tar_index;

pub use self::{
    columns::{BYTES, MODALITY, POSITION, RESERVED, SAMPLE, SampleColumns, SampleRows, TEXT, texts},
    materialize::Materializer,
    order::{are_samples, arranged, check_size},
};

//! The medallion: SQL models that transform ingested data into clean and ready-to-use tables, each with its checks.
//!
//! A *model* is one SELECT whose result is a table of a layer. Models are written in SQL files together with their
//! checks, so that the guarantees of a table are next to its definition. Without checks inside the transaction, a bad
//! landing would reach the training loop before it is noticed; without applying the difference, every run would replace
//! every table and thereby lose comments, partitioning, row history and the meaning of "what changed".
//!
//! This module parses model files and runs statements on the connection that it is passed. It does not depend on jobs
//! or sessions, and writes only the tables of its models.
//!
//! # Model files
//!
//! ```sql
//! -- optional source: raw.coco_images
//! -- What ingest delivers: a source has checks and no SELECT.
//! -- check: not_null(id, file_name)
//!
//! -- model: silver.coco_images
//! -- One row an image. Free text describes the model.
//! -- check: unique(image_id)
//! -- check: row_count(<= raw.coco_images)
//! -- check: sql(an image has a size)
//! --   SELECT * FROM silver.coco_images
//! --   WHERE width <= 0 OR height <= 0
//! SELECT id AS image_id, width, height FROM raw.coco_images
//! ;
//! ```
//!
//! * A *head*, `-- model: layer.table`, `-- source: layer.table` or `-- optional source: layer.table`, starts a section;
//!   the section ends at the next head or at the end of the file. Layers are `raw`, `silver` and `gold`; names are lower case.
//! * The *header* is the head and the `--` lines directly below it: `-- check: …` is a check, everything else is the
//!   description. A line with two or more spaces after `--` continues the line above it.
//! * The rest of a model is its SELECT, optionally terminated by `;`. A source has none.
//! * Tables are named with their layer; names without a catalog refer to the lake. The order of the models follows from
//!   the tables that they and their checks read, not from their position in the files. Sources are checked before any
//!   model that reads them.
//! * A source must be in the lake. If all sources of a model are optional and none of them is, the model is left out,
//!   unless it was selected by its name.
//! * Files without any head, such as `00_attach.sql`, are ignored.
//!
//! | check | a row fails when |
//! |---|---|
//! | `unique(a, b)` | another row has the same `a` and `b`; rows with a NULL among them never fail |
//! | `not_null(a, b)` | `a` or `b` is NULL |
//! | `accepted_values(a, 'x', 'y')` | `a` is neither NULL nor one of the values |
//! | `row_count(<= 100)`, `row_count(= raw.t)` | the number of rows does not have this relation to the number, or to the number of rows of the table; `=` `<>` `<` `<=` `>` `>=` |
//! | `sql(title) SELECT …` | the query returns it; the title is used in messages and contains no `)` |
//!
//! Columns may be expressions over the columns, such as `not_null(bbox.x)`.
//!
//! Limits: a model's table is compared with all of its columns, so a run reads old and new rows even if nothing
//! changed; a view between two models hides their order, and so do `query()` and `query_table()`; a model that reads
//! `AT` an older snapshot of another model's table sees newer rows in a dry run (in DuckLake, a transaction sees its
//! own writes even there).

mod check;
mod load;
mod model;
mod nearest;
mod outcome;
mod parse;
mod plan;
mod refresh;
mod run;
mod tables;
mod verdict;

pub use self::{
    check::{Bound, Check, CheckKind, Relation},
    load::{built_in, load},
    model::{LAYERS, Model, Origin},
    outcome::ModelOutcome,
    parse::parse,
    run::{Progress, Request, Step, run},
};

#[cfg(test)]
mod tests;

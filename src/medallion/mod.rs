//! The medallion: SQL models that turn what was ingested into clean and ready tables, each with its checks.
//!
//! A *model* is one SELECT whose result is a table of a layer. Models stand in SQL files with their checks written
//! beside them, so that what a table promises is read where the table is made. Without checks inside the transaction a
//! bad landing would be in front of the training loop before anybody looked; without the difference being applied,
//! every run would replace every table and with it lose comments, partitioning, row history and the meaning of "what
//! changed".
//!
//! This module reads model files and runs statements on the connection that it is given. It knows neither jobs nor
//! sessions, and writes no table but those that its models name.
//!
//! # Model files
//!
//! ```sql
//! -- source: raw.coco_images
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
//! * A *head*, `-- model: layer.table` or `-- source: layer.table`, starts a section; the section ends at the next head
//!   or at the end of the file. Layers are `raw`, `silver` and `gold`; names are lower case.
//! * The *header* is the head and the `--` lines directly below it: `-- check: …` is a check, everything else is the
//!   description. A line with two or more spaces behind `--` continues the line above it.
//! * The rest of a model is its SELECT; a `;` may end it. A source has none.
//! * Tables are named with their layer; names that leave out the catalog mean the lake's. The order of the models
//!   follows from the tables that they and their checks read, not from their place in the files. Sources are checked
//!   before any model that reads them.
//! * Files without any head, such as `00_attach.sql`, are none of this module's.
//!
//! | check | a row fails when |
//! |---|---|
//! | `unique(a, b)` | another row has the same `a` and `b`; rows with a NULL among them never fail |
//! | `not_null(a, b)` | `a` or `b` is NULL |
//! | `accepted_values(a, 'x', 'y')` | `a` is neither NULL nor one of the values |
//! | `row_count(<= 100)`, `row_count(= raw.t)` | the number of rows does not compare so with the number, or with the rows of the table; `=` `<>` `<` `<=` `>` `>=` |
//! | `sql(title) SELECT …` | the query returns it; the title stands in messages and has no `)` |
//!
//! Columns may be expressions over the columns, such as `not_null(bbox.x)`.
//!
//! Limits: a model's table is compared with all of its columns, so a run costs a read of old and new rows even when
//! nothing changed; a view between two models hides their order, and so do `query()` and `query_table()`; a model that
//! reads `AT` an older snapshot of another model's table sees newer rows in a dry run (DuckLake shows a transaction
//! its own writes even there).

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
    outcome::{Change, ModelOutcome},
    parse::parse,
    run::{Progress, Request, Step, run},
};

#[cfg(test)]
mod tests;

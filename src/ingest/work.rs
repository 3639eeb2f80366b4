//! The context of one ingest.

use std::path::Path;

use super::{landing::Landing, request::Request};
use crate::{
    context::Principal,
    jobs::Progress,
    lake::{Lake, table::TableRef},
};

/// The context that the steps of one ingest share.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    pub lake: &'a Lake,
    pub request: &'a Request,
    pub author: &'a Principal,
    pub progress: &'a Progress,
    /// A folder for temporary files, removed at the end.
    pub spool: &'a Path,
    pub landing: &'a Landing,
    /// The table, or the prefix of the tables of formats with several.
    pub table: &'a TableRef,
}

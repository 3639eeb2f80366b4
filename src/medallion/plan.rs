//! Which models run, and in which order.
//!
//! 1. What a model reads comes from DuckDB's own parse of its SELECT and of its checks.
//! 2. What reads stands behind what is read; otherwise sources come first and the order of the files holds. A cycle is
//!    an error.
//! 3. What was not selected is left out, but for the sources that a selected model reads: their checks come first.

use super::{Model, nearest::hint, tables::tables};
use crate::{
    engine::Connection,
    error::{Context, Error, Result},
};

/// How many names an error lists.
const NAMES_MAX: usize = 12;

/// The models and sources to run, in order.
///
/// # Errors
/// `InvalidArgument` for SQL that DuckDB cannot parse and for a cycle; `NotFound` for a selected name that is none.
pub(super) fn plan<'m>(connection: &Connection, models: &'m [Model], select: &[String]) -> Result<Vec<&'m Model>> {
    let reads = models.iter().map(|model| reads(connection, model, models)).collect::<Result<Vec<_>>>()?;
    let order = order(models, &reads)?;
    let mut wanted = selected(models, select)?;
    let runs: Vec<_> = order.iter().copied().filter(|index| is_set(&wanted, *index)).collect();
    for read in runs.iter().filter_map(|index| reads.get(*index)).flatten() {
        if models.get(*read).is_some_and(Model::is_source)
            && let Some(slot) = wanted.get_mut(*read)
        {
            *slot = true;
        }
    }
    Ok(order.into_iter().filter(|index| is_set(&wanted, *index)).filter_map(|index| models.get(index)).collect())
}

fn is_set(flags: &[bool], index: usize) -> bool {
    flags.get(index).copied().unwrap_or_default()
}

/// The places in `models` of what `model` reads. Sources wait for nothing: they are there already.
fn reads(connection: &Connection, model: &Model, models: &[Model]) -> Result<Vec<usize>> {
    let Some(query) = &model.query else { return Ok(Vec::new()) };
    let place = || format!("read model {} at {}", model.name(), model.origin);
    let mut names = tables(connection, query).context(place)?;
    let own = model.name();
    let reads_itself = names.contains(&own);
    for check in &model.checks {
        let place = || format!("read check {check} at {}:{}", model.origin.file, check.line);
        names.extend(tables(connection, &check.failing_rows(&model.sql_name())).context(place)?);
    }
    // A check reads its own table as a matter of course; the SELECT must not.
    names.retain(|name| reads_itself || *name != own);
    let reads: Vec<_> = (0..models.len())
        .filter(|index| models.get(*index).is_some_and(|model| names.contains(&model.name())))
        .collect();
    Ok(reads)
}

/// Where a model is while the order is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Placed,
}

/// A search in depth: a model is placed when all that it reads is placed.
struct Search<'a> {
    models: &'a [Model],
    reads: &'a [Vec<usize>],
    marks: Vec<Mark>,
    /// From a model to the one that is looked at now.
    path: Vec<usize>,
    order: Vec<usize>,
}

fn order(models: &[Model], reads: &[Vec<usize>]) -> Result<Vec<usize>> {
    let marks = vec![Mark::New; models.len()];
    let mut search = Search { models, reads, marks, path: Vec::new(), order: Vec::new() };
    // Sources come first: better no model runs than some, when ingest did not deliver.
    let (sources, made): (Vec<_>, Vec<_>) =
        (0..models.len()).partition(|index| models.get(*index).is_some_and(Model::is_source));
    for index in sources.into_iter().chain(made) {
        search.visit(index)?;
    }
    Ok(search.order)
}

/// A flag for each of `models`: whether it was selected by its name, its layer, or by selecting nothing.
fn selected(models: &[Model], select: &[String]) -> Result<Vec<bool>> {
    for name in select {
        if !models.iter().any(|model| is_meant(model, name)) {
            return Err(unknown(models, name));
        }
    }
    let is_selected = |model: &Model| select.iter().any(|name| is_meant(model, name));
    // Without a selection every model runs; sources that no model reads are checked too.
    Ok(models.iter().map(|model| select.is_empty() || is_selected(model)).collect())
}

fn is_meant(model: &Model, name: &str) -> bool {
    model.layer == name || model.name() == name
}

fn unknown(models: &[Model], name: &str) -> Error {
    let names: Vec<_> = models.iter().map(Model::name).collect();
    let layers = models.iter().map(|model| model.layer.as_str());
    let hint = hint(name, names.iter().map(String::as_str).chain(layers));
    let listed = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > NAMES_MAX { ", …" } else { "" };
    Error::not_found(format!("no model or layer \"{name}\"{hint}; there are {listed}{more}"))
}

// === impl Search ===

impl Search<'_> {
    fn visit(&mut self, index: usize) -> Result<()> {
        match self.marks.get(index) {
            Some(Mark::New) => {}
            Some(Mark::Open) => return Err(self.cycle(index)),
            Some(Mark::Placed) | None => return Ok(()),
        }
        self.mark(index, Mark::Open);
        self.path.push(index);
        for read in self.reads.get(index).into_iter().flatten() {
            self.visit(*read)?;
        }
        self.path.pop();
        self.mark(index, Mark::Placed);
        self.order.push(index);
        Ok(())
    }

    fn mark(&mut self, index: usize, mark: Mark) {
        if let Some(slot) = self.marks.get_mut(index) {
            *slot = mark;
        }
    }

    /// The part of the path that comes back to `index`.
    fn cycle(&self, index: usize) -> Error {
        let ring = self.path.iter().skip_while(|on_path| **on_path != index).chain([&index]);
        let names: Vec<_> = ring.filter_map(|index| self.models.get(*index)).map(Model::name).collect();
        Error::invalid(format!("models read each other in a cycle: {}", names.join(" reads ")))
    }
}

//! Determines which models run, and in which order.
//!
//! 1. The tables that a model reads are taken from DuckDB's own parse of its SELECT and of its checks.
//! 2. A model follows the models that it reads; otherwise sources are first, and the order of the files is kept. A
//!    cycle is an error.
//! 3. Models that were not selected are omitted, except the sources that a selected model reads: their checks run
//!    first.
//! 4. Models of which no source is in the lake are omitted, if those are optional.

use std::collections::BTreeSet;

use super::{Model, nearest::hint, refresh::count_if_exists, tables::tables};
use crate::{
    engine::Connection,
    error::{Context, Error, Result},
};

/// The maximum number of names in an error.
const NAMES_MAX: usize = 12;

/// The models and sources to run, in order.
///
/// # Errors
/// `InvalidArgument` for SQL that DuckDB cannot parse and for a cycle; `NotFound` for a selected name that does not
/// exist.
pub(super) fn plan<'m>(connection: &Connection, models: &'m [Model], select: &[String]) -> Result<Vec<&'m Model>> {
    let reads = models.iter().map(|model| reads(connection, model, models)).collect::<Result<Vec<_>>>()?;
    let order = order(models, &reads)?;
    let mut wanted = selected(models, select)?;
    let absent = absent(connection, models)?;
    omit(&mut wanted, models, &reads, &order, &absent, select);
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

/// The optional sources that are not in the lake.
fn absent(connection: &Connection, models: &[Model]) -> Result<BTreeSet<usize>> {
    let mut absent = BTreeSet::new();
    for (index, model) in models.iter().enumerate().filter(|(_, model)| model.is_optional) {
        if count_if_exists(connection, &model.sql_name())?.is_none() {
            absent.insert(index);
        }
    }
    Ok(absent)
}

/// Omits what has no source but absent ones, unless it was selected by its name, or nothing would be left.
fn omit(
    wanted: &mut [bool],
    models: &[Model],
    reads: &[Vec<usize>],
    order: &[usize],
    absent: &BTreeSet<usize>,
    select: &[String],
) {
    // What is read comes before what reads it.
    let mut sources = vec![BTreeSet::new(); models.len()];
    for &index in order {
        let mut own: BTreeSet<usize> = reads[index].iter().flat_map(|read| sources[*read].clone()).collect();
        if models[index].is_source() {
            own.insert(index);
        }
        sources[index] = own;
    }
    let is_omitted = |index: usize| {
        let is_named = select.contains(&models[index].name());
        !is_named && !sources[index].is_empty() && sources[index].is_subset(absent)
    };
    if (0..models.len()).any(|index| wanted[index] && !is_omitted(index)) {
        for (index, wanted) in wanted.iter_mut().enumerate() {
            *wanted &= !is_omitted(index);
        }
    }
}

fn is_set(flags: &[bool], index: usize) -> bool {
    flags.get(index).copied().unwrap_or_default()
}

/// The indices in `models` of what `model` reads. Sources do not wait: they exist already.
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
    // A check naturally reads its own table; the SELECT must not.
    names.retain(|name| reads_itself || *name != own);
    let reads: Vec<_> = (0..models.len())
        .filter(|index| models.get(*index).is_some_and(|model| names.contains(&model.name())))
        .collect();
    Ok(reads)
}

/// The state of a model during the ordering.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    Open,
    Placed,
}

/// A depth-first search: a model is placed once everything that it reads is placed.
struct Search<'a> {
    models: &'a [Model],
    reads: &'a [Vec<usize>],
    marks: Vec<Mark>,
    /// From a model to the current one.
    path: Vec<usize>,
    order: Vec<usize>,
}

fn order(models: &[Model], reads: &[Vec<usize>]) -> Result<Vec<usize>> {
    let marks = vec![Mark::New; models.len()];
    let mut search = Search { models, reads, marks, path: Vec::new(), order: Vec::new() };
    // Sources come first: it is better to run no models than some, if ingest did not deliver.
    let (sources, made): (Vec<_>, Vec<_>) =
        (0..models.len()).partition(|index| models.get(*index).is_some_and(Model::is_source));
    for index in sources.into_iter().chain(made) {
        search.visit(index)?;
    }
    Ok(search.order)
}

/// A flag for each of `models`: whether it was selected by its name, by its layer, or because nothing was selected.
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
    Error::not_found(format!("model or layer \"{name}\" does not exist{hint}; there are {listed}{more}"))
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

    /// The part of the path that returns to `index`.
    fn cycle(&self, index: usize) -> Error {
        let ring = self.path.iter().skip_while(|on_path| **on_path != index).chain([&index]);
        let names: Vec<_> = ring.filter_map(|index| self.models.get(*index)).map(Model::name).collect();
        Error::invalid(format!("models read each other in a cycle: {}", names.join(" reads ")))
    }
}

//! The transform: runs models in the order of their dependencies.
//!
//! 1. The plan determines which models run, and in which order.
//! 2. For a source, its table must exist, and its checks must pass.
//! 3. For a model, in one transaction: its table is updated to the result of its SELECT; its checks inspect the new
//!    content under its real name; the commit is signed with author, model and numbers.
//! 4. A failing check rolls back, so that the old table is kept, and ends the run, because models that read the table
//!    would propagate the fault. Models committed before are kept.
//! 5. A commit that fails with a conflict is retried, starting with the reads.
//! 6. A dry run does all of this in one transaction, which it rolls back.

use super::{
    model::Model,
    outcome::ModelOutcome,
    plan,
    refresh::{self, Refreshed},
    verdict::{self, Failure, Verdict},
};
use crate::{
    error::{Error, ErrorKind, Result},
    lake::commit::{Retry, Transaction, Writer},
    proto::transform_result::model::Change,
};

/// The maximum size of a failure message in bytes.
const MESSAGE_BYTES: usize = 2000;
/// The maximum number of names of models, or of checks, in a failure.
const NAMES_MAX: usize = 4;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Names of models and of layers; empty means all.
    pub select: &'a [String],
    /// Replaces the tables instead of applying the difference.
    pub full_refresh: bool,
    /// Runs everything and rolls it back.
    pub dry_run: bool,
    /// The author of the commits.
    pub author: &'a str,
}

/// Reports the progress of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `layer.table`.
    pub model: String,
    /// The step.
    pub step: Step,
    /// The number of models and sources that are done.
    pub done: usize,
    /// The total number.
    pub total: usize,
}

/// The steps of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is computed and written.
    Refreshing,
    /// Its checks run.
    Checking,
    /// It failed with a conflict and is retried.
    Repeating,
    /// It is done.
    Done(ModelOutcome),
    /// Its checks failed; the table is unchanged, and the run ends.
    Failed(ModelOutcome),
}

/// A run in progress.
struct Run<'a> {
    writer: Writer<'a>,
    request: &'a Request<'a>,
    progress: &'a mut dyn FnMut(Progress),
    plan: Vec<&'a Model>,
    outcomes: Vec<ModelOutcome>,
}

/// Runs the selected `models`; no transaction may be open on the writer's connection.
///
/// # Errors
/// `FailedPrecondition` if a check fails or a source is not in the lake, with the remedy; `NotFound` for a selected
/// name that does not exist; `InvalidArgument` for an invalid model, with its position; `Conflict` if other writers won
/// every time. What was committed before is kept, and the message reports it.
pub fn run(
    writer: Writer<'_>,
    models: &[Model],
    request: &Request<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<ModelOutcome>> {
    let plan = plan::plan(writer.connection(), models, request.select)?;
    let mut run = Run { writer, request, progress, plan, outcomes: Vec::new() };
    if request.dry_run {
        writer.write(request.author, Retry::Never, |transaction| {
            transaction.discard();
            run.all(Some(transaction))
        })?;
    } else {
        run.all(None)?;
    }
    Ok(run.outcomes)
}

// === impl Run ===

impl<'a> Run<'a> {
    /// All models: each in its own transaction, or all in the one that is open.
    fn all(&mut self, mut open: Option<&mut Transaction<'a>>) -> Result<()> {
        for model in self.plan.clone() {
            let outcome = match open.as_deref_mut() {
                Some(transaction) => self.attempt(model, transaction),
                None => self.one(model),
            };
            match outcome {
                Ok(outcome) => {
                    self.outcomes.push(outcome.clone());
                    self.report(model, Step::Done(outcome));
                }
                Err(err) => return Err(self.explain(model, err)),
            }
        }
        Ok(())
    }

    fn report(&mut self, model: &Model, step: Step) {
        let (done, total) = (self.outcomes.len(), self.plan.len());
        (self.progress)(Progress { model: model.name(), step, done, total });
    }

    /// One model or source, retried while it fails with a conflict.
    fn one(&mut self, model: &Model) -> Result<ModelOutcome> {
        let (writer, author) = (self.writer, self.request.author);
        let mut lost = false;
        let written = writer.write(author, Retry::OnConflict, |transaction| {
            if lost {
                self.report(model, Step::Repeating);
            }
            lost = true;
            self.attempt(model, transaction)
        })?;
        let mut outcome = written.value;
        if outcome.is_changed() {
            outcome.snapshot_id = written.snapshot_id;
        }
        Ok(outcome)
    }

    /// The part inside the transaction.
    fn attempt(&mut self, model: &Model, transaction: &mut Transaction<'_>) -> Result<ModelOutcome> {
        let refreshed = match &model.query {
            Some(query) => {
                self.report(model, Step::Refreshing);
                refresh::refresh(transaction, model, query, self.request.full_refresh)?
            }
            None => self.source(model)?,
        };
        self.report(model, Step::Checking);
        let verdict = verdict::judge(transaction.connection(), model)?;
        let outcome = outcome(model, refreshed, &verdict);
        if !verdict.failures.is_empty() {
            let failure = failed(model, &verdict);
            self.report(model, Step::Failed(outcome));
            return Err(failure);
        }
        if outcome.is_changed() && !self.request.dry_run {
            sign(transaction, &outcome);
        }
        Ok(outcome)
    }

    fn source(&self, model: &Model) -> Result<Refreshed> {
        let rows = refresh::count_if_exists(self.writer.connection(), &model.sql_name())?;
        let rows = rows.ok_or_else(|| Error::precondition("the source is not in the lake: ingest it first"))?;
        Ok(Refreshed { change: Change::Checked, rows, rows_inserted: 0, rows_deleted: 0 })
    }

    /// Adds where the run ended, and the consequences for the other models.
    fn explain(&self, model: &Model, err: Error) -> Error {
        if err.kind() == ErrorKind::Cancelled {
            return err;
        }
        let mut text = format!("transform {} ({}): {}", model.name(), model.origin, err.message());
        match err.kind() {
            ErrorKind::NotFound => text.push_str("; ingest or transform what it reads first"),
            ErrorKind::Conflict => text.push_str("; other writers were faster each time, run the transform again"),
            _ => {}
        }
        let committed = self.outcomes.iter().filter(|outcome| outcome.snapshot_id.is_some());
        let committed: Vec<_> = committed.map(|outcome| outcome.model.clone()).collect();
        let waiting: Vec<_> = self.plan.iter().skip(self.outcomes.len() + 1).map(|model| model.name()).collect();
        let tail = [("committed before and kept", committed), ("not run", waiting)]
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("; {what}: {}", listed(names)))
            .collect::<Vec<_>>()
            .concat();
        let text = verdict::shorten(&text, MESSAGE_BYTES.saturating_sub(tail.len()));
        Error::new(err.kind(), text + &tail).with_source(err)
    }
}

fn outcome(model: &Model, refreshed: Refreshed, verdict: &Verdict) -> ModelOutcome {
    ModelOutcome {
        model: model.name(),
        change: refreshed.change,
        rows: refreshed.rows,
        rows_inserted: refreshed.rows_inserted,
        rows_deleted: refreshed.rows_deleted,
        snapshot_id: None,
        checks_passed: verdict.passed,
        checks_failed: u32::try_from(verdict.failures.len()).unwrap_or(u32::MAX),
    }
}

/// Sets the commit message.
fn sign(transaction: &mut Transaction<'_>, outcome: &ModelOutcome) {
    let details = serde_json::json!({
        "model": outcome.model,
        "rows": outcome.rows,
        "rows_inserted": outcome.rows_inserted,
        "rows_deleted": outcome.rows_deleted,
        "checks_passed": outcome.checks_passed,
    });
    transaction.sign(format!("transform {}", outcome.model), Some(details));
}

/// The findings of the checks, with the remedy.
fn failed(model: &Model, verdict: &Verdict) -> Error {
    let mut parts = Vec::new();
    if let Some(Failure { check, place, rows, samples }) = verdict.failures.first() {
        let fail = if *rows == 1 { "row fails" } else { "rows fail" };
        parts.push(format!("check {check} at {place}: {rows} {fail}, such as {}", samples.join(", ")));
    }
    let others: Vec<_> = verdict.failures.iter().skip(1).map(|failure| failure.check.clone()).collect();
    if !others.is_empty() {
        parts.push(format!("also failed: {}", listed(&others)));
    }
    parts.push(if model.is_source() {
        "nothing that reads it was run: ingest corrected data, or change the check".to_owned()
    } else {
        "the table is unchanged: correct the rows that it is made from, or the model, and run again".to_owned()
    });
    Error::precondition(parts.join("; "))
}

/// The first of `names`, and the number of further ones.
fn listed(names: &[String]) -> String {
    let first: Vec<_> = names.iter().take(NAMES_MAX).map(|name| verdict::shorten(name, 60)).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    if more == 0 { first.join(", ") } else { format!("{} and {more} more", first.join(", ")) }
}

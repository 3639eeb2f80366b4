//! Runs the checks of a table and reports which of them failed, with examples.

use serde::Deserialize;

use super::{Check, Model};
use crate::{
    engine::Connection,
    error::{Context, Result},
};

/// The maximum number of failing rows in a message.
const SAMPLES: usize = 5;
/// The maximum size of each in bytes.
const SAMPLE_BYTES: usize = 160;
/// The maximum size of a check's text in bytes.
const CHECK_BYTES: usize = 120;

/// The outcome of the checks of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    pub(super) passed: u32,
    pub(super) failures: Vec<Failure>,
}

/// A check that failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The check as written in the model file, shortened.
    pub(super) check: String,
    /// File and line.
    pub(super) place: String,
    /// The number of failing rows.
    pub(super) rows: u64,
    /// Some of them as JSON, shortened.
    pub(super) samples: Vec<String>,
}

/// Runs every check of `model`, even after one failed: the complete list of faults saves runs.
///
/// # Errors
/// A check that DuckDB cannot run, with its position.
pub(super) fn judge(connection: &Connection, model: &Model) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    for check in &model.checks {
        let place = format!("{}:{}", model.origin.file, check.line);
        let outcome = examine(connection, model, check).context(|| format!("run check {check} at {place}"))?;
        match outcome {
            None => verdict.passed += 1,
            Some((rows, samples)) => {
                let check = shorten(&check.to_string(), CHECK_BYTES);
                verdict.failures.push(Failure { check, place, rows, samples });
            }
        }
    }
    Ok(verdict)
}

/// The number of failing rows and the first of them; `None` if there are none.
fn examine(connection: &Connection, model: &Model, check: &Check) -> Result<Option<(u64, Vec<String>)>> {
    #[derive(Deserialize)]
    struct Count {
        rows: u64,
    }
    #[derive(Deserialize)]
    struct Sample {
        row: String,
    }
    let query = check.failing_rows(&model.sql_name());
    // The line break ends a comment that the query may end with.
    let sql = format!("SELECT system.main.count(*) AS rows FROM ({query}\n) AS failing");
    let Count { rows } = connection.record(&sql, &[])?;
    if rows == 0 {
        return Ok(None);
    }
    let sql = format!(
        "SELECT system.main.to_json(failing)::VARCHAR AS row FROM ({query}\n) AS failing ORDER BY 1 LIMIT {SAMPLES}"
    );
    let samples: Vec<Sample> = connection.records(&sql, &[])?;
    Ok(Some((rows, samples.iter().map(|sample| shorten(&sample.row, SAMPLE_BYTES)).collect())))
}

/// The first `max` bytes of `text`, in whole characters.
pub(super) fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    format!("{}…", text.get(..text.floor_char_boundary(max)).unwrap_or_default())
}

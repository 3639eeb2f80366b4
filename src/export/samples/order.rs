//! The rows of a sample must be next to each other wherever whole samples are needed.

use serde::Deserialize;

use super::{
    super::{group::Groups, record::Column, request::Rows},
    columns::{MODALITY, POSITION, SAMPLE},
};
use crate::{
    engine::Connection,
    error::{Error, Result},
};

/// A sample is in memory as a whole, and no column of it may have more.
const MAX_SAMPLE_BYTES: u64 = 2_000_000_000;

/// Fails if the rows that belong together are more than a sample may be.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_size(groups: &Groups) -> Result<()> {
    if groups.open_bytes() <= MAX_SAMPLE_BYTES {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a sample is larger than {MAX_SAMPLE_BYTES} bytes: are all rows those of one {SAMPLE}?"
    )))
}

/// A sample whose rows are not next to each other.
#[derive(Deserialize)]
struct Scattered {
    sample: Option<String>,
}

/// Whether the rows with these columns are samples.
pub fn are_samples(columns: &[Column]) -> bool {
    [SAMPLE, POSITION, MODALITY].iter().all(|name| columns.iter().any(|column| column.name == *name))
}

/// `query` with the rows of each sample next to each other: those of a table are sorted, and a query must do that itself,
/// because its order is that of the rows.
///
/// # Errors
/// `InvalidArgument` for a query that does not; errors of DuckDB.
pub fn arranged(connection: &Connection, rows: &Rows, columns: &[Column], query: String) -> Result<String> {
    if let Rows::Table(_) = rows {
        // Among rows of one place, that of the table decides.
        let mut number = "row_in_table".to_owned();
        while columns.iter().any(|column| column.name.eq_ignore_ascii_case(&number)) {
            number.push('_');
        }
        let numbered = format!("SELECT *, row_number() OVER () AS {number} FROM ({query}\n)");
        return Ok(format!("SELECT * EXCLUDE ({number}) FROM ({numbered}) ORDER BY {SAMPLE}, {POSITION}, {number}"));
    }
    let begins = format!(
        "SELECT {SAMPLE} AS sample, {SAMPLE} IS DISTINCT FROM lag({SAMPLE}) OVER () OR row_number() OVER () = 1 AS begins \
         FROM ({query}\n)"
    );
    let sql = format!(
        "SELECT system.main.any_value(sample)::VARCHAR AS sample FROM (SELECT sample FROM ({begins}) WHERE begins \
         GROUP BY sample HAVING system.main.count(*) > 1 LIMIT 1)"
    );
    let found: Scattered = connection.record(&sql, &[])?;
    match found.sample {
        None => Ok(query),
        Some(sample) => {
            let sample: String = sample.chars().take(100).collect();
            Err(Error::invalid(format!(
                "the rows of sample \"{sample}\" are not next to each other: end the query with \
                 ORDER BY {SAMPLE}, {POSITION}"
            )))
        }
    }
}

//! An INSERT with many rows of parameters as one statement.
//!
//! DuckLake writes one file per statement, so an INSERT of 100,000 rows of parameters must not be executed as that many
//! statements. `INSERT INTO t (a, b) VALUES (?, upper(?))` is replaced by `INSERT INTO t (a, b) SELECT "0", upper("1")
//! FROM <the rows>`, if that means the same. Whatever is not certainly the same (DEFAULT, aggregates, several rows of
//! VALUES, statements that [`insert_values`](ParsedStatement::insert_values) does not decompose) is run row by row.

use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema, SchemaRef},
};

use crate::{
    engine::{self, Connection, Inflow, ResultStream},
    error::{Error, Result},
    quote::{identifier, literal},
    sql::{Expressions, InsertValues, ParsedStatement},
};

/// The outcome of a write.
#[derive(Debug)]
pub struct Written {
    /// The columns of its result.
    pub schema: SchemaRef,
    /// Its result: DuckDB's count, or the rows of RETURNING.
    pub batches: Vec<RecordBatch>,
    /// The number of changed rows.
    pub changed: u64,
}

/// Executes an INSERT for all rows of `parameters` at once; `None` if it must be executed row by row, and nothing has
/// happened.
///
/// # Errors
/// Errors of DuckDB.
pub fn insert(
    connection: &Connection,
    statement: &ParsedStatement,
    parameters: &RecordBatch,
) -> Result<Option<Written>> {
    if parameters.num_rows() < 2 {
        return Ok(None);
    }
    let Some(insert) = statement.insert_values() else { return Ok(None) };
    let Some(row) = only_row(&insert, parameters.num_columns()) else { return Ok(None) };
    if !are_scalar(connection, &row.functions)? {
        return Ok(None);
    }
    let Ok(rows) = Inflow::complete(numbered(parameters)?) else { return Ok(None) };
    let Ok(scan) = connection.scan(rows) else { return Ok(None) };
    let values = row.with_parameters(|number| identifier(&(number - 1).to_string()));
    let Ok(statement) = connection.prepare(&format!("{} SELECT {values} FROM {}", insert.head, scan.sql())) else {
        return Ok(None);
    };
    let written = statement.execute(&[]).and_then(|mut rows| Written::read(&mut rows));
    scan.settle(written).map(Some)
}

/// The expressions of the only row, if columns can replace its `count` parameters.
fn only_row(insert: &InsertValues, count: usize) -> Option<&Expressions> {
    match insert.rows.as_slice() {
        // A bare quoted name would now mean a column of the rows, and DEFAULT is valid only in VALUES.
        [row] if !row.has_default && !row.has_quoted_name && insert.parameters() == count => Some(row),
        _ => None,
    }
}

// === impl Written ===

impl Written {
    /// Reads the result of a write to its end.
    ///
    /// # Errors
    /// Errors of DuckDB.
    pub fn read(rows: &mut ResultStream<'_>) -> Result<Self> {
        let (mut batches, mut changed) = (Vec::new(), 0);
        while let Some(batch) = rows.next_batch()? {
            changed += engine::count_of(&batch);
            batches.push(batch);
        }
        Ok(Self { schema: rows.schema(), batches, changed })
    }

    /// The sum of this and the next execution of the same statement.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.batches.extend(more.batches);
        self.changed += more.changed;
        self
    }
}

/// The parameters with their numbers as names.
fn numbered(parameters: &RecordBatch) -> Result<RecordBatch> {
    let schema = parameters.schema();
    let fields = schema.fields().iter().enumerate();
    let fields: Vec<_> = fields.map(|(index, field)| Field::clone(field).with_name(index.to_string())).collect();
    RecordBatch::try_new(Schema::new(fields).into(), parameters.columns().to_vec())
        .map_err(|err| Error::internal("number parameters").with_source(err))
}

/// Whether all of these functions are DuckDB's own and return one value for one row.
fn are_scalar(connection: &Connection, names: &[String]) -> Result<bool> {
    #[derive(serde::Deserialize)]
    struct Known {
        scalar: bool,
    }
    // The type of a cast may have parentheses as well: decimal(9, 2).
    const NOT_CALLED: &[&str] = &["cast", "try_cast", "decimal", "numeric", "varchar", "in", "and", "or", "not"];
    for name in names.iter().filter(|name| !NOT_CALLED.contains(&name.as_str())) {
        let sql = format!(
            "SELECT coalesce(system.main.bool_and(function_type = 'scalar' AND database_name = 'system'), false) AS scalar \
             FROM system.main.duckdb_functions() WHERE system.main.lower(function_name) = {}",
            literal(name)
        );
        if !connection.record::<Known>(&sql, &[])?.scalar {
            return Ok(false);
        }
    }
    Ok(true)
}

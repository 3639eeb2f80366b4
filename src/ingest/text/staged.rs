//! Staged rows: the texts of the files in a temporary table, and the SQL that makes values of them.

use std::{collections::BTreeMap, sync::Arc};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    super::{
        Request,
        load::{self, Mode},
    },
    column::{Column, Source},
    inspected::Reject,
};
use crate::{
    engine::{Connection, Inflow},
    error::{Error, Result},
    lake::table::TableRef,
    quote::{identifier, literal},
};

const ROWS: &str = "temp.main.merganser_rows";
const REJECTS: &str = "temp.main.merganser_rejects";
/// The staged rows of one ingest; dropped with this.
#[derive(Debug)]
pub(super) struct Staged<'c> {
    connection: &'c Connection,
    columns: Vec<Column>,
    /// Whether rows with a value that its type does not have are left out.
    rejects: bool,
    /// The splits of the files, for a column of them.
    splits: BTreeMap<String, String>,
    /// The name of a column for the names of the files.
    file_column: Option<&'static str>,
}

#[derive(Deserialize)]
struct TypeName {
    name: String,
}

#[derive(Deserialize)]
struct Misfit {
    file: String,
    line: u64,
    column: usize,
    text: Option<String>,
}

// === impl Staged ===

impl<'c> Staged<'c> {
    /// Stages the rows, and the records that were rejected before.
    ///
    /// # Errors
    /// The reason why the rows are incomplete; Cancelled.
    pub fn new(connection: &'c Connection, rows: Inflow, columns: Vec<Column>, rejects: &[Reject]) -> Result<Self> {
        let staged = Self { connection, columns, rejects: false, splits: BTreeMap::new(), file_column: None };
        stage(connection, ROWS, rows)?;
        stage(connection, REJECTS, Inflow::complete(batch(rejects)?)?)?;
        Ok(staged)
    }

    /// Sets the types that the request or the existing table demands, and checks that the values have their types.
    ///
    /// # Errors
    /// `InvalidArgument` for an unknown column or type, and for a value that its type does not have, unless such records
    /// are rejected.
    pub fn typed(mut self, request: &Request, table: &TableRef) -> Result<Self> {
        let options = &request.reader;
        let existing = match request.mode {
            Mode::Replace => None,
            Mode::Append | Mode::Difference | Mode::Merge { .. } => load::columns_of(self.connection, table)?,
        };
        for column in &mut self.columns {
            if options.all_text {
                "VARCHAR".clone_into(&mut column.data_type);
            }
            let same = |existing: &&load::Column| existing.column_name.to_lowercase() == column.name.to_lowercase();
            if let Some(existing) = existing.iter().flatten().find(same) {
                column.data_type.clone_from(&existing.column_type);
                column.is_demanded = true;
            }
        }
        for (name, data_type) in &options.types {
            let named = self.columns.iter_mut().find(|column| column.name.to_lowercase() == name.to_lowercase());
            let column =
                named.ok_or_else(|| Error::invalid(format!("\"types\": the source has no column \"{name}\"")))?;
            column.data_type = canonical(self.connection, data_type)?;
            column.is_demanded = true;
        }
        self.rejects = options.rejects;
        if !self.rejects {
            self.check_values()?;
        }
        Ok(self)
    }

    /// Adds a column with the split of each file that has one, unless the rows have such a column.
    pub fn with_splits(mut self, splits: BTreeMap<String, Option<String>>) -> Self {
        if !self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(load::SPLIT)) {
            self.splits = splits.into_iter().filter_map(|(file, split)| Some((file, split?))).collect();
        }
        self
    }

    /// Adds a column with the name of the file.
    pub fn with_files(mut self, file_column: &'static str) -> Self {
        self.file_column = Some(file_column);
        self
    }

    /// The rows.
    pub fn query(&self) -> String {
        let values = self.columns.iter().map(|column| format!("{} AS {}", column.value(), identifier(&column.name)));
        let file = self.file_column.map(|name| format!("file AS {name}"));
        let values = values.chain(self.split()).chain(file).collect::<Vec<_>>().join(", ");
        let fits = match self.misfits() {
            Some(misfits) if self.rejects => format!(" WHERE ({misfits}) IS NULL"),
            _ => String::new(),
        };
        format!("SELECT {values} FROM {}{fits}", self.rows())
    }

    /// The column of splits in SQL.
    fn split(&self) -> Option<String> {
        let of_file = |(file, split): (&String, &String)| format!("WHEN {} THEN {}", literal(file), literal(split));
        let cases = self.splits.iter().map(of_file).collect::<Vec<_>>().join(" ");
        (!cases.is_empty()).then(|| format!("CASE file {cases} END AS {}", load::SPLIT))
    }

    /// The rejects: file, line, column, reason, record.
    pub fn rejects(&self) -> String {
        let Some(misfits) = self.misfits() else { return format!("FROM {REJECTS}") };
        let reasons = self.columns.iter().enumerate().map(|(index, column)| {
            let reason = format!("the value is not {}", column.data_type);
            format!("WHEN {index} THEN {}", literal(&reason))
        });
        let names = self.columns.iter().enumerate();
        let names = names.map(|(index, column)| format!("WHEN {index} THEN {}", literal(&column.name)));
        format!(
            "FROM {REJECTS} UNION ALL SELECT file, line, CASE misfit {} END AS \"column\", CASE misfit {} END AS reason, record \
             FROM (SELECT file, line, {misfits} AS misfit, {} AS record FROM {}) WHERE misfit IS NOT NULL",
            names.collect::<Vec<_>>().join(" "),
            reasons.collect::<Vec<_>>().join(" "),
            self.record(),
            self.rows(),
        )
    }

    /// Fails with the first value that its type does not have.
    fn check_values(&self) -> Result<()> {
        let Some(misfits) = self.misfits() else { return Ok(()) };
        let texts = self.columns.iter().enumerate();
        let texts = texts.map(|(index, column)| format!("WHEN {index} THEN {}", column.text()));
        let sql = format!(
            "SELECT file, line, misfit AS \"column\", CASE misfit {} END AS text FROM (SELECT *, {misfits} AS misfit FROM {}) \
             WHERE misfit IS NOT NULL ORDER BY file, line LIMIT 1",
            texts.collect::<Vec<_>>().join(" "),
            self.rows()
        );
        let Some(misfit) = self.connection.records::<Misfit>(&sql, &[])?.into_iter().next() else { return Ok(()) };
        let Misfit { file, line, column, text } = misfit;
        let Column { name, data_type, .. } = &self.columns[column];
        let text: String = text.unwrap_or_default().chars().take(100).collect();
        Err(Error::invalid(format!(
            "read \"{file}\", line {line}: the value \"{text}\" of column \"{name}\" is not {data_type}; correct the file, \
             set another type in \"types\", or collect such records with \"rejects\""
        )))
    }

    /// The number of the first column of a row whose value has not its type, as SQL; `None` if that cannot be.
    fn misfits(&self) -> Option<String> {
        let misfits = self.columns.iter().enumerate();
        let misfits = misfits.filter_map(|(index, column)| Some(format!("WHEN {} THEN {index}", column.misfit()?)));
        let misfits = misfits.collect::<Vec<_>>().join(" ");
        (!misfits.is_empty()).then(|| format!("CASE {misfits} END"))
    }

    /// The staged rows in a FROM clause; those of JSON have their values in `typed`.
    fn rows(&self) -> String {
        let structure = match self.columns.as_slice() {
            [Column { data_type, source: Source::Json { pointer }, .. }] if pointer.is_empty() => {
                Value::String(data_type.clone())
            }
            [Column { source: Source::Json { .. }, .. }, ..] => {
                let keys = self.columns.iter().map(|column| (column.name.clone(), column.data_type.clone().into()));
                Value::Object(keys.collect::<Map<_, _>>())
            }
            _ => return ROWS.to_owned(),
        };
        let structure = literal(&structure.to_string());
        format!("(SELECT *, system.main.json_transform(\"0\"::JSON, {structure}) AS typed FROM {ROWS})")
    }

    /// The text of a record in SQL.
    fn record(&self) -> String {
        let texts = self.columns.iter().filter_map(|column| match &column.source {
            Source::Text { .. } => Some(format!("coalesce({}, '')", column.text())),
            Source::Json { .. } => None,
        });
        let texts = texts.collect::<Vec<_>>().join(", ");
        if texts.is_empty() { "\"0\"".to_owned() } else { format!("concat_ws(',', {texts})") }
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        // An interrupted ingest leaves no table behind either.
        self.connection.resume();
        for table in [ROWS, REJECTS] {
            if let Err(err) = self.connection.execute(&format!("DROP TABLE IF EXISTS {table}"), &[]) {
                tracing::warn!(cause = %err, table, "cannot drop a temporary table");
            }
        }
    }
}

/// Creates a temporary table of `rows`.
fn stage(connection: &Connection, table: &str, rows: Inflow) -> Result<()> {
    let scan = connection.scan(rows)?;
    let staged = connection.execute(&format!("CREATE OR REPLACE TEMP TABLE {table} AS FROM {}", scan.sql()), &[]);
    scan.settle(staged).map(|_| ())
}

fn batch(rejects: &[Reject]) -> Result<RecordBatch> {
    let texts =
        |text: fn(&Reject) -> Option<&str>| Arc::new(rejects.iter().map(text).collect::<StringArray>()) as ArrayRef;
    let lines = rejects.iter().map(|reject| i64::try_from(reject.fault.line).ok());
    let columns: [(&str, ArrayRef); 5] = [
        ("file", texts(|reject| Some(&reject.file))),
        ("line", Arc::new(lines.collect::<Int64Array>())),
        ("column", texts(|_| None)),
        ("reason", texts(|reject| Some(&reject.fault.reason))),
        ("record", texts(|reject| Some(&reject.record))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true)))
        .map_err(|err| Error::internal("make a batch of rejects").with_source(err))
}

/// The name of a type as DuckDB writes it.
fn canonical(connection: &Connection, data_type: &str) -> Result<String> {
    // A type as text: it cannot contain anything else.
    let structure = literal(&Value::String(data_type.to_owned()).to_string());
    let sql = format!("SELECT system.main.typeof(system.main.json_transform('null'::JSON, {structure})) AS name");
    let found: Result<TypeName> = connection.record(&sql, &[]);
    let found =
        found.map_err(|err| Error::invalid(format!("\"types\": \"{data_type}\" is not a type: {}", err.message())));
    Ok(found?.name)
}

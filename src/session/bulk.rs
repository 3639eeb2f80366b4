//! An INSERT with many rows of parameters as one statement.
//!
//! DuckLake writes a file a statement, so an INSERT of 100,000 rows of parameters must not be as many statements.
//! `INSERT INTO t (a, b) VALUES (?, upper(?))` becomes `INSERT INTO t (a, b) SELECT "0", upper("1") FROM <the rows>`,
//! when that means the same. Whatever is not surely the same (DEFAULT, aggregates, several rows of VALUES, what
//! [`insert`](super::insert) does not take apart) is left to run row by row.

use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema, SchemaRef},
};
use sqlparser::{keywords::Keyword, tokenizer::Token};

use super::{
    insert::{self, Insert},
    tokens::keyword,
};
use crate::{
    engine::{self, Connection, Inflow, ResultStream},
    error::{Error, Result},
    quote::{identifier, literal},
};

/// What came of a write.
#[derive(Debug)]
pub(super) struct Written {
    /// The columns of its result.
    pub schema: SchemaRef,
    /// Its result: DuckDB's count, or the rows of RETURNING.
    pub batches: Vec<RecordBatch>,
    /// How many rows it changed.
    pub changed: u64,
}

/// Executes `sql` for all rows of `parameters` at once; `None` when it must be executed row by row, and nothing has
/// happened.
///
/// # Errors
/// What DuckDB says.
pub(super) fn insert(connection: &Connection, sql: &str, parameters: &RecordBatch) -> Result<Option<Written>> {
    if parameters.num_rows() < 2 {
        return Ok(None);
    }
    let Some(insert) = Insert::parse(sql) else { return Ok(None) };
    let Some(expressions) = expressions(&insert) else { return Ok(None) };
    let Some(values) = with_columns(expressions, parameters.num_columns()) else { return Ok(None) };
    if !are_scalar(connection, &functions(expressions))? {
        return Ok(None);
    }
    let Ok(rows) = Inflow::complete(numbered(parameters)?) else { return Ok(None) };
    let Ok(scan) = connection.scan(rows) else { return Ok(None) };
    let head: String = insert.head().iter().map(ToString::to_string).collect();
    let Ok(statement) = connection.prepare(&format!("{head} SELECT {values} FROM {}", scan.sql())) else {
        return Ok(None);
    };
    let written = statement.execute(&[]).and_then(|mut rows| Written::read(&mut rows));
    scan.settle(written).map(Some)
}

// === impl Written ===

impl Written {
    /// Reads the result of a write to its end.
    pub fn read(rows: &mut ResultStream<'_>) -> Result<Self> {
        let (mut batches, mut changed) = (Vec::new(), 0);
        while let Some(batch) = rows.next_batch()? {
            changed += engine::count_of(&batch);
            batches.push(batch);
        }
        Ok(Self { schema: rows.schema(), batches, changed })
    }

    /// This and what the next execution of the same statement wrote.
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

/// The expressions whose values an execution inserts; `None` when they are several rows, or have a meaning that only
/// VALUES knows.
fn expressions(insert: &Insert) -> Option<&[Token]> {
    let expressions = if insert.selects() {
        insert.values()
    } else {
        match insert::rows(insert.values())?.as_slice() {
            [row] => *row,
            _ => return None,
        }
    };
    let plain = !expressions.is_empty() && expressions.iter().all(|token| keyword(token) != Keyword::DEFAULT);
    plain.then_some(expressions)
}

/// The expressions with columns in place of parameters; `None` when they are not the `count` parameters.
fn with_columns(expressions: &[Token], count: usize) -> Option<String> {
    let (mut text, mut seen, mut highest) = (String::new(), 0, 0);
    for token in expressions {
        match token {
            Token::Placeholder(name) if name == "?" => {
                text += &identifier(&seen.to_string());
                seen += 1;
            }
            Token::Placeholder(name) => {
                let number: usize = name.strip_prefix('$')?.parse().ok()?;
                text += &identifier(&number.checked_sub(1)?.to_string());
                highest = highest.max(number);
            }
            // A bare name would now mean a column of the rows.
            Token::Word(word) if word.quote_style.is_some() => return None,
            other => text += &other.to_string(),
        }
    }
    let used = if highest == 0 { seen } else { highest };
    (used == count && (seen == 0 || highest == 0)).then_some(text)
}

/// The words that are called like functions, in lower case.
fn functions(expressions: &[Token]) -> Vec<String> {
    let bare: Vec<_> = expressions.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    let called = bare.windows(2).filter(|pair| *pair[1] == Token::LParen);
    called
        .filter_map(|pair| if let Token::Word(word) = pair[0] { Some(word.value.to_lowercase()) } else { None })
        .collect()
}

/// Whether all of these functions are DuckDB's own and give one value for one row.
fn are_scalar(connection: &Connection, names: &[String]) -> Result<bool> {
    #[derive(serde::Deserialize)]
    struct Known {
        scalar: bool,
    }
    // A cast's type may have parentheses as well: decimal(9, 2).
    const NOT_CALLED: &[&str] = &["cast", "try_cast", "decimal", "numeric", "varchar", "in", "and", "or", "not"];
    for name in names.iter().filter(|name| !NOT_CALLED.contains(&name.as_str())) {
        let sql = format!(
            "SELECT coalesce(bool_and(function_type = 'scalar' AND database_name = 'system'), false) AS scalar \
             FROM duckdb_functions() WHERE lower(function_name) = {}",
            literal(name)
        );
        if !connection.record::<Known>(&sql, &[])?.scalar {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `INSERT … SELECT` that `sql` becomes, with `rows` for what it reads.
    fn rewritten(sql: &str, count: usize) -> Option<String> {
        let insert = Insert::parse(sql)?;
        let head: String = insert.head().iter().map(ToString::to_string).collect();
        Some(format!("{head}SELECT {} FROM rows", with_columns(expressions(&insert)?, count)?))
    }

    #[track_caller]
    fn check(sql: &str, count: usize, expected: &str) {
        assert_eq!(rewritten(sql, count).as_deref(), Some(expected), "{sql}");
    }

    #[track_caller]
    fn check_row_by_row(sql: &str, count: usize) {
        assert_eq!(rewritten(sql, count), None, "{sql}");
    }

    #[test]
    fn parameters_become_columns_and_the_rest_stays() {
        check("INSERT INTO t VALUES (?, ?)", 2, "INSERT INTO t SELECT \"0\", \"1\" FROM rows");
        check(
            "insert into lake.\"a b\".t (x, \"y\") values ( ?::INT , 'it''s ?' || ? ) ; ",
            2,
            "insert into lake.\"a b\".t (x, \"y\") SELECT \"0\"::INT , 'it''s ?' || \"1\" FROM rows",
        );
        check("INSERT INTO t VALUES ($2, $1, $2)", 2, "INSERT INTO t SELECT \"1\", \"0\", \"1\" FROM rows");
        check("INSERT INTO t SELECT ?, upper(?)", 2, "INSERT INTO t SELECT \"0\", upper(\"1\") FROM rows");
        check("INSERT INTO t VALUES (?) /* /* */, (2) */", 1, "INSERT INTO t SELECT \"0\" FROM rows");
        check("INSERT INTO t VALUES (((? + 1) * 2))", 1, "INSERT INTO t SELECT ((\"0\" + 1) * 2) FROM rows");
    }

    #[test]
    fn what_may_mean_something_else_stays_as_it_is() {
        for sql in [
            "INSERT INTO t VALUES (?), (?)",
            "INSERT INTO t VALUES ((SELECT max(i) + ? FROM t))",
            "INSERT INTO t VALUES (?, DEFAULT)",
            "INSERT INTO t VALUES (?) RETURNING i",
            r"INSERT INTO t VALUES (?, e'it\'s')",
            "INSERT INTO t VALUES (?) ON CONFLICT DO NOTHING",
            "INSERT INTO t SELECT ? FROM u",
            "INSERT INTO t SELECT ? WHERE false",
            "INSERT INTO t BY NAME SELECT ? AS i",
            "INSERT OR REPLACE INTO t VALUES (?)",
            "INSERT INTO t SELECT row_number() OVER () + ?",
            "INSERT INTO t VALUES (?) ; DROP TABLE t",
            "WITH x AS (SELECT 1) INSERT INTO t VALUES (?)",
            "UPDATE t SET i = ?",
            "INSERT INTO t VALUES ($name)",
            "INSERT INTO t VALUES (\"0\" + ?)",
            "INSERT INTO t VALUES (?",
            "",
        ] {
            check_row_by_row(sql, 1);
        }
        check_row_by_row("INSERT INTO t VALUES (?)", 2);
        check_row_by_row("INSERT INTO t VALUES (?, $1)", 1);
    }
}

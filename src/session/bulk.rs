//! An INSERT with many rows of parameters as one statement.
//!
//! DuckLake writes a file a statement, so an INSERT of 100,000 rows of parameters must not be as many statements.
//! `INSERT INTO t (a, b) VALUES (?, upper(?))` becomes `INSERT INTO t (a, b) SELECT "0", upper("1") FROM <the rows>`,
//! when that means the same. The text is taken apart into tokens and put together again, so that nothing but the
//! parameters changes. Whatever is not surely the same (subqueries, DEFAULT, aggregates, RETURNING, ON CONFLICT, several
//! rows of VALUES, another statement) is left to run row by row.

use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema, SchemaRef},
};
use sqlparser::{
    dialect::DuckDbDialect,
    keywords::Keyword,
    tokenizer::{Token, Tokenizer},
};

use crate::{
    engine::{self, Connection, Inflow, ResultStream},
    error::{Error, Result},
    quote::{identifier, literal},
};

/// Words that give a list of expressions a meaning of its own for each execution, or that only VALUES knows.
const OWN_MEANING: &[Keyword] = &[
    Keyword::SELECT,
    Keyword::FROM,
    Keyword::TABLE,
    Keyword::VALUES,
    Keyword::WITH,
    Keyword::DEFAULT,
    Keyword::OVER,
    Keyword::COLUMNS,
    Keyword::DISTINCT,
    Keyword::WHERE,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::QUALIFY,
    Keyword::ORDER,
    Keyword::LIMIT,
    Keyword::OFFSET,
    Keyword::UNION,
    Keyword::EXCEPT,
    Keyword::INTERSECT,
    Keyword::USING,
    Keyword::SAMPLE,
    Keyword::WINDOW,
    Keyword::RETURNING,
    Keyword::ON,
];

/// An INSERT that can take its parameters from rows.
#[derive(Debug)]
struct Insert<'t> {
    /// `INSERT INTO t (a, b)`.
    head: &'t [Token],
    /// What stands between the parentheses of VALUES, or after SELECT.
    expressions: &'t [Token],
}

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
    let Some(tokens) = tokens(sql) else { return Ok(None) };
    let Some(insert) = Insert::find(&tokens) else { return Ok(None) };
    let Some(values) = insert.values(parameters.num_columns()) else { return Ok(None) };
    if !are_scalar(connection, &functions(insert.expressions))? {
        return Ok(None);
    }
    let Ok(rows) = Inflow::complete(numbered(parameters)?) else { return Ok(None) };
    let Ok(scan) = connection.scan(rows) else { return Ok(None) };
    let head: String = insert.head.iter().map(ToString::to_string).collect();
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

/// The tokens of a statement, without a semicolon at the end; `None` for what the tokenizer does not know.
fn tokens(sql: &str) -> Option<Vec<Token>> {
    // Unescaped, so that texts print as they stood.
    let mut tokens = Tokenizer::new(&DuckDbDialect {}, sql).with_unescape(false).tokenize().ok()?;
    while let Some(Token::Whitespace(_) | Token::SemiColon) = tokens.last() {
        tokens.pop();
    }
    Some(tokens)
}

// === impl Insert ===

impl<'t> Insert<'t> {
    /// Takes an INSERT apart; `None` for any other form.
    fn find(tokens: &'t [Token]) -> Option<Self> {
        let mut words = tokens.iter().enumerate().filter(|(_, token)| !matches!(token, Token::Whitespace(_)));
        let (_, insert) = words.next()?;
        let (_, into) = words.next()?;
        if keyword(insert) != Keyword::INSERT || keyword(into) != Keyword::INTO {
            return None;
        }
        let (at, source) = words.find(|(_, token)| matches!(keyword(token), Keyword::VALUES | Keyword::SELECT))?;
        let head = &tokens[..at];
        if !is_target(head) {
            return None;
        }
        let rest = trim(&tokens[at + 1..]);
        let expressions = if keyword(source) == Keyword::SELECT { rest } else { in_parentheses(rest)? };
        let plain = |token: &Token| !OWN_MEANING.contains(&keyword(token)) && !matches!(token, Token::SemiColon);
        (!expressions.is_empty() && expressions.iter().all(plain)).then_some(Self { head, expressions })
    }

    /// The expressions with columns in place of parameters; `None` when they are not the `count` parameters.
    fn values(&self, count: usize) -> Option<String> {
        let (mut text, mut seen, mut highest) = (String::new(), 0, 0);
        for token in self.expressions {
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
}

/// Whether these are `INSERT INTO`, a name, and perhaps a list of columns: no other clause stands before the values.
fn is_target(head: &[Token]) -> bool {
    let mut depth = 0_u32;
    let mut closed = false;
    head.iter().filter(|token| !matches!(token, Token::Whitespace(_))).skip(2).all(|token| match token {
        Token::LParen => {
            depth += 1;
            depth == 1 && !closed
        }
        Token::RParen => {
            depth = depth.saturating_sub(1);
            closed = true;
            true
        }
        Token::Comma => depth == 1,
        Token::Period => depth == 0,
        Token::Word(word) => !closed && !matches!(word.keyword, Keyword::BY | Keyword::AS),
        _ => false,
    })
}

/// What stands in the parentheses that hold all of `tokens`.
fn in_parentheses(tokens: &[Token]) -> Option<&[Token]> {
    let [Token::LParen, inner @ .., Token::RParen] = tokens else { return None };
    let mut depth = 0_i64;
    let balanced = inner.iter().all(|token| {
        depth += match token {
            Token::LParen => 1,
            Token::RParen => -1,
            _ => 0,
        };
        depth >= 0
    });
    balanced.then(|| trim(inner))
}

fn trim(mut tokens: &[Token]) -> &[Token] {
    while let [Token::Whitespace(_), rest @ ..] | [rest @ .., Token::Whitespace(_)] = tokens {
        tokens = rest;
    }
    tokens
}

fn keyword(token: &Token) -> Keyword {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.keyword,
        _ => Keyword::NoKeyword,
    }
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
        let tokens = tokens(sql)?;
        let insert = Insert::find(&tokens)?;
        let head: String = insert.head.iter().map(ToString::to_string).collect();
        Some(format!("{head}SELECT {} FROM rows", insert.values(count)?))
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
        check("INSERT INTO t VALUES (((? + 1) * 2))", 1, "INSERT INTO t SELECT ((\"0\" + 1) * 2) FROM rows");
    }

    #[test]
    fn what_may_mean_something_else_stays_as_it_is() {
        for sql in [
            "INSERT INTO t VALUES (?), (?)",
            "INSERT INTO t VALUES ((SELECT max(i) + ? FROM t))",
            "INSERT INTO t VALUES (?, DEFAULT)",
            "INSERT INTO t VALUES (?) RETURNING i",
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

//! Statements that read a whole table.

use super::{cursor::Cursor, kind::Kind, name::Name, statement::ParsedStatement, token::TokenKind};

/// `SELECT columns FROM table [AS alias]`, or `FROM table`, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeTable {
    /// The text between SELECT and FROM.
    pub columns: String,
    /// The table.
    pub name: Name,
    /// The table as written.
    pub written: String,
    /// The alias of the table, as written.
    pub alias: Option<String>,
}

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The table that it reads whole; `None` for any other form.
    pub fn whole_table(&self) -> Option<WholeTable> {
        if *self.kind() != Kind::Read {
            return None;
        }
        let mut cursor = self.cursor();
        let columns = if cursor.take("SELECT") { take_columns(&mut cursor)? } else { "*".to_owned() };
        if !cursor.take("FROM") {
            return None;
        }
        let start = cursor;
        if !matches!(cursor.peek()?.kind, TokenKind::Word | TokenKind::Quoted) {
            return None;
        }
        let name = cursor.take_name()?;
        let taken = start.rest().len() - cursor.rest().len();
        let written = Cursor::new(start.text(), &start.rest()[..taken]).source().to_owned();
        let alias = if cursor.is_at_end() { None } else { Some(take_alias(&mut cursor)?) };
        Some(WholeTable { columns, name, written, alias })
    }
}

/// The alias at the end of the statement, as written.
fn take_alias(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.take("AS");
    let name = cursor.next().filter(|_| cursor.is_at_end())?;
    matches!(name.kind, TokenKind::Quoted | TokenKind::Word).then(|| cursor.spelling(name).to_owned())
}

/// Columns, if each is a column of the table without changes.
fn take_columns(cursor: &mut Cursor<'_>) -> Option<String> {
    let start = *cursor;
    let end = (0..cursor.rest().len()).find(|at| cursor.is_at(*at, "FROM"))?;
    let columns = Cursor::new(start.text(), &start.rest()[..end]);
    while !cursor.is("FROM") {
        cursor.next();
    }
    let is_column = |mut column: Cursor<'_>| {
        let named = column.peek().is_some_and(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted));
        if column.take("*") {
            return column.is_at_end();
        }
        if !named || column.is_any(&["DISTINCT", "ALL", "NOT", "NULL", "TRUE", "FALSE", "CASE"]) {
            return false;
        }
        column.take_name().is_some()
            && (column.is_at_end() || column.take("AS") && column.take_part().is_some())
            && column.is_at_end()
    };
    columns.split_at_commas().into_iter().all(is_column).then(|| columns.source().to_owned())
}

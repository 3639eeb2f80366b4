//! The table that a statement both reads and writes: two concurrent transactions must not do this.

use super::{
    cursor::Cursor,
    kind::{Kind, skip_common_tables},
    name::Name,
    statement::ParsedStatement,
    token::TokenKind,
};

/// Whether a statement reads the table whose rows it changes. Of two such transactions, one must have seen the other's
/// rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadsAndWrites {
    /// It only reads, or adds rows independently of existing ones.
    No,
    /// It does: UPDATE, DELETE, TRUNCATE, MERGE.
    Table(Name),
    /// It adds the rows of a query to this table: it reads the table if the query does, perhaps through a view.
    IfQueried {
        /// The table.
        table: Name,
        /// The query, with NULL in place of its parameters.
        query: String,
    },
    /// It does, with a table that cannot be determined from its SQL text.
    Unknown,
}

// === impl ParsedStatement ===

impl ParsedStatement {
    /// Whether it reads the table whose rows it changes.
    pub fn reads_and_writes(&self) -> ReadsAndWrites {
        let kind = match self.kind() {
            Kind::Explain { analyze: true, explained } => explained,
            kind => kind,
        };
        let query = match kind {
            Kind::Update | Kind::Delete | Kind::Merge => None,
            Kind::Insert => match self.inserted_query() {
                Some(query) => Some(query),
                None => return ReadsAndWrites::No,
            },
            _ => return ReadsAndWrites::No,
        };
        match (self.target(), query) {
            (Some(table), _) if is_temp(&table) => ReadsAndWrites::No,
            (Some(table), None) => ReadsAndWrites::Table(table),
            (Some(table), Some(query)) => ReadsAndWrites::IfQueried { table, query },
            (None, _) => ReadsAndWrites::Unknown,
        }
    }

    /// The query whose rows an INSERT adds, if it reads any table.
    fn inserted_query(&self) -> Option<String> {
        const READING: &[&str] = &["FROM", "TABLE", "JOIN", "PIVOT", "UNPIVOT", "SUMMARIZE", "DESCRIBE", "SHOW"];
        let mut cursor = self.body();
        let start = cursor.peek()?.start;
        if cursor.is("WITH") {
            skip_common_tables(&mut cursor);
        }
        let tables = self.text()[start..cursor.peek()?.start].to_owned();
        cursor.next();
        if cursor.take("OR") {
            cursor.next();
        }
        cursor.take("INTO");
        cursor.take_name()?;
        if cursor.take("AS") {
            cursor.next();
        }
        if cursor.is("(")
            && !["SELECT", "FROM", "WITH", "VALUES", "TABLE", "("].iter().any(|word| cursor.is_at(1, word))
        {
            cursor.take_parentheses()?;
        }
        let _by = cursor.take_phrase(&["BY", "NAME"]) || cursor.take_phrase(&["BY", "POSITION"]);
        let reads = |from: Cursor<'_>| (0..from.rest().len()).any(|at| READING.iter().any(|word| from.is_at(at, word)));
        (reads(cursor) || reads(self.body()) && !tables.is_empty()).then(|| tables + &without_parameters(cursor))
    }
}

/// The rest of a statement, with NULL for each parameter.
fn without_parameters(cursor: Cursor<'_>) -> String {
    let Some(first) = cursor.peek() else { return String::new() };
    let (mut text, mut after) = (String::new(), first.start);
    for token in cursor.rest() {
        if token.kind == TokenKind::Parameter {
            text += &cursor.text()[after..token.start];
            text += "NULL";
            after = token.end;
        }
    }
    text + &cursor.text()[after..]
}

fn is_temp(name: &Name) -> bool {
    name.parts().len() > 1 && name.parts()[0].eq_ignore_ascii_case("temp")
}

//! Which table a statement both reads and writes: what two transactions must not do at the same time.

use super::{kind::Kind, name::Name, statement::ParsedStatement};

/// Whether a statement reads the table whose rows it changes. Of two transactions that do so one must not have missed
/// the other's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadsAndWrites {
    /// It only reads, or adds rows whatever there are.
    No,
    /// It does: UPDATE, DELETE, TRUNCATE, MERGE.
    Table(Name),
    /// It adds the rows of a query to this table: it reads the table if the query does, perhaps through a view.
    IfQueried(Name),
    /// It does, with a table that its text does not tell.
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
        let table = match kind {
            Kind::Update | Kind::Delete | Kind::Merge => self.written_table().map(ReadsAndWrites::Table),
            Kind::Insert if self.inserts_query() => self.written_table().map(ReadsAndWrites::IfQueried),
            _ => return ReadsAndWrites::No,
        };
        match table {
            Some(ReadsAndWrites::Table(name) | ReadsAndWrites::IfQueried(name)) if is_temp(&name) => ReadsAndWrites::No,
            Some(table) => table,
            None => ReadsAndWrites::Unknown,
        }
    }

    /// Whether an INSERT names a table that it reads.
    fn inserts_query(&self) -> bool {
        let cursor = self.cursor();
        (0..self.tokens().len()).any(|at| ["FROM", "TABLE", "JOIN"].iter().any(|word| cursor.is_at(at, word)))
    }
}

fn is_temp(name: &Name) -> bool {
    name.parts().len() > 1 && name.parts()[0].eq_ignore_ascii_case("temp")
}

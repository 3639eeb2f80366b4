//! The kind of a statement, by its first keywords.

use super::cursor::Cursor;

/// The kind of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Returns rows and changes nothing: SELECT, FROM, VALUES, DESCRIBE, SHOW, PIVOT …
    Read,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE or TRUNCATE.
    Delete,
    /// MERGE.
    Merge,
    /// CREATE.
    Create,
    /// DROP.
    Drop,
    /// ALTER or COMMENT ON.
    Alter,
    /// BEGIN, COMMIT or ROLLBACK.
    Transaction(TransactionControl),
    /// SET, RESET or USE.
    Set,
    /// EXPLAIN.
    Explain {
        /// Whether it runs the explained statement.
        analyze: bool,
        /// The explained statement.
        explained: Box<Kind>,
    },
    /// PREPARE.
    Prepare,
    /// EXECUTE.
    Execute,
    /// DEALLOCATE.
    Deallocate,
    /// CALL.
    Call,
    /// PRAGMA, which reads, sets or does something.
    Pragma,
    /// Any other DuckDB statement, by its first keyword.
    Other(&'static str),
    /// Not a statement that DuckDB could run.
    Unknown,
}

/// The effect of a statement on the session's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionControl {
    /// BEGIN or START.
    Begin,
    /// COMMIT or END.
    Commit,
    /// ROLLBACK or ABORT.
    Rollback,
}

/// First keywords of statements that return rows.
const READING: &[&str] = &[
    "SELECT",
    "FROM",
    "VALUES",
    "TABLE",
    "(",
    "DESCRIBE",
    "DESC",
    "SHOW",
    "SUMMARIZE",
    "PIVOT",
    "PIVOT_WIDER",
    "PIVOT_LONGER",
    "UNPIVOT",
];

/// First keywords of statements that only an operator could need.
const OTHERS: &[&str] = &[
    "COPY",
    "EXPORT",
    "IMPORT",
    "ATTACH",
    "DETACH",
    "LOAD",
    "INSTALL",
    "FORCE",
    "CHECKPOINT",
    "VACUUM",
    "ANALYZE",
    "ANALYSE",
];

// === impl Kind ===

impl Kind {
    /// The kind of the statement that begins here.
    pub(super) fn of(cursor: &mut Cursor<'_>) -> Self {
        if cursor.is("WITH") {
            skip_common_tables(cursor);
        }
        if cursor.is_any(READING) {
            return Self::Read;
        }
        if let Some(word) = OTHERS.iter().find(|word| cursor.is(word)) {
            return Self::Other(word);
        }
        if cursor.is("UPDATE") && cursor.is_at(1, "EXTENSIONS") && !cursor.is_at(2, "SET") && !cursor.is_at(2, ".") {
            return Self::Other("UPDATE EXTENSIONS");
        }
        let kinds = [
            ("INSERT", Self::Insert),
            ("UPDATE", Self::Update),
            ("DELETE", Self::Delete),
            ("TRUNCATE", Self::Delete),
            ("MERGE", Self::Merge),
            ("CREATE", Self::Create),
            ("DROP", Self::Drop),
            ("ALTER", Self::Alter),
            ("COMMENT", Self::Alter),
            ("SET", Self::Set),
            ("RESET", Self::Set),
            ("USE", Self::Set),
            ("PREPARE", Self::Prepare),
            ("EXECUTE", Self::Execute),
            ("DEALLOCATE", Self::Deallocate),
            ("CALL", Self::Call),
            ("PRAGMA", Self::Pragma),
        ];
        if cursor.is("EXPLAIN") {
            return explain(cursor);
        }
        if let Some(control) = TransactionControl::of(*cursor) {
            return Self::Transaction(control);
        }
        let found = kinds.into_iter().find(|(word, _)| cursor.is(word));
        found.map_or(Self::Unknown, |(_, kind)| kind)
    }

    /// Whether such a statement may change the lake.
    pub fn writes(&self) -> bool {
        match self {
            Self::Insert | Self::Update | Self::Delete | Self::Merge => true,
            Self::Explain { analyze, explained } => *analyze && explained.writes(),
            _ => self.defines(),
        }
    }

    /// Whether such a statement changes the catalog.
    pub fn defines(&self) -> bool {
        matches!(self, Self::Create | Self::Drop | Self::Alter)
    }

    /// The keyword that identifies it in error messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Read => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Merge => "MERGE",
            Self::Create => "CREATE",
            Self::Drop => "DROP",
            Self::Alter => "ALTER",
            Self::Transaction(TransactionControl::Begin) => "BEGIN",
            Self::Transaction(TransactionControl::Commit) => "COMMIT",
            Self::Transaction(TransactionControl::Rollback) => "ROLLBACK",
            Self::Set => "SET",
            Self::Explain { .. } => "EXPLAIN",
            Self::Prepare => "PREPARE",
            Self::Execute => "EXECUTE",
            Self::Deallocate => "DEALLOCATE",
            Self::Call => "CALL",
            Self::Pragma => "PRAGMA",
            Self::Other(word) => word,
            Self::Unknown => "the statement",
        }
    }
}

// === impl TransactionControl ===

impl TransactionControl {
    /// The transaction control, if it is the whole statement. These are not sent to DuckDB, so nothing may follow them.
    fn of(mut cursor: Cursor<'_>) -> Option<Self> {
        let words = [
            ("BEGIN", Self::Begin),
            ("START", Self::Begin),
            ("COMMIT", Self::Commit),
            ("END", Self::Commit),
            ("ROLLBACK", Self::Rollback),
            ("ABORT", Self::Rollback),
        ];
        let (_, control) = words.into_iter().find(|(word, _)| cursor.take(word))?;
        let _noise = cursor.take("TRANSACTION") || cursor.take("WORK");
        if control == Self::Begin && !cursor.take_phrase(&["READ", "ONLY"]) {
            cursor.take_phrase(&["READ", "WRITE"]);
        }
        cursor.is_at_end().then_some(control)
    }
}

/// EXPLAIN [ANALYZE] [VERBOSE] statement, or EXPLAIN (options) statement.
fn explain(cursor: &mut Cursor<'_>) -> Kind {
    cursor.next();
    let mut analyze = cursor.take("ANALYZE") || cursor.take("ANALYSE");
    cursor.take("VERBOSE");
    let is_query = READING.iter().any(|word| cursor.is_at(1, word)) || cursor.is_at(1, "WITH");
    if !analyze && cursor.is("(") && !is_query {
        let options = cursor.take_parentheses().map(Cursor::split_at_commas).unwrap_or_default();
        analyze = options.iter().any(|option| option.is_any(&["ANALYZE", "ANALYSE"]));
    }
    // DuckDB does not support EXPLAIN of EXPLAIN.
    let explained = if cursor.is("EXPLAIN") { Kind::Unknown } else { Kind::of(cursor) };
    Kind::Explain { analyze, explained: Box::new(explained) }
}

/// Skips `WITH a AS (…), b (x, y) AS MATERIALIZED (…)`, so that the keyword of the statement is next.
pub(super) fn skip_common_tables(cursor: &mut Cursor<'_>) {
    cursor.next();
    if !cursor.is_at(1, "AS") && !cursor.is_at(1, "(") && !cursor.is_at(1, "USING") {
        cursor.take("RECURSIVE");
    }
    loop {
        cursor.next();
        cursor.take_parentheses();
        if cursor.take_phrase(&["USING", "KEY"]) {
            cursor.take_parentheses();
        }
        cursor.take("AS");
        cursor.take("NOT");
        cursor.take("MATERIALIZED");
        if cursor.take_parentheses().is_none() || !cursor.take(",") {
            return;
        }
    }
}

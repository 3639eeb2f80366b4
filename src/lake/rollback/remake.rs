//! Creates views and macros again from their definitions: they may read tables and one another.

use crate::{
    engine::Connection,
    error::{Context, Error, ErrorKind, Result},
    lake::CATALOG,
    quote::literal,
};

/// How a view or macro is created.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// `view "silver.v"`.
    pub(super) what: String,
    /// The search path for unqualified names, for SQL.
    pub(super) search_path: Vec<String>,
    /// CREATE, and the statements that follow it.
    pub(super) statements: Vec<String>,
}

/// Creates all of them. Each is created only once everything that it reads exists, which may include others of them:
/// every round creates those that it can, until none is left. DuckDB continues the transaction after a statement that
/// it cannot bind.
///
/// # Errors
/// `FailedPrecondition` with the name of one that reads an object that does not exist: it was broken at that snapshot
/// already, or reads something outside of the rollback.
pub(super) fn remake(connection: &Connection, mut left: Vec<Text>) -> Result<()> {
    let is_any = !left.is_empty();
    while !left.is_empty() {
        let (mut not_yet, mut cause, count) = (Vec::new(), None, left.len());
        for text in left {
            match text.make(connection).context(|| format!("make the {}", text.what)) {
                Ok(()) => {}
                Err(err) if matches!(err.kind(), ErrorKind::InvalidArgument | ErrorKind::NotFound) => {
                    not_yet.push(text);
                    cause = Some(err);
                }
                Err(err) => return Err(err),
            }
        }
        if let Some(cause) = cause
            && not_yet.len() == count
        {
            return Err(Error::precondition(cause.message()).with_source(cause));
        }
        left = not_yet;
    }
    if is_any {
        // The search path was that of the last definition.
        connection.execute(&format!("USE {CATALOG}"), &[])?;
    }
    Ok(())
}

// === impl Text ===

impl Text {
    fn make(&self, connection: &Connection) -> Result<()> {
        connection.execute(&format!("SET search_path = {}", literal(&self.search_path.join(","))), &[])?;
        self.statements.iter().try_for_each(|sql| connection.execute(sql, &[]).map(|_| ()))
    }
}

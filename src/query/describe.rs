//! The parameters and columns of a statement, before it runs.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use super::{
    run::is_lost,
    shared::{Entry, Shared},
};
use crate::{
    engine::Connection,
    error::{Error, Result},
    ids::TransactionId,
    session::{Described, Session},
    sql::{Kind, ParsedStatement},
};

/// Returns the parameters and columns of a statement, without executing it.
///
/// # Errors
/// `InvalidArgument` and `NotFound` for errors of DuckDB's parser and binder.
pub(super) async fn describe(
    shared: &Shared,
    session: &Session,
    statements: &[ParsedStatement],
    transaction: Option<TransactionId>,
) -> Result<Described> {
    match statements {
        [] => Err(Error::invalid("the statement is empty")),
        [only] => describe_one(shared, session, only, transaction).await,
        // The columns of the last statement may depend on the previous ones.
        [.., last] => match last.kind() {
            Kind::Read | Kind::Execute | Kind::Call => {
                let described = describe_one(shared, session, last, transaction).await;
                let unknown = Described { is_update: false, columns: None, parameters: Arc::new(Schema::empty()) };
                Ok(described.unwrap_or(unknown))
            }
            _ => Ok(nothing()),
        },
    }
}

/// A statement without parameters and columns.
fn nothing() -> Described {
    let empty = Arc::new(Schema::empty());
    Described { is_update: true, columns: Some(Arc::clone(&empty)), parameters: empty }
}

async fn describe_one(
    shared: &Shared,
    session: &Session,
    statement: &ParsedStatement,
    transaction: Option<TransactionId>,
) -> Result<Described> {
    if let Some(procedure) = shared.procedures.find(statement)? {
        return Ok(procedure.described());
    }
    let statement = match statement.kind() {
        Kind::Transaction(_) | Kind::Set | Kind::Prepare | Kind::Deallocate => return Ok(nothing()),
        Kind::Execute => {
            let execute = statement.execution()?.ok_or_else(|| Error::internal("read EXECUTE"))?;
            let prepared = session.textual_prepared(&execute.name)?;
            let is_update = *prepared.kind() != Kind::Read;
            return Ok(Described { is_update, columns: None, parameters: Arc::new(Schema::empty()) });
        }
        _ => statement.clone(),
    };
    shared.guard.check(&statement)?;
    let inside = session.transaction(transaction)?;
    let alone = inside.is_none();
    let entry = Entry::new(shared, inside.as_deref(), &statement);
    let work = move |connection: &Connection| {
        entry.enter(connection)?;
        match prepare(connection, &statement) {
            Err(err) if alone && is_lost(&err) => prepare(connection, &statement),
            described => described,
        }
    };
    match inside {
        Some(transaction) => shared.leases.begun(session, &transaction).await?.run(work).await,
        None => shared.run(session, work).await,
    }
}

fn prepare(connection: &Connection, statement: &ParsedStatement) -> Result<Described> {
    let mut steps = connection.steps(statement.text())?;
    if steps.count() > 1 {
        // The last step can be prepared once those before it have run.
        let is_update = *statement.kind() != Kind::Read;
        return Ok(Described { is_update, columns: None, parameters: Arc::new(Schema::empty()) });
    }
    let prepared = steps.prepare(0)?;
    let (parameters, columns) = (prepared.parameter_schema()?, prepared.result_schema()?);
    let gives_rows = columns.as_ref().is_some_and(|columns| !columns.fields().is_empty() && !is_count(columns));
    let reads = matches!(statement.kind(), Kind::Read | Kind::Explain { .. } | Kind::Pragma | Kind::Call);
    Ok(Described { is_update: !reads && !gives_rows, columns, parameters })
}

/// Whether the columns are DuckDB's count of changed rows.
fn is_count(columns: &SchemaRef) -> bool {
    columns.fields().len() == 1 && columns.field(0).name() == "Count"
}

//! Executes SQL text: its statements one after the other, exactly once per call.
//!
//! ```text
//! text ─▶ CALL merganser.…          ─▶ procedure
//!      ─▶ BEGIN, SET, PREPARE …     ─▶ control (the session's state; not sent to DuckDB)
//!      ─▶ anything else             ─▶ run (a connection)
//!      ─▶ several statements        ─▶ each of these, in one transaction unless they begin or end some themselves
//! ```

use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::{
    control,
    execution::{Execution, Known, Running},
    procedure, run,
    shared::Shared,
    statement::{Outcome, Statement},
};
use crate::{
    engine::Connection,
    error::{Error, ErrorKind, Result},
    lake::commit::REPEATS_MAX,
    session::{End, Session},
    sql::{Kind, ParsedStatement, Setting},
};

/// Executes `statement`.
///
/// # Errors
/// Errors of DuckDB, and the errors of its transaction.
pub(super) async fn execute(shared: &Shared, session: &Arc<Session>, statement: Statement) -> Result<Outcome> {
    let running = shared.executions.begin(session.principal(), session.id(), Arc::clone(&statement.sql));
    text(shared, session, running, &statement).await.map_err(|err| session.explain(err))
}

/// Starts `statement` and does not wait for it: polling the execution returns its result or its failure.
pub(super) fn begin(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    statement: Statement,
    expected: SchemaRef,
) -> Arc<Execution> {
    let running = shared.executions.begin(session.principal(), session.id(), Arc::clone(&statement.sql));
    let execution = Arc::clone(running.execution());
    execution.expect(expected);
    let (shared, session) = (Arc::clone(shared), Arc::clone(session));
    let begun = Arc::clone(&execution);
    tokio::spawn(async move {
        match text(&shared, &session, running, &statement).await {
            Ok(mut outcome) => {
                outcome.rows.ready().await;
                if let Some(err) = outcome.rows.failed_first() {
                    return shared.executions.fail(&begun, err);
                }
                let (schema, count) = (outcome.rows.schema(), outcome.rows.count());
                begun.know(Known { schema, count, snapshot_id: outcome.snapshot_id });
                outcome.execution.keep(outcome.rows);
            }
            Err(err) => shared.executions.fail(&begun, session.explain(err)),
        }
    });
    execution
}

/// Executes SQL text.
async fn text(shared: &Shared, session: &Arc<Session>, running: Running, statement: &Statement) -> Result<Outcome> {
    if let Some(timeout) = session.options().timeout().or(shared.settings.query_timeout) {
        running.execution().limit(timeout);
    }
    match statement.parsed.as_ref() {
        [] => Err(Error::invalid("the statement is empty")),
        [only] => one(shared, session, running, statement, only).await,
        several if statement.parameters.is_some() => Err(Error::invalid(format!(
            "parameters require a single statement, got {}: send them one at a time",
            several.len()
        ))),
        several => unit(shared, session, running, statement, several).await,
    }
}

/// Executes one statement.
async fn one(
    shared: &Shared,
    session: &Arc<Session>,
    running: Running,
    statement: &Statement,
    parsed: &ParsedStatement,
) -> Result<Outcome> {
    if let Some(procedure) = shared.procedures.find(parsed)? {
        return procedure::call(shared.newest(session), session, running, procedure, statement).await;
    }
    match parsed.kind() {
        Kind::Transaction(control) => match statement.transaction {
            Some(id) => control::named_transaction(shared, session, running, id, *control).await,
            None => control::transaction(shared, session, running, statement.connection, *control).await,
        },
        Kind::Set if !matches!(parsed.setting(), Some(Setting::Variable(_))) => {
            control::set(shared, session, running, parsed).await
        }
        Kind::Prepare => control::prepare(shared, session, running, statement, parsed).await,
        Kind::Deallocate => control::deallocate(shared, session, running, parsed).await,
        Kind::Execute => {
            let prepared = control::prepared_of(shared, session, statement, parsed).await?;
            run::run(shared, session, running, &prepared, &prepared.parsed[0]).await
        }
        _ => run::run(shared, session, running, statement, parsed).await,
    }
}

/// Executes several statements in order; returns the last one's result, and the number of rows that all have changed.
async fn unit(
    shared: &Shared,
    session: &Arc<Session>,
    running: Running,
    statement: &Statement,
    all: &[ParsedStatement],
) -> Result<Outcome> {
    // DuckDB parses the whole text before it runs any of it.
    let texts: Vec<_> = all.iter().map(|parsed| Arc::clone(parsed.text())).collect();
    let parse = move |connection: &Connection| texts.iter().try_for_each(|text| connection.steps(text).map(|_| ()));
    shared.run(session, parse).await?;
    let controls = all.iter().any(|parsed| matches!(parsed.kind(), Kind::Transaction(_) | Kind::Call));
    if controls || session.transaction(statement.transaction)?.is_some() {
        return in_order(shared, session, running, statement, all).await;
    }
    let mut outcome = in_transaction(shared, session, running, statement, all).await;
    for _ in 0..REPEATS_MAX {
        match &outcome {
            Err(err) if err.kind() == ErrorKind::Conflict => {}
            _ => break,
        }
        // Each attempt is listed separately.
        let again = shared.executions.begin(session.principal(), session.id(), Arc::clone(&statement.sql));
        outcome = in_transaction(shared, session, again, statement, all).await;
    }
    outcome
}

/// Executes statements in order, in one transaction.
async fn in_transaction(
    shared: &Shared,
    session: &Arc<Session>,
    running: Running,
    statement: &Statement,
    all: &[ParsedStatement],
) -> Result<Outcome> {
    let id = session.begin(statement.connection)?;
    let inside = Statement { transaction: Some(id), ..statement.clone() };
    let outcome = match in_order(shared, session, running, &inside, all).await {
        Ok(outcome) => outcome,
        Err(err) => {
            // The client needs the error of the statement.
            let _ = session.end(id, End::Rollback).await;
            return Err(err);
        }
    };
    match session.end(id, End::Commit).await {
        Ok(made) => {
            let snapshot_id = made.unwrap_or(outcome.snapshot_id);
            shared.saw_snapshot(snapshot_id);
            Ok(Outcome { snapshot_id, ..outcome })
        }
        // A failure after the first rows of the last statement has ended the transaction.
        Err(err) if err.kind() == ErrorKind::FailedPrecondition => Err(outcome.finish().await.err().unwrap_or(err)),
        Err(err) => Err(err),
    }
}

async fn in_order(
    shared: &Shared,
    session: &Arc<Session>,
    running: Running,
    statement: &Statement,
    all: &[ParsedStatement],
) -> Result<Outcome> {
    let Some((last, before)) = all.split_last() else { return Err(Error::invalid("the statement is empty")) };
    let mut changed = 0;
    for parsed in before {
        let own = shared.executions.begin(session.principal(), session.id(), Arc::clone(parsed.text()));
        let stopped = running.execution().stopped();
        let work = async {
            Box::pin(one(shared, session, own, &statement.with(parsed.clone()), parsed)).await?.finish().await
        };
        changed += stopped.unless(work).await?.unwrap_or_default();
    }
    let outcome = Box::pin(one(shared, session, running, &statement.with(last.clone()), last)).await?;
    let changed = changed + outcome.changed.unwrap_or_default();
    Ok(Outcome { changed: Some(changed), ..outcome })
}

//! Statements about the session, which DuckDB does not run: BEGIN, COMMIT and ROLLBACK, SET, RESET and USE, PREPARE,
//! EXECUTE and DEALLOCATE in SQL.

use std::sync::Arc;

use super::{
    execution::Running,
    shared::{Entry, Shared},
    statement::{Outcome, Statement},
};
use crate::{
    engine::Connection,
    error::{Error, ErrorKind, Result},
    ids::{ConnectionId, TransactionId},
    lake::CATALOG,
    session::{End, OptionFault, OptionValue, Session},
    sql::{self, Constant, Execute, Kind, Name, ParsedStatement, Setting, TransactionControl},
};

/// BEGIN, COMMIT and ROLLBACK in SQL.
pub(super) async fn transaction(
    shared: &Shared,
    session: &Session,
    running: Running,
    connection: Option<ConnectionId>,
    control: TransactionControl,
) -> Result<Outcome> {
    // Read first: once the transaction has begun or ended, nothing may fail any more.
    let mut snapshot_id = shared.newest(session).await?;
    match (control, session.textual_transaction()) {
        (TransactionControl::Begin, _) => session.begin_textual(connection)?,
        (TransactionControl::Commit, None) => return Err(nothing_to_end("commit")),
        (TransactionControl::Rollback, None) => return Err(nothing_to_end("rollback")),
        (TransactionControl::Commit, Some(id)) => {
            snapshot_id = session.end(id, End::Commit).await?.unwrap_or(snapshot_id);
        }
        (TransactionControl::Rollback, Some(id)) => _ = session.end(id, End::Rollback).await?,
    }
    Ok(Outcome::nothing(running, snapshot_id))
}

fn nothing_to_end(what: &str) -> Error {
    Error::precondition(format!("TransactionContext Error: cannot {what} - no transaction is active"))
}

/// BEGIN, COMMIT and ROLLBACK in SQL in a transaction that the client specified: drivers keep one open all the time,
/// and some tools send the statements as well. The transaction stays open and is reset.
pub(super) async fn named_transaction(
    shared: &Shared,
    session: &Session,
    running: Running,
    id: TransactionId,
    control: TransactionControl,
) -> Result<Outcome> {
    let Some(transaction) = session.transaction(Some(id))? else {
        return Err(Error::not_found("the transaction does not exist: it was committed or rolled back"));
    };
    let made = match control {
        TransactionControl::Begin if transaction.is_begun() => {
            return Err(Error::precondition(
                "TransactionContext Error: cannot start a transaction within a transaction",
            ));
        }
        TransactionControl::Begin => None,
        TransactionControl::Commit => session.finish(&transaction, End::Commit).await?,
        TransactionControl::Rollback => session.finish(&transaction, End::Rollback).await?,
    };
    let snapshot_id = match made {
        Some(made) => made,
        None => shared.newest(session).await?,
    };
    Ok(Outcome::nothing(running, snapshot_id))
}

/// SET, RESET and USE in SQL: they change the options of the session, not the connection, which is shared.
pub(super) async fn set(
    shared: &Shared,
    session: &Session,
    running: Running,
    statement: &ParsedStatement,
) -> Result<Outcome> {
    let unreadable = || Error::invalid("write SET name = value with a constant, RESET name, or USE schema");
    let (name, value) = match statement.setting().ok_or_else(unreadable)? {
        Setting::Session(name, value) => (name, value.map(option_value).transpose()?),
        Setting::Global(_) => {
            return Err(Error::unsupported("global settings belong to the server; omit GLOBAL"));
        }
        Setting::Use(name) => ("schema".to_owned(), Some(OptionValue::Text(schema(&name)?))),
        Setting::Variable(_) => return Err(unreadable()),
    };
    match set_option(shared, session, &name, value).await? {
        Ok(()) => Ok(Outcome::nothing(running, shared.newest(session).await?)),
        Err(OptionFault::Name) => {
            Err(Error::unsupported(format!("SET {name}: settings like this one belong to the server")))
        }
        Err(OptionFault::Value) => Err(Error::invalid(format!("SET {name}: the setting cannot have this value"))),
    }
}

fn option_value(constant: Constant) -> Result<OptionValue> {
    let unreadable = || Error::invalid("write SET name = value with a constant");
    match constant {
        Constant::Flag(flag) => Ok(OptionValue::Flag(flag)),
        Constant::Text(text) => Ok(OptionValue::Text(text)),
        Constant::Number(digits) => digits
            .parse()
            .map(OptionValue::Whole)
            .or_else(|_| digits.parse().map(OptionValue::Number))
            .map_err(|_| unreadable()),
        Constant::Null | Constant::List(_) | Constant::Struct(_) => Err(unreadable()),
    }
}

/// The schema of a `USE` statement: `silver`, `lake.silver`, or `lake` for its main one.
fn schema(name: &Name) -> Result<String> {
    match name.parts() {
        [catalog] if catalog.eq_ignore_ascii_case(CATALOG) => Ok("main".into()),
        [schema] => Ok(schema.clone()),
        [catalog, schema] if catalog.eq_ignore_ascii_case(CATALOG) => Ok(schema.clone()),
        _ => Err(Error::not_found(format!("USE {name}: the catalog does not exist; the only one is {CATALOG}"))),
    }
}

/// Sets an option of a client's own session; without a value, resets it.
///
/// # Errors
/// `FailedPrecondition` for a shared session; errors of DuckDB about the value.
pub(super) async fn set_option(
    shared: &Shared,
    session: &Session,
    name: &str,
    value: Option<OptionValue>,
) -> Result<Result<(), OptionFault>> {
    let mut options = session.options();
    if let Err(fault) = options.set(name, value) {
        return Ok(Err(fault));
    }
    if !session.is_own() {
        return Err(Error::precondition("options need a session: log in first (any user name will do)"));
    }
    if options.snapshot() != session.options().snapshot() {
        session.check_free()?;
        session.forget_snapshot();
    }
    let (change, tries) = (options.change(name), options.script().is_some() || options.snapshot().is_some());
    let before = session.replace_options(options);
    if tries && let Err(err) = shared.leases.lease_for(session).await {
        session.replace_options(before);
        // DuckDB reports an unknown time zone as "not implemented".
        return Err(if err.kind() == ErrorKind::Unsupported { Error::invalid(err.message()) } else { err });
    }
    for worker in session.workers() {
        let change = change.clone();
        worker.run(move |connection| connection.run_script(&change)).await?;
    }
    Ok(Ok(()))
}

/// PREPARE in SQL: the session keeps the statement, and DuckDB validates it once.
pub(super) async fn prepare(
    shared: &Shared,
    session: &Session,
    running: Running,
    statement: &Statement,
    parsed: &ParsedStatement,
) -> Result<Outcome> {
    let prepare = parsed.preparation()?.ok_or_else(|| Error::internal("read PREPARE"))?;
    if !matches!(prepare.statement.kind(), Kind::Read | Kind::Insert | Kind::Update | Kind::Delete) {
        return Err(Error::unsupported("PREPARE is for queries and for INSERT, UPDATE and DELETE"));
    }
    shared.guard.check(&prepare.statement)?;
    let text = Arc::clone(prepare.statement.text());
    let transaction = session.transaction(statement.transaction)?;
    let entry = Entry::new(shared, transaction.as_deref(), &prepare.statement);
    let check = move |connection: &Connection| {
        entry.enter(connection)?;
        connection.prepare(&text).map(|_| ())
    };
    match transaction {
        Some(transaction) => shared.leases.begun(session, &transaction).await?.run(check).await?,
        None => shared.run(session, check).await?,
    }
    session.keep_textual(prepare.name, prepare.statement)?;
    Ok(Outcome::nothing(running, shared.newest(session).await?))
}

/// DEALLOCATE in SQL.
pub(super) async fn deallocate(
    shared: &Shared,
    session: &Session,
    running: Running,
    parsed: &ParsedStatement,
) -> Result<Outcome> {
    let name = parsed.deallocated().ok_or_else(|| Error::invalid("write DEALLOCATE name"))?;
    session.forget_textual(&name)?;
    Ok(Outcome::nothing(running, shared.newest(session).await?))
}

/// The statement that an EXECUTE in SQL refers to, with the values of its parameters.
pub(super) async fn prepared_of(
    shared: &Shared,
    session: &Session,
    statement: &Statement,
    parsed: &ParsedStatement,
) -> Result<Statement> {
    let Execute { name, arguments } = parsed.execution()?.ok_or_else(|| Error::internal("read EXECUTE"))?;
    if statement.parameters.is_some() {
        return Err(Error::invalid("EXECUTE has its values in the SQL text, and takes no other parameters"));
    }
    let prepared = session.textual_prepared(&name)?;
    if arguments.is_empty() {
        return Ok(statement.with(prepared));
    }
    let given: Vec<_> = arguments.iter().map(|(_, expression)| expression.as_str()).collect();
    shared.guard.check(&sql::parse_one(&format!("SELECT {}", given.join(", ")))?)?;
    let text = Arc::clone(prepared.text());
    let transaction = session.transaction(statement.transaction)?;
    let entry = Entry::new(shared, transaction.as_deref(), &prepared);
    let values = move |connection: &Connection| {
        entry.enter(connection)?;
        let ordered = in_order(&connection.prepare(&text)?.parameter_names(), arguments)?;
        let columns = ordered.iter().enumerate().map(|(index, expression)| format!("{expression} AS \"{index}\""));
        let (_, batches) = connection.query(&format!("SELECT {}", columns.collect::<Vec<_>>().join(", ")), &[])?;
        Ok(batches.into_iter().next())
    };
    let parameters = match transaction {
        Some(transaction) => shared.leases.begun(session, &transaction).await?.run(values).await?,
        None => shared.run(session, values).await?,
    };
    Ok(Statement { parameters, ..statement.with(prepared) })
}

/// The expressions in the order of the parameters.
fn in_order(names: &[String], arguments: Vec<(Option<String>, String)>) -> Result<Vec<String>> {
    if arguments.iter().all(|(name, _)| name.is_none()) {
        return Ok(arguments.into_iter().map(|(_, expression)| expression).collect());
    }
    let find = |wanted: &String| {
        let its =
            arguments.iter().find(|(name, _)| name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(wanted)));
        its.map(|(_, expression)| expression.clone())
            .ok_or_else(|| Error::invalid(format!("EXECUTE gives no value for the parameter {wanted}")))
    };
    let ordered = names.iter().map(find).collect::<Result<_>>()?;
    let unknown = arguments
        .iter()
        .find(|(name, _)| name.as_ref().is_none_or(|name| !names.iter().any(|known| known.eq_ignore_ascii_case(name))));
    if let Some((name, _)) = unknown {
        let name = name.as_deref().unwrap_or("without a name");
        return Err(Error::invalid(format!("EXECUTE gives a value {name} that the statement does not take")));
    }
    Ok(ordered)
}

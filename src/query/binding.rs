//! The connection that a statement runs on.

use std::sync::Arc;

use super::{shared::Shared, statement::Statement};
use crate::{
    engine::{Lease, Worker},
    error::Result,
    session::{Session, Transaction},
    sql::{ParsedStatement, Setting},
};

/// The connection that a statement is bound to.
pub(super) enum Binding {
    /// It is leased, and returned after the last row.
    Borrowed(Lease),
    /// The session keeps it.
    Pinned(Worker),
    /// A transaction of the session holds it.
    Transaction(Worker, Arc<Transaction>),
}

/// Finds a connection for the statement.
///
/// # Errors
/// `ResourceExhausted` if none became free; errors of the session's transaction.
pub(super) async fn bind(
    shared: &Shared,
    session: &Session,
    statement: &Statement,
    parsed: &ParsedStatement,
) -> Result<Binding> {
    let pinned = session.pinned_worker();
    let lives_on = parsed.makes_temp() || matches!(parsed.setting(), Some(Setting::Variable(_)));
    let needs_pin = pinned.is_none() && lives_on;
    if let Some(transaction) = session.transaction(statement.transaction)? {
        let worker = shared.leases.begun(session, &transaction).await?;
        if needs_pin && (session.is_own() || !parsed.makes_temp()) {
            transaction.keep_connection(shared.leases.permit(session)?).await;
        }
        return Ok(Binding::Transaction(worker, transaction));
    }
    match pinned {
        Some(worker) => Ok(Binding::Pinned(worker)),
        None if needs_pin => shared.leases.pin(session).await.map(Binding::Pinned),
        None => shared.leases.lease_for(session).await.map(Binding::Borrowed),
    }
}

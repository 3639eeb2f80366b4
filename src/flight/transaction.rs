//! BeginTransaction and EndTransaction.

use arrow_flight::sql::{ActionBeginTransactionResult, ActionEndTransactionRequest, EndTransaction};

use super::authenticate::Caller;
use crate::{
    error::{Error, Result},
    ids::TransactionId,
    session::End,
};

/// The transaction that a client's bytes identify.
pub fn id(bytes: &[u8]) -> Result<TransactionId> {
    TransactionId::from_bytes(bytes)
        .ok_or_else(|| Error::not_found("the transaction does not exist: it was not opened here"))
}

/// Opens a transaction.
pub fn begin(caller: &Caller) -> Result<ActionBeginTransactionResult> {
    caller.session.begin(caller.connection).map(|id| ActionBeginTransactionResult { transaction_id: id.to_bytes() })
}

/// Commits a transaction or rolls it back.
pub async fn end(caller: &Caller, request: &ActionEndTransactionRequest) -> Result<()> {
    let end = match request.action() {
        EndTransaction::Commit => End::Commit,
        EndTransaction::Rollback => End::Rollback,
        EndTransaction::Unspecified => return Err(Error::invalid("specify whether to commit or to roll back")),
    };
    caller.session.end(id(&request.transaction_id)?, end).await.map(|_| ())
}

//! CommandStatementIngest: writes the rows of a DoPut to a new or an existing table.
//!
//! The command's `options` can make it a [feed](super::feed); others are hints that have no effect here. Clients send
//! their own, and none is rejected.

use std::sync::Arc;

use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption};

use super::{
    authenticate::Caller,
    stream::{self, PutStream},
    transaction,
};
use crate::{
    error::{Error, Result},
    query::Queries,
    write::{IfAbsent, IfPresent, Ingest},
};

/// Writes the rows that the client sends, and returns their number.
pub async fn do_put(
    queries: &Arc<Queries>,
    caller: &Caller,
    command: &CommandStatementIngest,
    data: impl PutStream,
) -> Result<i64> {
    let ingest = ingest(caller, command)?;
    let (rows, decoding) = stream::decode(data).await?;
    let (queries, session) = (Arc::clone(queries), Arc::clone(&caller.session));
    // Continues if the client is gone: the rows end then, and the statement cleans up what an interrupt would leave.
    let mut writing = tokio::spawn(async move { queries.ingest(&session, ingest, rows).await });
    let written = tokio::select! {
        written = &mut writing => written,
        () = decoding.finish() => writing.await,
    };
    let written = written.map_err(|err| Error::internal("ingest").with_source(err))??;
    i64::try_from(written).map_err(|_| Error::internal("the number of rows is out of range"))
}

/// The target of a command, and the required state of it.
///
/// # Errors
/// `InvalidArgument` for a command that does not specify everything.
pub fn ingest(caller: &Caller, command: &CommandStatementIngest) -> Result<Ingest> {
    let (if_absent, if_present) = modes(command.table_definition_options.as_ref())?;
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    Ok(Ingest {
        table: command.table.clone(),
        schema: named(&command.schema),
        catalog: named(&command.catalog),
        temporary: command.temporary,
        if_absent,
        if_present,
        transaction: command.transaction_id.as_deref().map(transaction::id).transpose()?,
        connection: caller.connection,
    })
}

fn modes(options: Option<&TableDefinitionOptions>) -> Result<(IfAbsent, IfPresent)> {
    let unsaid = || Error::invalid("specify what to do if the table exists, and if it does not");
    let options = options.ok_or_else(unsaid)?;
    let if_absent = match TableNotExistOption::try_from(options.if_not_exist) {
        Ok(TableNotExistOption::Create) => IfAbsent::Create,
        Ok(TableNotExistOption::Fail) => IfAbsent::Fail,
        Ok(TableNotExistOption::Unspecified) | Err(_) => return Err(unsaid()),
    };
    let if_present = match TableExistsOption::try_from(options.if_exists) {
        Ok(TableExistsOption::Fail) => IfPresent::Fail,
        Ok(TableExistsOption::Append) => IfPresent::Append,
        Ok(TableExistsOption::Replace) => IfPresent::Replace,
        Ok(TableExistsOption::Unspecified) | Err(_) => return Err(unsaid()),
    };
    Ok((if_absent, if_present))
}

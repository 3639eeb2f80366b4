//! `init_sql`: returns the SQL that attaches the lake in the DuckDB shell.

use super::{
    action::{Action, Call},
    events::{self, Events},
};
use crate::{
    error::Result,
    lake::init_sql::init_sql,
    proto::{InitSqlRequest, InitSqlResult},
};

/// The action.
#[derive(Debug)]
pub struct InitSql;

// === impl InitSql ===

impl Action for InitSql {
    const NAME: &'static str = "init_sql";
    const WRITES: bool = false;
    type Request = InitSqlRequest;
    type Response = InitSqlResult;

    fn validate(_: InitSqlRequest) -> Result<Self> {
        Ok(Self)
    }

    fn run(self, call: Call<'_, Self>) -> Result<Events> {
        let sql = init_sql(call.services().pins.origin().1);
        Ok(events::answer(&InitSqlResult { sql }))
    }
}

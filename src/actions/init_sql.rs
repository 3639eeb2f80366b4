//! `init_sql`: tells how DuckDB's own shell attaches the lake.

use super::{Actions, Events, events};
use crate::{
    lake::init_sql::init_sql,
    proto::{InitSqlRequest, InitSqlResult},
};

/// Answers.
pub fn call(actions: &Actions, _: InitSqlRequest) -> Events {
    let (_, lake) = actions.pins.origin();
    events::answer("InitSqlResult", &InitSqlResult { sql: init_sql(lake) })
}

//! The server in SQL: its actions with `CALL merganser.<action>(…)`, and the tables `merganser_queries()`,
//! `merganser_sessions()` and `merganser_jobs()`.
//!
//! Neither sessions nor engine depend on the actions; this module connects them. The tables contain nothing that grants
//! access, such as tokens and tickets. All users see all rows; roles would restrict them in [`tables`].

use std::{
    sync::{Arc, Weak},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    actions::{self, Actions, sql::Call},
    engine::{Cell, CellKind, Connection, LiveTable},
    error::Result,
    jobs::Job,
    query::{Execution, Phase, Procedure, Procedures, Queries},
    session::{OptionValue, Session},
};

/// The length at which the text of a statement is truncated, in bytes.
const MAX_SQL_BYTES: usize = 4 << 10;

const QUERIES: &[(&str, CellKind)] = &[
    ("id", CellKind::Text),
    ("user", CellKind::Text),
    ("session", CellKind::Text),
    ("sql", CellKind::Text),
    ("state", CellKind::Text),
    ("started", CellKind::Moment),
    ("seconds", CellKind::Number),
    ("progress", CellKind::Number),
];

const SESSIONS: &[(&str, CellKind)] = &[
    ("id", CellKind::Text),
    ("user", CellKind::Text),
    ("own", CellKind::Flag),
    ("idle_seconds", CellKind::Number),
    ("age_seconds", CellKind::Number),
    ("transactions", CellKind::Whole),
    ("options", CellKind::Text),
];

const JOBS: &[(&str, CellKind)] = &[
    ("job_id", CellKind::Text),
    ("action", CellKind::Text),
    ("author", CellKind::Text),
    ("state", CellKind::Text),
    ("phase", CellKind::Text),
    ("done", CellKind::Whole),
    ("total", CellKind::Whole),
    ("unit", CellKind::Text),
    ("message", CellKind::Text),
    ("started", CellKind::Moment),
    ("ended", CellKind::Moment),
];

/// The actions, as procedures for the sessions.
pub fn procedures(actions: &Arc<Actions>) -> Procedures {
    let actions = Arc::clone(actions);
    Procedures::new(move |statement| {
        let Some(call) = actions::sql::parse(statement)? else { return Ok(None) };
        let (columns, parameters, writes) = (Call::columns(), call.parameters(), call.writes());
        let actions = Arc::clone(&actions);
        let start = Box::new(move |principal: &_, row: Option<&_>| call.start(&actions, principal, row));
        Ok(Some(Procedure { columns, parameters, writes, start }))
    })
}

/// Registers the tables. They hold weak references: the engine owns the tables, and their sources own the engine.
pub fn registrar(
    queries: &Arc<Queries>,
    actions: &Arc<Actions>,
) -> impl Fn(&Connection) -> Result<()> + Clone + Send + Sync + 'static {
    let (queries, actions) = (Arc::downgrade(queries), Arc::downgrade(actions));
    move |connection| tables(&queries, &actions).into_iter().try_for_each(|table| connection.register(table))
}

fn tables(owner: &Weak<Queries>, actions: &Weak<Actions>) -> Vec<LiveTable> {
    let (of_queries, of_sessions, of_jobs) = (Weak::clone(owner), Weak::clone(owner), Weak::clone(actions));
    let queries = move || rows(&of_queries, |queries| queries.executions().list(), query);
    let sessions = move || rows(&of_sessions, |queries| queries.sessions().list(), session);
    let jobs = move || rows(&of_jobs, |actions| actions.jobs().list(), job);
    vec![
        LiveTable { name: "merganser_queries", columns: QUERIES, rows: Box::new(queries) },
        LiveTable { name: "merganser_sessions", columns: SESSIONS, rows: Box::new(sessions) },
        LiveTable { name: "merganser_jobs", columns: JOBS, rows: Box::new(jobs) },
    ]
}

fn rows<O, T>(owner: &Weak<O>, list: impl Fn(&O) -> Vec<Arc<T>>, row: impl Fn(&T) -> Vec<Cell>) -> Vec<Vec<Cell>> {
    let Some(owner) = owner.upgrade() else { return Vec::new() };
    list(&owner).iter().map(|entry| row(entry)).collect()
}

fn query(execution: &Execution) -> Vec<Cell> {
    let state = match execution.phase() {
        Phase::Running => "running",
        Phase::Waiting => "waiting",
        Phase::Reading => "reading",
        Phase::Failed => "failed",
    };
    vec![
        execution.id.to_string().into(),
        execution.owner.name().into(),
        execution.session.to_string().into(),
        execution.sql[..execution.sql.floor_char_boundary(MAX_SQL_BYTES)].into(),
        state.into(),
        moment(execution.started),
        execution.started.elapsed().unwrap_or_default().as_secs_f64().into(),
        execution.progress().into(),
    ]
}

fn session(session: &Session) -> Vec<Cell> {
    let options = session.options().all().into_iter().map(|(name, value)| (name, json(value)));
    vec![
        session.id().to_string().into(),
        session.principal().name().into(),
        session.is_own().into(),
        session.idle().as_secs_f64().into(),
        session.age().as_secs_f64().into(),
        (session.open_transactions() as u64).into(),
        serde_json::Value::Object(options.collect()).to_string().into(),
    ]
}

fn job(job: &Job) -> Vec<Cell> {
    let status = job.watch().borrow().clone();
    vec![
        job.id.to_string().into(),
        job.action.into(),
        job.author.name().into(),
        actions::state(&status.state).as_str_name().into(),
        text(&status.phase),
        status.done.into(),
        status.total.into(),
        text(status.unit),
        text(&actions::error_message(&status.state)),
        Cell::Moment(job.started.timestamp_micros()),
        status.ended.map_or(Cell::Null, |ended| Cell::Moment(ended.timestamp_micros())),
    ]
}

/// A text; an empty one is NULL, as in the rows of a CALL.
fn text(text: &str) -> Cell {
    (!text.is_empty()).then_some(text).into()
}

fn moment(moment: SystemTime) -> Cell {
    let since = moment.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_micros()).ok());
    since.map_or(Cell::Null, Cell::Moment)
}

fn json(value: OptionValue) -> serde_json::Value {
    match value {
        OptionValue::Text(text) => text.into(),
        OptionValue::Flag(flag) => flag.into(),
        OptionValue::Whole(number) => number.into(),
        OptionValue::Number(number) => number.into(),
        OptionValue::List(texts) => texts.into(),
    }
}

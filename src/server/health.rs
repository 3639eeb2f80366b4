//! Whether the server can do its work, and who is told: orchestrators by gRPC, `/readyz`, and the process itself.
//!
//! ```text
//! Starting ─▶ Serving ⇄ Impaired ─▶ Stopping ─▶ Failed
//! ```
//!
//! A check that opened a session would find the door in order and nothing else. This one reads the lake's catalog, on a
//! connection of its own, so that a busy pool does not look like a broken engine.

use std::{fmt, sync::Arc, time::Duration};

use arrow_flight::flight_service_server::FlightServiceServer;
use serde::Deserialize;
use tokio::sync::{OnceCell, watch};
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    engine::{Connection, Engine, Worker, fatal_error},
    error::{Error, ErrorKind, Result},
    flight::Service,
    lake::{maintain::Statistics, snapshots},
    telemetry::metrics,
};

/// How often the catalog is read …
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// … and how long that may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// What health is asked for by name; the empty one means the whole server.
const NAMES: [&str; 2] = ["", <FlightServiceServer<Service> as NamedService>::NAME];

/// How the server is; a text says why it is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It opens the lake.
    Starting,
    /// It takes calls and its checks pass.
    Serving,
    /// It takes calls, but its last check did not pass.
    Impaired(String),
    /// It takes no new calls.
    Stopping,
    /// It cannot work until it is restarted.
    Failed(String),
}

/// A handle to the state, for those who tell of it and those who ask.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<State>>);

/// What reads the catalog.
#[derive(Debug)]
struct Probe {
    engine: Engine,
    /// One for all checks: those behind one that hangs wait for it, and time out too.
    worker: OnceCell<Worker>,
}

/// What DuckDB says that it uses.
#[derive(Deserialize)]
struct Use {
    memory: u64,
    temporary: u64,
}

/// Watches over the engine until it is dropped.
pub async fn watch_engine(engine: Engine, health: Health) {
    let probe = Arc::new(Probe { engine, worker: OnceCell::new() });
    let check = || Arc::clone(&probe).check();
    tokio::join!(watch_fatal_errors(health.clone()), check_regularly(&health, CHECK_INTERVAL, CHECK_TIMEOUT, check));
}

/// Tells gRPC clients of every change, until the server stops; then ends their watches, which it would wait for.
pub async fn report(health: Health, mut reporter: HealthReporter) {
    let mut state = health.0.subscribe();
    loop {
        let now = state.borrow_and_update().clone();
        let status = if now == State::Serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in NAMES {
            reporter.set_service_status(name, status).await;
        }
        if matches!(now, State::Stopping | State::Failed(_)) {
            for name in NAMES {
                reporter.clear_service_status(name).await;
            }
            return;
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

async fn watch_fatal_errors(health: Health) {
    let mut fatal = fatal_error();
    let text = fatal.wait_for(Option::is_some).await.map(|text| text.clone());
    if let Ok(Some(text)) = text {
        let first_line = text.lines().next().unwrap_or_default();
        health.fail(&format!("DuckDB failed and must be restarted: {first_line}"));
    }
}

/// Does `check` again and again; one that is not done in time counts as failed.
async fn check_regularly<C: Future<Output = Result<()>>>(
    health: &Health,
    interval: Duration,
    timeout: Duration,
    check: impl Fn() -> C,
) {
    let mut interval = tokio::time::interval(interval);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let outcome = tokio::time::timeout(timeout, check()).await;
        health.checked(outcome.unwrap_or_else(|_| {
            let text = format!("the catalog did not answer within {} s", timeout.as_secs());
            Err(Error::new(ErrorKind::Unavailable, text))
        }));
    }
}

fn measure(connection: &Connection) -> Result<Use> {
    let sql = "SELECT coalesce(sum(memory_usage_bytes), 0)::UBIGINT AS memory, \
               coalesce(sum(temporary_storage_bytes), 0)::UBIGINT AS temporary FROM duckdb_memory()";
    connection.record(sql, &[])
}

// === impl Probe ===

impl Probe {
    /// Reads the catalog, and notes what DuckDB uses.
    async fn check(self: Arc<Self>) -> Result<()> {
        let worker = self.worker.get_or_try_init(|| self.engine.spare_worker()).await?;
        let duckdb = worker.run(|connection| snapshots::current(connection).and_then(|_| measure(connection))).await?;
        metrics::duckdb_uses(duckdb.memory, duckdb.temporary);
        let lake = worker.run(Statistics::read).await?;
        metrics::lake_holds(lake.snapshots, lake.files, lake.small_files, lake.delete_files);
        Ok(())
    }
}

// === impl Health ===

impl Health {
    /// A server that starts.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }

    /// How the server is.
    pub fn state(&self) -> State {
        self.0.borrow().clone()
    }

    /// The server takes calls.
    pub fn serve(&self) {
        self.change(|state| matches!(state, State::Starting).then_some(State::Serving));
    }

    /// The server takes no new calls.
    pub fn stop(&self) {
        self.change(|state| (!matches!(state, State::Failed(_))).then_some(State::Stopping));
    }

    /// The server cannot work any more. The first reason stands.
    pub fn fail(&self, reason: &str) {
        self.change(|state| (!matches!(state, State::Failed(_))).then(|| State::Failed(reason.to_owned())));
    }

    /// Resolves when the server cannot work any more, with the reason.
    pub async fn failed(&self) -> String {
        let mut state = self.0.subscribe();
        loop {
            if let State::Failed(reason) = &*state.borrow_and_update() {
                return reason.clone();
            }
            // The sender lives in this handle, so that the wait cannot fail.
            let _ = state.changed().await;
        }
    }

    /// Notes the outcome of a check.
    fn checked(&self, outcome: Result<()>) {
        self.change(|state| match (state, outcome) {
            (State::Impaired(_), Ok(())) => Some(State::Serving),
            (State::Serving | State::Impaired(_), Err(err)) => Some(State::Impaired(err.message().to_owned())),
            (State::Starting | State::Serving | State::Stopping | State::Failed(_), _) => None,
        });
    }

    fn change(&self, next: impl FnOnce(&State) -> Option<State>) {
        self.0.send_if_modified(|state| {
            let Some(next) = next(state).filter(|next| next != state) else { return false };
            match &next {
                State::Impaired(_) => tracing::warn!(cause = %next, "not ready"),
                State::Failed(_) => tracing::error!(cause = %next, "not ready any more"),
                State::Serving if matches!(state, State::Impaired(_)) => tracing::info!("ready again"),
                State::Starting | State::Serving | State::Stopping => {}
            }
            *state = next;
            true
        });
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Serving => f.write_str("ready"),
            Self::Impaired(reason) | Self::Failed(reason) => f.write_str(reason),
            Self::Stopping => f.write_str("stopping"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::sync::Notify;

    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn a_check_that_hangs_or_fails_impairs_until_one_passes() {
        let health = Health::new();
        health.serve();
        let (seen, done) = (RefCell::new(Vec::new()), Notify::new());
        let check = || async {
            seen.borrow_mut().push(health.state().to_string());
            let count = seen.borrow().len();
            match count {
                1 => std::future::pending().await,
                2 => Err(Error::internal("broken")),
                3 => Ok(()),
                _ => {
                    done.notify_one();
                    std::future::pending().await
                }
            }
        };
        tokio::select! {
            () = check_regularly(&health, SOON, SOON, check) => {}
            () = done.notified() => {}
        }
        assert_eq!(seen.take(), ["ready", "the catalog did not answer within 0 s", "broken", "ready"]);
    }

    #[tokio::test]
    async fn a_failure_is_final_and_the_first_reason_stands() {
        let health = Health::new();
        health.serve();
        health.fail("first");
        health.fail("second");
        health.stop();
        health.checked(Ok(()));
        assert_eq!(health.failed().await, "first");
        assert_eq!(health.state(), State::Failed("first".to_owned()));
    }
}

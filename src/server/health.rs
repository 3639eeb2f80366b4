//! The health of the server, reported to orchestrators by gRPC and `/readyz`, and to the process itself.
//!
//! ```text
//! Starting ─▶ Serving ⇄ Unhealthy ─▶ Stopping ─▶ Failed
//! ```
//!
//! Opening a session would only test authentication. The check reads the lake's catalog instead, on a connection of its
//! own, so that a busy pool is not mistaken for a broken engine.

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

/// The interval of checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// The timeout of a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// The services whose health is reported; the empty name is the whole server.
const NAMES: [&str; 2] = ["", <FlightServiceServer<Service> as NamedService>::NAME];

/// The health of the server; a text gives the reason why it is not healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// It is opening the lake.
    Starting,
    /// It accepts calls and its checks succeed.
    Serving,
    /// It accepts calls, but the last check failed.
    Unhealthy(String),
    /// It accepts no new calls.
    Stopping,
    /// It cannot serve until it is restarted.
    Failed(String),
}

/// A shared handle to the health state.
#[derive(Clone, Debug)]
pub struct Health(Arc<watch::Sender<HealthState>>);

/// Reads the catalog.
#[derive(Debug)]
struct Probe {
    engine: Engine,
    /// Shared by all checks: those after one that hangs wait for it, and time out too.
    worker: OnceCell<Worker>,
}

/// The memory and disk usage of DuckDB.
#[derive(Deserialize)]
struct Usage {
    memory: u64,
    temporary: u64,
}

/// Monitors the engine until the future is dropped.
pub async fn watch_engine(engine: Engine, health: Health) {
    let probe = Arc::new(Probe { engine, worker: OnceCell::new() });
    let check = || Arc::clone(&probe).check();
    tokio::join!(watch_fatal_errors(health.clone()), check_periodically(&health, CHECK_INTERVAL, CHECK_TIMEOUT, check));
}

/// Reports every change to gRPC clients. When the server stops, ends their watches, which would delay the shutdown.
pub async fn report(health: Health, mut reporter: HealthReporter) {
    let mut state = health.0.subscribe();
    loop {
        let now = state.borrow_and_update().clone();
        let status = if now == HealthState::Serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in NAMES {
            reporter.set_service_status(name, status).await;
        }
        if matches!(now, HealthState::Stopping | HealthState::Failed(_)) {
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

/// Runs `check` periodically; a timeout counts as a failure.
async fn check_periodically<C: Future<Output = Result<()>>>(
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

fn usage(connection: &Connection) -> Result<Usage> {
    let sql = "SELECT coalesce(system.main.sum(memory_usage_bytes), 0)::UBIGINT AS memory, \
               coalesce(system.main.sum(temporary_storage_bytes), 0)::UBIGINT AS temporary FROM duckdb_memory()";
    connection.record(sql, &[])
}

// === impl Probe ===

impl Probe {
    /// Reads the catalog, and records metrics of DuckDB and the lake.
    async fn check(self: Arc<Self>) -> Result<()> {
        let worker = self.worker.get_or_try_init(|| self.engine.spare_worker()).await?;
        let duckdb = worker.run(|connection| snapshots::current(connection).and_then(|_| usage(connection))).await?;
        metrics::duckdb_usage(duckdb.memory, duckdb.temporary);
        let lake = worker.run(Statistics::read).await?;
        metrics::lake_statistics(lake.snapshots, lake.files, lake.small_files, lake.delete_files);
        Ok(())
    }
}

// === impl Health ===

impl Health {
    /// The health of a starting server.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(HealthState::Starting)))
    }

    /// The current state.
    pub fn state(&self) -> HealthState {
        self.0.borrow().clone()
    }

    /// The server accepts calls.
    pub fn serve(&self) {
        self.change(|state| matches!(state, HealthState::Starting).then_some(HealthState::Serving));
    }

    /// The server accepts no new calls.
    pub fn stop(&self) {
        self.change(|state| (!matches!(state, HealthState::Failed(_))).then_some(HealthState::Stopping));
    }

    /// The server cannot serve any more. The first reason is kept.
    pub fn fail(&self, reason: &str) {
        self.change(|state| (!matches!(state, HealthState::Failed(_))).then(|| HealthState::Failed(reason.to_owned())));
    }

    /// Resolves with the reason when the server cannot serve any more.
    pub async fn failed(&self) -> String {
        let mut state = self.0.subscribe();
        loop {
            if let HealthState::Failed(reason) = &*state.borrow_and_update() {
                return reason.clone();
            }
            // Cannot fail: this handle keeps the sender.
            let _ = state.changed().await;
        }
    }

    /// Records the outcome of a check.
    fn checked(&self, outcome: Result<()>) {
        self.change(|state| match (state, outcome) {
            (HealthState::Unhealthy(_), Ok(())) => Some(HealthState::Serving),
            (HealthState::Serving | HealthState::Unhealthy(_), Err(err)) => {
                Some(HealthState::Unhealthy(err.message().to_owned()))
            }
            (HealthState::Starting | HealthState::Serving | HealthState::Stopping | HealthState::Failed(_), _) => None,
        });
    }

    fn change(&self, next: impl FnOnce(&HealthState) -> Option<HealthState>) {
        self.0.send_if_modified(|state| {
            let Some(next) = next(state).filter(|next| next != state) else { return false };
            match &next {
                HealthState::Unhealthy(_) => tracing::warn!(cause = %next, "not ready"),
                HealthState::Failed(_) => tracing::error!(cause = %next, "not ready, restart required"),
                HealthState::Serving if matches!(state, HealthState::Unhealthy(_)) => tracing::info!("ready again"),
                HealthState::Starting | HealthState::Serving | HealthState::Stopping => {}
            }
            *state = next;
            true
        });
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Serving => f.write_str("ready"),
            Self::Unhealthy(reason) | Self::Failed(reason) => f.write_str(reason),
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
    async fn a_check_that_hangs_or_fails_is_unhealthy_until_one_succeeds() {
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
            () = check_periodically(&health, SOON, SOON, check) => {}
            () = done.notified() => {}
        }
        assert_eq!(seen.take(), ["ready", "the catalog did not answer within 0 s", "broken", "ready"]);
    }

    #[tokio::test]
    async fn a_failure_is_final_and_keeps_the_first_reason() {
        let health = Health::new();
        health.serve();
        health.fail("first");
        health.fail("second");
        health.stop();
        health.checked(Ok(()));
        assert_eq!(health.failed().await, "first");
        assert_eq!(health.state(), HealthState::Failed("first".to_owned()));
    }
}
